//! Holds the workspace to ARCHITECTURE.md: the graph of the crates, and who may import whom inside this package.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The rows of the table below `heading` in ARCHITECTURE.md, without its two first: the cells of each.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, section) = text.split_once(heading).expect("the section");
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    rows.skip(2)
        .map(|row| row.trim_matches('|').split('|').map(str::to_owned).collect())
        .collect()
}

/// The words in backquotes.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn name(cell: &str) -> String {
    names(cell).pop_first().expect("a name in backquotes")
}

/// What cargo knows of the workspace.
fn metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(arguments)
        .current_dir(ROOT)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// Dependencies within the workspace: those that are always there, and those that a feature brings.
type Dependencies = (BTreeSet<String>, BTreeSet<String>);

/// The graph as cargo sees it. Tests may depend on what they like.
fn graph() -> BTreeMap<String, Dependencies> {
    let metadata = metadata(&["--no-deps"]);
    let packages = list(&metadata["packages"]);
    let members: BTreeSet<String> = packages.iter().map(|package| text(&package["name"])).collect();
    let dependencies = |package: &Value, optional: bool| {
        list(&package["dependencies"])
            .iter()
            .filter(|dependency| dependency["kind"].is_null() && dependency["optional"] == optional)
            .map(|dependency| text(&dependency["name"]))
            .filter(|name| members.contains(name))
            .collect()
    };
    packages
        .iter()
        .map(|package| {
            (
                text(&package["name"]),
                (dependencies(package, false), dependencies(package, true)),
            )
        })
        .collect()
}

#[test]
fn the_graph_of_the_crates_is_the_one_in_the_document() {
    let written: BTreeMap<String, Dependencies> = table("## The crates")
        .iter()
        .map(|row| (name(&row[0]), (names(&row[2]), names(&row[3]))))
        .collect();
    assert_eq!(graph(), written);
}

/// All that `package` depends on within the workspace, through whatever feature.
fn closure(graph: &BTreeMap<String, Dependencies>, package: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = vec![package.to_owned()];
    while let Some(package) = next.pop() {
        let (always, optional) = &graph[&package];
        for dependency in always.union(optional) {
            if found.insert(dependency.clone()) {
                next.push(dependency.clone());
            }
        }
    }
    found
}

#[test]
fn what_must_not_meet_does_not() {
    let graph = graph();
    for (package, stranger) in [
        ("devgcs", "gcsd-gcs"),
        ("devgcs", "gcsd-wire"),
        ("devgcs", "gcsd-client"),
        ("gcsd-gcs", "gcsd-wire"),
        ("gcsd-fault", "gcsd-types"),
    ] {
        assert!(
            !closure(&graph, package).contains(stranger),
            "{package} must not know {stranger}"
        );
    }
    for (package, dependencies) in &graph {
        assert!(
            !dependencies.0.contains("gcsd"),
            "{package} depends on the daemon itself"
        );
    }
}

/// `1.91.0` or `1.91` as numbers.
fn version(text: &str) -> Vec<u64> {
    let mut numbers: Vec<u64> = text
        .split('.')
        .map(|part| part.parse().expect("a number"))
        .collect();
    numbers.resize(3, 0);
    numbers
}

/// The triple of the machine that the tests run on.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("a host");
    line.to_owned()
}

#[test]
fn no_dependency_needs_a_newer_rust_than_is_declared() {
    let metadata = metadata(&["--filter-platform", &host()]);
    let declared = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .find(|package| package["name"] == "gcsd")
        .map(|package| version(package["rust_version"].as_str().expect("rust-version is set")))
        .expect("this package");
    let mut compared = 0;
    for package in list(&metadata["packages"]) {
        let Some(needed) = package["rust_version"].as_str() else {
            continue;
        };
        assert!(
            version(needed) <= declared,
            "{} needs Rust {needed}",
            package["name"]
        );
        compared += 1;
    }
    assert!(compared > 50, "hardly any dependency says what it needs");
}

/// The table's rows: a module of this package, and what it may import of it.
fn modules() -> BTreeMap<String, BTreeSet<String>> {
    table("## Inside the daemon")
        .iter()
        .map(|row| (name(&row[0]), names(&row[2])))
        .collect()
}

fn sources(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path)
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path)
            }
        }
    }
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
    let modules = modules();
    let mut checked = 0;
    for (module, may) in &modules {
        let sources = sources(Path::new(ROOT).join("src").join(module));
        assert!(!sources.is_empty(), "the table has {module}, which is not there");
        for path in sources {
            let source = fs::read_to_string(&path).expect("a source");
            for import in imports(&source) {
                let allowed = import == *module || may.contains(&import);
                assert!(allowed, "{}: {module} may not import {import}", path.display());
                checked += 1;
            }
        }
    }
    assert!(
        checked >= 10,
        "hardly any import was found: does the check still read them?"
    );
}

/// The crates that are built for `package` with these features.
fn built_for(package: &str, features: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}", "--locked", "--offline", "--features", features])
        .current_dir(ROOT)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).expect("text");
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

#[test]
fn devgcs_builds_no_c_without_tls() {
    let tls = ["aws-lc-sys", "cc", "rcgen", "rustls"].map(str::to_owned);
    let (without, with) = (built_for("devgcs", ""), built_for("devgcs", "tls"));
    assert!(without.contains("hyper"), "{without:?}");
    for name in &tls {
        assert!(!without.contains(name), "{name} is built");
        assert!(with.contains(name), "{name} is not built, even with TLS");
    }
}

#[test]
fn a_client_of_a_daemon_builds_no_c() {
    let (without, with) = (built_for("gcsd-client", ""), built_for("gcsd-client", "direct"));
    assert!(without.contains("gcsd-wire"), "{without:?}");
    for name in ["aws-lc-sys", "cc"] {
        assert!(!without.contains(name), "{name} is built");
        assert!(with.contains(name), "{name} is not built, even straight to GCS");
    }
}

#[test]
fn every_module_is_in_the_table() {
    let modules = modules();
    let lib = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).expect("lib.rs");
    for line in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let module = line.trim_end_matches(';');
        assert!(
            modules.contains_key(module),
            "ARCHITECTURE.md has no row for {module}"
        );
    }
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let mut read = 0;
    let crates = fs::read_dir(Path::new(ROOT).join("crates")).expect("the crates");
    let crates = crates.map(|entry| entry.expect("an entry").path().join("src"));
    for path in crates.chain([Path::new(ROOT).join("src")]).flat_map(sources) {
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
        read += 1;
    }
    assert!(read > 100, "hardly any source was found");
}

/// What is left when every module that imports none of the others has been taken away, again and again: modules in a
/// circle, and those that import them.
fn circles(mut modules: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let free: BTreeSet<String> = modules
            .iter()
            .filter(|(_, imports)| imports.is_empty())
            .map(|(module, _)| module.clone())
            .collect();
        if free.is_empty() {
            return modules;
        }
        modules.retain(|module, _| !free.contains(module));
        for imports in modules.values_mut() {
            imports.retain(|import| !free.contains(import));
        }
    }
}

#[test]
fn no_modules_import_each_other() {
    // Crates whose modules all lie side by side.
    for package in ["gcsd-types", "gcsd-gcs"] {
        let sources = sources(Path::new(ROOT).join("crates").join(package).join("src"));
        let mut modules: BTreeMap<String, BTreeSet<String>> = sources
            .iter()
            .map(|path| {
                (
                    path,
                    path.file_stem().expect("a name").to_string_lossy().into_owned(),
                )
            })
            .filter(|(_, module)| !module.ends_with("_tests"))
            .map(|(path, module)| {
                let source = fs::read_to_string(path).expect("a source");
                let code = source.split("#[cfg(test)]").next().unwrap_or_default();
                (module, imports(&code.replace("super::", "crate::")))
            })
            .collect();
        let all: BTreeSet<String> = modules.keys().cloned().collect();
        for (module, imports) in &mut modules {
            assert!(
                imports.is_subset(&all),
                "{package}: {module} imports the crate's root: {imports:?}"
            );
            imports.remove(module);
        }
        let found: usize = modules.values().map(BTreeSet::len).sum();
        assert!(
            found > modules.len() / 2,
            "{package}: hardly any import was found"
        );
        let circles = circles(modules);
        assert!(circles.is_empty(), "{package}: {circles:?}");
    }
}

/// The modules beside it that a source of a folder names in code; the source lies `depth` folders further down.
fn siblings(source: &str, depth: usize) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.collect::<Vec<_>>().join("\n").replace("pub(super)", "");
    let up = "super::".repeat(depth + 1);
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(&up) {
        let rest = &code[at + up.len()..];
        if code[..at].ends_with("super::") || rest.starts_with("super::") {
            continue;
        }
        let word = |text: &str| -> String {
            text.trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                found.extend(list.split(',').map(word));
            }
            None => drop(found.insert(word(rest))),
        }
    }
    found
}

#[test]
fn no_commands_import_each_other() {
    let folder = Path::new(ROOT).join("src/cli");
    let mut modules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources(folder.clone()) {
        let below = path
            .strip_prefix(&folder)
            .expect("it lies there")
            .with_extension("");
        let mut parts: Vec<_> = below
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        let Some(module) = parts.first().filter(|name| !name.ends_with("_tests")) else {
            continue;
        };
        let source = fs::read_to_string(&path).expect("a source");
        let found = siblings(&source, parts.len() - 1);
        modules.entry(module.clone()).or_default().extend(found);
    }
    let all: BTreeSet<String> = modules.keys().cloned().collect();
    for (module, imports) in &mut modules {
        imports.retain(|import| all.contains(import) && import != module);
    }
    let found: usize = modules.values().map(BTreeSet::len).sum();
    assert!(found > 2 * modules.len(), "hardly any import was found");
    let circles = circles(modules);
    assert!(circles.is_empty(), "{circles:?}");
}

#[test]
fn the_check_sees_what_lies_beside_a_module() {
    let source =
        "pub(super) use super::a::X;\nuse super::{b, c::{Y}};\n// use super::d;\nuse super::super::e;\n";
    assert_eq!(siblings(source, 0), ["a", "b", "c"].map(str::to_owned).into());
    assert_eq!(siblings(source, 1), ["e".to_owned()].into());
}

#[test]
fn the_check_sees_a_circle() {
    let modules = [("a", "b"), ("b", "c"), ("c", "b"), ("d", "")];
    let modules = modules.map(|(module, import)| {
        let imports = Some(import.to_owned()).filter(|import| !import.is_empty());
        (module.to_owned(), imports.into_iter().collect())
    });
    let left: Vec<String> = circles(BTreeMap::from(modules)).into_keys().collect();
    assert_eq!(left, ["a", "b", "c"]);
}

#[test]
fn the_check_sees_a_forbidden_import() {
    let found = imports("use crate::wire::Head;\n// use crate::ops;\nlet x = crate::gcs::lend;\n");
    assert_eq!(found, BTreeSet::from(["wire".to_owned(), "gcs".to_owned()]));
}
