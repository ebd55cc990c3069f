//! Standard error: lines, and the one bar that they go around.
//!
//! `eprintln!` panics where standard error is a pipe that nobody reads any more, or a full disk. A command goes on without
//! it: what it does matters more than what it says.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;

/// How long a process that ends waits until its last line is taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// The bar that is on the terminal.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a line in one piece, so that lines of several processes stay whole, with no bar in its way.
pub(super) fn line(text: impl Display) {
    let line = format!("{text}\n");
    let print = || {
        let _gone = io::stderr().lock().write_all(line.as_bytes());
    };
    let bar = shown().clone();
    match bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Registers `bar` as the one on the terminal.
pub(super) fn show(bar: &ProgressBar) {
    *shown() = Some(bar.clone());
}

/// Takes the bar away, so that nothing of it stays.
pub(super) fn clear() {
    let bar = shown().take();
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

/// Writes the last line before the process ends, which it does even if nobody takes the line.
pub(super) fn last_line(text: impl Display) {
    let text = text.to_string();
    let (written, ended) = mpsc::sync_channel::<()>(1);
    let write = move || {
        line(text);
        drop(written);
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = ended.recv_timeout(PATIENCE);
    }
}
