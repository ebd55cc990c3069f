//! How a command fails: one line on standard error, and an exit code that scripts can use.

use std::fmt;
use std::process::ExitCode;

/// The classes of failure, each with its exit code. (clap exits with 2 on a wrong command line.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Something failed, and trying again changes nothing.
    Failed = 1,
}

/// A command that failed.
#[derive(Debug)]
pub(super) struct Fail {
    class: Class,
    message: String,
}

impl Fail {
    /// A failure of `class`; the message is one line that says what happened, where, and what to do.
    pub(super) fn new(class: Class, message: impl fmt::Display) -> Self {
        Self {
            class,
            message: message.to_string(),
        }
    }

    /// Tells the user.
    pub(super) fn report(&self) -> ExitCode {
        eprintln!("gcsd: {}", self.message);
        ExitCode::from(self.class as u8)
    }
}

/// A failure that trying again does not change.
pub(super) fn failed(message: impl fmt::Display) -> Fail {
    Fail::new(Class::Failed, message)
}
