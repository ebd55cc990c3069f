//! The secret that a daemon wants from its clients: the same file on both sides.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use bytes::Bytes;
use tracing::warn;

use super::exit::{Failure, failed};

/// The longest secret that a Hello can carry, in bytes.
const MAX_SECRET: usize = u16::MAX as usize;

/// Reads a secret: the bytes of a file, without the line break at its end.
pub(super) fn read_secret(file: &Path) -> Result<Bytes, Failure> {
    let place = format!("--auth-file {}", file.display());
    let text = std::fs::read(file).map_err(|error| Failure::io(&place, &error))?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    match text.len() {
        0 => Err(failed("it is empty, and would let everybody in").at(place)),
        1..=MAX_SECRET => Ok(Bytes::copy_from_slice(text)),
        _ => Err(failed("the secret is longer than 64 KiB").at(place)),
    }
}

/// Warns of a file with a secret that every user of the machine can read.
pub(super) fn warn_if_open(file: &Path) {
    let mode = std::fs::metadata(file).map(|metadata| metadata.mode());
    if mode.is_ok_and(|mode| mode & 0o004 != 0) {
        let file = file.display().to_string();
        warn!(
            file,
            "every user of this machine can read this secret: take the right away (chmod o-r)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_file_without_its_last_line_break() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let read = |text: &str| {
            std::fs::write(file.path(), text).expect("a full file");
            read_secret(file.path())
        };
        assert_eq!(
            read("open sesame\r\n").expect("a secret"),
            b"open sesame".as_slice()
        );
        assert_eq!(read("a\nb").expect("a secret"), b"a\nb".as_slice());
        assert!(read("\n").is_err());
        assert!(read(&"x".repeat(65_536)).is_err());
    }
}
