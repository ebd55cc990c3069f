//! `proto-spec.md` against the code: tables, vectors and cross references.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gcsd_wire::{Opcode, describe};

use crate::support::vectors;

/// Whether the tables and the examples are to be written rather than compared.
fn updates() -> bool {
    std::env::var_os("GCSD_UPDATE_DOCS").is_some()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto-spec.md")
}

fn spec() -> String {
    std::fs::read_to_string(path()).expect("the specification")
}

/// Ends what a marker begins.
const END: &str = "<!-- end -->";

/// The name in a marker: `struct: WriteAt.args` of `<!-- struct: WriteAt.args -->`.
fn marker(line: &str) -> Option<&str> {
    let name = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    (name.starts_with("struct: ") || name.starts_with("table: ")).then_some(name)
}

/// A vector as the text shows it: without the words at its top, which say what it is.
fn example(name: &str) -> String {
    let text = vectors::text(name);
    let mut lines = text.lines().peekable();
    while lines
        .next_if(|line| line.starts_with("# ") && !line.starts_with("# =="))
        .is_some()
    {}
    lines.map(|line| format!("{line}\n")).collect()
}

/// The text with all that is generated made anew: tables behind their markers, examples as the vectors have them.
fn made_anew(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out += line;
        out += "\n";
        let (made, end) = match (marker(line), line.strip_prefix("```hex ")) {
            (Some(name), _) => {
                let made = describe::markdown(name);
                (
                    made.unwrap_or_else(|| panic!("the table knows no {name:?}")) + "\n",
                    END,
                )
            }
            (None, Some(name)) => (example(name), "```"),
            (None, None) => continue,
        };
        let before = lines.by_ref().take_while(|line| *line != end).count();
        assert!(before < 200, "{line} has no {end:?}");
        out += &made;
        out += end;
        out += "\n";
    }
    out
}

#[test]
fn tables_and_examples_are_those_of_the_code_and_the_vectors() {
    let text = spec();
    let made = made_anew(&text);
    if updates() {
        std::fs::write(path(), made).expect("the specification is written");
        return;
    }
    for (line, (is, should)) in text.lines().zip(made.lines()).enumerate() {
        assert_eq!(
            is,
            should,
            "line {} of proto-spec.md is not what the code says: GCSD_UPDATE_DOCS=1 cargo test --test it spec::",
            line + 1
        );
    }
    assert_eq!(text, made, "proto-spec.md ends where it should not");
}

#[test]
fn each_struct_and_each_table_has_its_place() {
    let text = spec();
    let mut placed: Vec<_> = text.lines().filter_map(marker).map(str::to_owned).collect();
    let tables = [
        "opcodes",
        "kinds",
        "layers",
        "classes",
        "request flags",
        "reply flags",
        "limits",
    ];
    let mut wanted: Vec<_> = tables.map(|name| format!("table: {name}")).into();
    wanted.extend(
        describe::structs()
            .iter()
            .map(|(name, _)| format!("struct: {name}")),
    );
    placed.sort();
    wanted.sort();
    let others = |name: &String| !wanted.contains(name) && describe::markdown(name).is_some();
    placed.retain(|name| !others(name));
    assert_eq!(placed, wanted);
}

/// A table that somebody changed by hand is found, and made as it was.
#[test]
fn what_is_changed_by_hand_is_made_anew() {
    let text = spec();
    for (is, other) in [
        ("| 0 | 8 | offset |", "| 0 | 4 | offset |"),
        ("| 0x01 | bad_head |", "| 0x01 | bad_tail |"),
        ("47 43 53 3f ", "47 43 53 40 "),
    ] {
        assert!(text.contains(is), "{is}");
        let changed = text.replacen(is, other, 1);
        assert_ne!(made_anew(&changed), changed);
        assert_eq!(made_anew(&changed), made_anew(&text));
    }
}

#[test]
fn each_opcode_has_a_section() {
    let spec = spec();
    let titles: BTreeSet<_> = spec
        .lines()
        .filter_map(|line| {
            line.strip_prefix("##")?
                .trim_start_matches('#')
                .trim()
                .split_once(' ')
        })
        .map(|(_, title)| title)
        .collect();
    for opcode in Opcode::ALL {
        assert!(titles.contains(opcode.name()), "{} has no section", opcode.name());
    }
}

/// The sources below `directory`.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_section_that_the_code_names_exists() {
    let spec = spec();
    let headings: BTreeSet<_> = spec
        .lines()
        .filter_map(|line| {
            line.strip_prefix("##")?
                .trim_start_matches('#')
                .trim()
                .split_once(' ')
        })
        .map(|(_number, title)| title)
        .collect();
    let mut files = Vec::new();
    for folder in ["src", "crates"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    let mut references = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source");
        for part in text.split("(proto-spec.md, \"").skip(1) {
            let title = part.split('"').next().unwrap_or_default();
            assert!(
                headings.contains(title),
                "{} names the section {title:?}",
                file.display()
            );
            references += 1;
        }
    }
    assert!(
        references > Opcode::ALL.len(),
        "the code names the sections that it carries out"
    );
}

#[test]
fn links_within_the_specification_lead_somewhere() {
    let spec = spec();
    let anchor = |title: &str| -> String {
        let kept = title.to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let anchors: BTreeSet<_> = spec
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect();
    let links: Vec<_> = spec
        .split("](#")
        .skip(1)
        .filter_map(|part| part.split(')').next())
        .collect();
    assert!(links.len() >= 13);
    for link in links {
        assert!(anchors.contains(link), "{link}");
    }
}
