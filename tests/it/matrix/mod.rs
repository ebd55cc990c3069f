//! The matrix: every kind of fault at every kind of byte of every kind of upload (docs/matrix.md).
//!
//! The places come from conversations that are recorded while nothing goes wrong, and taken apart. A share of the
//! cells runs by default, all of them with `GCSD_TEST_FULL=1`. With `GCSD_MATRIX_ONLY=TEXT`, those whose
//! description holds the text: what a failure prints is such a text.

mod cell;
mod conversation;
mod scenario;
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use cell::{Cell, cells};

use crate::support::crowd::run_all;

/// All cells, in an order that does not change.
static CELLS: LazyLock<Vec<Cell>> = LazyLock::new(|| {
    // Not on the thread of a test that has a runtime of its own.
    let recording = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut all = Vec::new();
            for scenario in scenario::all() {
                let base = scenario.base().await;
                all.extend(cells(&scenario, &base, &scenario.record().await));
            }
            all
        })
    });
    recording.join().expect("a recording")
});

/// Of the cells with the same fault at the same place, each of so many runs by default.
const SHARE: usize = 12;

/// Those that run.
fn chosen() -> Vec<Cell> {
    if let Ok(text) = std::env::var("GCSD_MATRIX_ONLY") {
        let of = |cell: &&Cell| cell.to_string().contains(&text);
        return CELLS.iter().filter(of).cloned().collect();
    }
    if std::env::var("GCSD_TEST_FULL").is_ok_and(|full| full == "1") {
        return CELLS.clone();
    }
    let mut groups: BTreeMap<_, Vec<&Cell>> = BTreeMap::new();
    for cell in CELLS.iter() {
        groups.entry(cell.group()).or_default().push(cell);
    }
    // At each place another one of the uploads.
    let share = |(at, cells): (usize, Vec<&Cell>)| {
        let count = cells.len().div_ceil(SHARE);
        let chosen = (0..count).map(|index| (5 * at + index * SHARE) % cells.len());
        chosen.map(|index| cells[index].clone()).collect::<Vec<_>>()
    };
    groups.into_values().enumerate().flat_map(share).collect()
}

#[test]
fn every_cell_recovers_or_says_why_not() {
    let cells = chosen();
    let (count, all) = (cells.len(), CELLS.len());
    let outcomes = run_all(cells, cell::run);
    assert_eq!(outcomes.len(), count);
    let mut failed = 0;
    for outcome in &outcomes {
        for problem in outcome.problems() {
            failed += 1;
            eprintln!("{problem}\n  GCSD_MATRIX_ONLY='{}'", outcome.cell);
        }
    }
    let hit = outcomes.iter().filter(|outcome| outcome.hit).count();
    let ended = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    let recovered: u64 = outcomes.iter().map(|outcome| outcome.recovered).sum();
    eprintln!(
        "{count} of {all} cells, in {hit} of which the fault was met; {recovered} failures recovered from; \
         {ended} uploads ended in an error that says why"
    );
    assert_eq!(failed, 0, "of {count} cells");
}

#[test]
fn the_document_shows_the_matrix() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/matrix.md");
    let text = std::fs::read_to_string(&path).expect("docs/matrix.md");
    let (before, rest) = text.split_once(table::BEGIN).expect("the table's beginning");
    let (found, after) = rest.split_once(table::END).expect("the table's end");
    let table = table::of(&CELLS);
    if found.trim() != table.trim() {
        let made = format!("{before}{}\n\n{table}\n{}{after}", table::BEGIN, table::END);
        let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("matrix.md");
        std::fs::write(&copy, made).expect("written");
        panic!(
            "docs/matrix.md shows another matrix than the one that runs: copy {} over it",
            copy.display()
        );
    }
}
