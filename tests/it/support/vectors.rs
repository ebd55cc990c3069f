//! The golden vectors in `tests/vectors/`: whole frames as annotated hex.

use std::path::{Path, PathBuf};

/// The directory of the vectors.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The annotated hex of a vector; `name` is the file's without `.hex`.
pub(crate) fn text(name: &str) -> String {
    let path = directory().join(format!("{name}.hex"));
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{} is needed as a golden vector: {error}", path.display()))
}

/// The bytes of a vector.
pub(crate) fn read(name: &str) -> Vec<u8> {
    bytes_of(&text(name))
}

/// The names of all vectors, sorted.
pub(crate) fn names() -> Vec<String> {
    let entries = std::fs::read_dir(directory()).expect("the directory of the vectors");
    let files = entries.map(|entry| entry.expect("a directory entry").file_name());
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.to_str()?.strip_suffix(".hex")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// The bytes of annotated hex: pairs of digits, with white space and `#` comments ignored.
pub(crate) fn bytes_of(text: &str) -> Vec<u8> {
    let digits: String = text
        .lines()
        .flat_map(|line| line.split('#').next())
        .flat_map(str::split_whitespace)
        .collect();
    assert!(
        digits.is_ascii() && digits.len().is_multiple_of(2),
        "half a byte in {text:?}"
    );
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("a hex digit"))
        .collect()
}
