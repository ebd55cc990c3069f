//! Holds the code to ARCHITECTURE.md's table of who may import whom.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The table's rows: a module, and what it may import; `None` stands for everything.
fn table() -> BTreeMap<String, Option<BTreeSet<String>>> {
    let text = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, section) = text.split_once("## Who may import whom").expect("the section");
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    rows.skip(2)
        .map(|row| {
            let mut cells = row.trim_matches('|').split('|');
            let module = names(cells.next().expect("a module"))
                .pop_first()
                .expect("a name");
            let may = cells.next().expect("what it may import");
            (
                module,
                if may.trim() == "everything" {
                    None
                } else {
                    Some(names(may))
                },
            )
        })
        .collect()
}

/// The words in backquotes.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn sources(module: &str) -> Vec<PathBuf> {
    let src = Path::new(ROOT).join("src");
    let mut found = vec![src.join(format!("{module}.rs"))];
    let mut folders = vec![src.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.retain(|path| path.exists());
    found
}

/// The modules of the crate that a source names in code.
fn imports(source: &str) -> BTreeSet<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found = BTreeSet::new();
    for line in code {
        for rest in line.split("crate::").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            assert!(
                !name.is_empty(),
                "imports of several modules at once are not understood here: {line}"
            );
            found.insert(name);
        }
    }
    found
}

#[test]
fn every_module_imports_only_what_it_may() {
    let table = table();
    let mut checked = 0;
    for (module, may) in &table {
        let sources = sources(module);
        assert!(!sources.is_empty(), "the table has {module}, which is not there");
        for path in sources {
            let source = fs::read_to_string(&path).expect("a source");
            for import in imports(&source) {
                let allowed = import == *module || may.as_ref().is_none_or(|may| may.contains(&import));
                assert!(allowed, "{}: {module} may not import {import}", path.display());
                checked += 1;
            }
        }
    }
    assert!(
        checked > 50,
        "hardly any import was found: does the check still read them?"
    );
}

#[test]
fn every_module_is_in_the_table() {
    let table = table();
    let lib = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).expect("lib.rs");
    for line in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let module = line.trim_end_matches(';');
        assert!(
            table.contains_key(module),
            "ARCHITECTURE.md has no row for {module}"
        );
    }
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    for module in table().keys() {
        for path in sources(module) {
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let empty = [
                "util",
                "utils",
                "common",
                "helpers",
                "manager",
                "processor",
                "data",
                "misc",
            ];
            assert!(!empty.contains(&stem.as_str()), "{}", path.display());
        }
    }
}

#[test]
fn the_check_sees_a_forbidden_import() {
    let found = imports("use crate::wire::Head;\n// use crate::ops;\nlet x = crate::gcs::lend;\n");
    assert_eq!(found, BTreeSet::from(["wire".to_owned(), "gcs".to_owned()]));
}
