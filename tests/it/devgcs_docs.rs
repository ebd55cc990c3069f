//! The page about devgcs names tests: they must be there.

use std::collections::HashSet;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_tests_that_the_page_names_exist_and_all_are_named() {
    let page = read("docs/devgcs.md");
    let named: HashSet<&str> = page
        .split('`')
        .filter(|text| text.starts_with("devgcs_") && text.contains("::"))
        .collect();
    let mut existing = HashSet::new();
    for module in [
        "resumable",
        "objects",
        "media",
        "xml",
        "directory",
        "tls",
        "access",
        "interop",
        "kept",
        "refused",
    ] {
        let source = read(&format!("tests/it/devgcs_{module}.rs"));
        for test in source.split("#[tokio::test]").skip(1) {
            let name = test
                .split_once("async fn ")
                .and_then(|(_, rest)| rest.split_once('('));
            let (name, _) = name.expect("a test has a name");
            existing.insert(format!("devgcs_{module}::{name}"));
        }
    }
    for test in &named {
        assert!(existing.contains(*test), "{test} is named and does not exist");
    }
    for test in &existing {
        assert!(named.contains(test.as_str()), "{test} exists and is not named");
    }
    assert!(named.len() > 50);
}
