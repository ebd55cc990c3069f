//! How a command ends: exit codes for scripts, and one line for people.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::quoting::shown;
use super::stderr;
use gcsd_client::{self, GivenUp, ReadError, StripedError, UploadError};
use gcsd_wire::{Kind, Layer, Retry, Status};

/// The exit codes, which `gcsd --help` explains ([`EXIT_CODES`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Precondition = 4,
    Temporary = 5,
    Differs = 6,
    NotPermitted = 7,
    Interrupted = 130,
    ReaderGone = 141,
}

/// What the help says of them.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    the command line is wrong
  3    no such bucket, object or generation
  4    a precondition (--if-..., --no-clobber) does not hold
  5    the daemon or GCS cannot be reached or cannot now: trying again can help
  6    bytes differ from what their checksum says
  7    not permitted: credentials, permissions, the daemon's secret
  130  interrupted
  141  whoever read the output is gone";

/// The name of a connection that could not be made.
pub(super) const UNREACHABLE: &str = "unreachable";

/// What to do about it.
const NO_DAEMON: &str =
    "is a daemon running there? start one with 'gcsd serve', or name another with --connect";

/// What to do about a source that changes.
const UNTOUCHED: &str = "try again when nobody writes to it";

/// A command that did not succeed: one line on stderr, and an exit code.
///
/// The line is `gcsd: name: what happened: where; what to do`, of which `name` is stable: a status of the
/// protocol, or one of this program's own.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    name: &'static str,
    what: String,
    place: Option<String>,
    advice: Option<String>,
    /// Nothing more is to be said about it.
    silent: bool,
}

impl Failure {
    /// A failure of this program's own.
    pub(super) fn new(exit: Exit, name: &'static str, what: impl fmt::Display) -> Self {
        Self {
            exit,
            name,
            what: what.to_string(),
            place: None,
            advice: None,
            silent: false,
        }
    }

    /// The command line asks for something that cannot be.
    pub(super) fn usage(what: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, "usage", what)
    }

    /// A file, or standard input, failed.
    pub(super) fn io(place: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(Exit::Failed, "io", error).at(place)
    }

    /// Standard output failed. Where its reader is gone, the command ends without a word and with the exit code that
    /// SIGPIPE would lead to: neither a failure to tell anybody about, nor a success.
    pub(super) fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::said(Exit::ReaderGone);
        }
        Self::io("standard output", error)
    }

    /// What there is to say has been said.
    pub(super) fn said(exit: Exit) -> Self {
        let mut failure = Self::new(exit, "said", "");
        failure.silent = true;
        failure
    }

    /// A signal ended it.
    pub(super) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted", "stopped by a signal")
    }

    /// Where it happened.
    pub(super) fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// Where it happened, unless that is known better.
    pub(super) fn or_at(self, place: impl fmt::Display) -> Self {
        match self.place {
            Some(_) => self,
            None => self.at(place),
        }
    }

    /// What to do about it; takes the place of what was advised before.
    pub(super) fn advise(mut self, advice: impl fmt::Display) -> Self {
        self.advice = Some(advice.to_string());
        self
    }

    /// As [`advise`](Self::advise), where there is something to advise.
    fn advise_if(self, advice: Option<&str>) -> Self {
        match advice {
            Some(advice) => self.advise(advice),
            None => self,
        }
    }

    /// What else is to be known, before what to do.
    pub(super) fn also(mut self, what: impl fmt::Display) -> Self {
        self.advice = Some(match self.advice {
            Some(advice) => format!("{what}; {advice}"),
            None => what.to_string(),
        });
        self
    }

    /// What to do about it, behind what is to be known already.
    pub(super) fn advise_too(self, advice: impl fmt::Display) -> Self {
        let known = self.advice.clone();
        match known {
            Some(known) => self.advise(format!("{known}; {advice}")),
            None => self.advise(advice),
        }
    }

    /// The exit code that it leads to.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({ "name": self.name, "message": self.to_string(), "exit": self.exit as u8 })
    }

    /// Whether GCS refused to make an object, so that there is nothing to clear up.
    pub(super) fn made_nothing(&self) -> bool {
        [Kind::PreconditionFailed, Kind::ChecksumMismatch]
            .iter()
            .any(|kind| kind.name() == self.name)
    }

    /// Tells the user, and returns the exit code.
    pub(super) fn report(&self) -> ExitCode {
        if !self.silent {
            stderr::line(format_args!("gcsd: {self}"));
        }
        ExitCode::from(self.exit as u8)
    }
}

/// Prints clap's answer to a command line, a help text or what is wrong, and returns the exit code.
pub(super) fn answered(error: &clap::Error) -> ExitCode {
    let printed = error.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(gone) if !error.use_stderr() => Failure::stdout(&gone).report(),
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8)),
    }
}

/// A failure of this program's own that trying again does not change.
pub(super) fn failed(what: impl fmt::Display) -> Failure {
    Failure::new(Exit::Failed, "failed", what)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What the daemon answered begins with the status's name by itself.
        if !self.what.starts_with(self.name) {
            write!(f, "{}: ", self.name)?;
        }
        f.write_str(&self.what)?;
        if let Some(place) = &self.place {
            write!(f, ": {}", shown(place))?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "; {advice}")?;
        }
        Ok(())
    }
}

impl From<gcsd_client::Error> for Failure {
    fn from(error: gcsd_client::Error) -> Self {
        let exit = match &error {
            gcsd_client::Error::Daemon(answer) => of_status(answer.status),
            gcsd_client::Error::Connection(_) => Exit::Temporary,
            gcsd_client::Error::Damaged { .. } => Exit::Differs,
            gcsd_client::Error::Source(_) | gcsd_client::Error::Request(_) => Exit::Failed,
        };
        let advice = match &error {
            gcsd_client::Error::Daemon(answer) => of_kind(answer.status),
            gcsd_client::Error::Connection(lost) => match lost.reason {
                gcsd_client::Reason::Connect { .. } => Some(NO_DAEMON),
                gcsd_client::Reason::Protocol(_) => Some("is --connect the address of a gcsd daemon?"),
                _ => Some("try again"),
            },
            gcsd_client::Error::Damaged { .. } => Some("try again"),
            _ => None,
        };
        Self::new(exit, error.name(), &error).advise_if(advice)
    }
}

/// What an upload met and recovers from, or does not.
impl From<&gcsd_client::Failure> for Failure {
    fn from(failure: &gcsd_client::Failure) -> Self {
        let exit = match failure.status {
            Some(status) => of_status(status),
            None if failure.name == "damaged" => Exit::Differs,
            None if failure.retry == Retry::Never => Exit::Failed,
            None => Exit::Temporary,
        };
        let advice = match failure.status {
            Some(status) => of_kind(status),
            None if failure.name == UNREACHABLE => Some(NO_DAEMON),
            None => None,
        };
        Self::new(exit, failure.name, failure).advise_if(advice)
    }
}

impl From<&GivenUp> for Failure {
    fn from(error: &GivenUp) -> Self {
        let told = Self::from(&error.failure);
        let what = error.to_string();
        Self { what, ..told }
    }
}

impl From<GivenUp> for Failure {
    fn from(error: GivenUp) -> Self {
        (&error).into()
    }
}

impl From<&ReadError> for Failure {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::GivenUp(given_up) => given_up.into(),
            ReadError::Gone { .. } => Self::new(Exit::NotFound, "gone", error)
                .advise("try again for what is there now, or keep old versions in the bucket"),
            ReadError::CannotResume { failure, .. } => {
                let told = Self::from(failure);
                let what = error.to_string();
                Self { what, ..told }.advise("try again")
            }
            ReadError::Other(_) => Self::new(Exit::Failed, "gone", error).advise("try again"),
            ReadError::Damaged { .. } => Self::new(Exit::Differs, "damaged", error).advise("try again"),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        (&error).into()
    }
}

impl From<&UploadError> for Failure {
    fn from(error: &UploadError) -> Self {
        if let Some(failure) = error.failure() {
            let told = Self::from(failure);
            let what = error.to_string();
            return Self { what, ..told };
        }
        let (exit, name, advice) = match error {
            UploadError::Mismatch { .. } => (Exit::Differs, "damaged", Some("do not use that generation")),
            UploadError::Unverified { .. } => (Exit::Failed, "unverified", None),
            UploadError::FinishedElsewhere { .. } => (Exit::Failed, "finished_elsewhere", None),
            UploadError::Ahead { .. } => (Exit::Failed, "ahead", Some("upload it again")),
            UploadError::Regress { .. } => (Exit::Failed, "regress", Some("upload it again")),
            UploadError::Changed(_) | UploadError::Size { .. } => {
                (Exit::Failed, "source_changed", Some(UNTOUCHED))
            }
            UploadError::Source { .. } => (Exit::Failed, "io", None),
            _ => (Exit::Failed, "failed", None),
        };
        Self::new(exit, name, error).advise_if(advice)
    }
}

impl From<&StripedError> for Failure {
    fn from(error: &StripedError) -> Self {
        if let Some(cause) = error.cause() {
            let told = Self::from(cause);
            let what = error.to_string();
            return Self { what, ..told };
        }
        let (exit, name, advice) = match error {
            StripedError::Mismatch { deleted: true, .. } => (Exit::Differs, "damaged", Some("try again")),
            StripedError::Mismatch { .. } => (Exit::Differs, "damaged", Some("do not use that generation")),
            StripedError::Unverified { .. } => (Exit::Failed, "unverified", None),
            StripedError::Changed(_) => (Exit::Failed, "source_changed", Some(UNTOUCHED)),
            StripedError::Keep { .. } => (Exit::Failed, "io", None),
            _ => (Exit::Failed, "failed", None),
        };
        Self::new(exit, name, error).advise_if(advice)
    }
}

/// The exit code that a daemon's answer leads to.
pub(super) fn of_status(status: Status) -> Exit {
    if status.is_ok() {
        return Exit::Ok;
    }
    match status.kind() {
        Some(Kind::NotFound) => Exit::NotFound,
        Some(Kind::PreconditionFailed) => Exit::Precondition,
        Some(Kind::ChecksumMismatch) => Exit::Differs,
        Some(Kind::Unauthenticated | Kind::GcsUnauthorized | Kind::Forbidden | Kind::CredentialsRefused) => {
            Exit::NotPermitted
        }
        _ if matches!(status.retry(), Some(Retry::Never) | None) => Exit::Failed,
        _ => Exit::Temporary,
    }
}

/// What a person can do about a daemon's answer.
fn of_kind(status: Status) -> Option<&'static str> {
    Some(match status.kind() {
        Some(Kind::NotFound) => "look at the names of the bucket and the object",
        Some(Kind::PreconditionFailed) => "the object is not in the state that the command asks for",
        Some(Kind::Unauthenticated) => "name the file with the daemon's secret: --auth-file FILE",
        Some(Kind::Forbidden) => "the daemon's account needs the permission, see its --credentials",
        Some(Kind::GcsUnauthorized) => "look at the daemon's --credentials",
        Some(Kind::Unsupported) => "the daemon is older than this program",
        _ if status.layer() == Some(Layer::Credentials) => "look at the daemon's --credentials",
        _ => match status.retry() {
            Some(Retry::Never) | None => return None,
            Some(_) => "try again",
        },
    })
}

#[cfg(test)]
#[path = "exit_tests.rs"]
mod tests;
