//! The matrix as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::cell::{Cell, KINDS};
use super::scenario::Scenario;

/// What stands before the table in the document.
pub(super) const BEGIN: &str = "<!-- the matrix begins -->";
/// What stands behind it.
pub(super) const END: &str = "<!-- the matrix ends -->";

/// How many cells there are at each place of each hop, by the kind of fault.
pub(super) fn of(cells: &[Cell]) -> String {
    let mut text = String::new();
    let mut sections: Vec<(String, Vec<&Cell>)> = Vec::new();
    for cell in cells {
        let title = title(&cell.scenario);
        match sections.iter_mut().find(|(found, _)| *found == title) {
            Some((_, of)) => of.push(cell),
            None => sections.push((title, vec![cell])),
        }
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "{} cells.\n", cells.len());
    for (title, cells) in sections {
        let _ = writeln!(text, "### {title}\n");
        let _ = writeln!(text, "| place | {} |", KINDS.join(" | "));
        let _ = writeln!(text, "| --- |{}", " ---: |".repeat(KINDS.len()));
        let mut places: Vec<&str> = Vec::new();
        let mut counts: BTreeMap<(&str, &str), (usize, bool)> = BTreeMap::new();
        for cell in cells {
            if !places.contains(&cell.place.as_str()) {
                places.push(&cell.place);
            }
            let entry = counts.entry((&cell.place, cell.kind)).or_default();
            entry.0 += 1;
            entry.1 |= cell.may_fail();
        }
        for place in places {
            let entry = |kind: &&str| match counts.get(&(place, *kind)) {
                None => String::new(),
                Some((count, false)) => count.to_string(),
                Some((count, true)) => format!("{count} e"),
            };
            let entries: Vec<_> = KINDS.iter().map(entry).collect();
            let _ = writeln!(text, "| {place} | {} |", entries.join(" | "));
        }
        text.push('\n');
    }
    text
}

fn title(scenario: &Scenario) -> String {
    let tls = if scenario.tls { ", by https" } else { "" };
    let hop = scenario.hop.name();
    format!("{}{}{tls}", hop[..1].to_uppercase(), &hop[1..])
}
