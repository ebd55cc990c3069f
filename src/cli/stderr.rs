//! Standard error, line by line.
//!
//! `eprintln!` panics where standard error is a pipe that nobody reads any more, or a full disk. A command goes on without
//! it: what it does matters more than what it says.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Writes a line in one piece, so that lines of several processes stay whole.
pub(super) fn line(text: impl Display) {
    let line = format!("{text}\n");
    let _gone = io::stderr().lock().write_all(line.as_bytes());
}
