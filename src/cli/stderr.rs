//! Standard error, line by line.
//!
//! `eprintln!` panics where standard error is a pipe that nobody reads any more, or a full disk. A command goes on without
//! it: what it does matters more than what it says.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a process that ends waits until its last line is taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes a line in one piece, so that lines of several processes stay whole.
pub(super) fn line(text: impl Display) {
    let line = format!("{text}\n");
    let _gone = io::stderr().lock().write_all(line.as_bytes());
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
