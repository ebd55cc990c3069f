//! How a command ends: exit codes for scripts, and one line for people.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::quoting::shown;
use super::stderr;
use gcsd_wire::{Kind, Retry, Status};

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
    Producer = 8,
    Unknown = 9,
    Cut = 10,
    Interrupted = 130,
    ReaderGone = 141,
}

/// The name of a file in the way.
pub(super) const FILE_EXISTS: &str = "file_exists";

/// What the help says of them.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    the command line, or the configuration file, is wrong
  3    no such bucket, object or generation
  4    a precondition (--if-...) does not hold
  5    the daemon or GCS cannot be reached or cannot now: trying again can help
  6    bytes differ from what their checksum says
  7    not permitted: credentials, permissions, the daemon's secret
  8    the command of 'gcsd put --from-command' failed
  9    it is unknown whether it was done: look before trying again
  10   the daemon has stopped, and cut requests that were not done within --grace
  130  interrupted
  141  whoever read the output is gone";

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
    /// There is nothing more to say about it.
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
    pub(super) fn advise_if(self, advice: Option<&str>) -> Self {
        match advice {
            Some(advice) => self.advise(advice),
            None => self,
        }
    }

    /// What else to know, before what to do.
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

    /// Whether GCS refused it for the state that the object is in.
    pub(super) fn is_precondition(&self) -> bool {
        self.exit == Exit::Precondition && self.name == Kind::PreconditionFailed.name()
    }

    /// Whether a file is in the way that --no-clobber leaves alone.
    pub(super) fn is_file_there(&self) -> bool {
        self.name == FILE_EXISTS
    }

    /// Whether every other upload to the same bucket would fail so, too.
    pub(super) fn is_for_all_uploads(&self) -> bool {
        let named = |kind: Kind| self.name == kind.name();
        match self.exit {
            // A file that is not there is another failure.
            Exit::NotFound => named(Kind::NotFound),
            // Others can be about the object: a hold, or the permission to replace it.
            Exit::NotPermitted if named(Kind::Forbidden) => self.what.contains("storage.objects.create"),
            Exit::NotPermitted => true,
            _ => false,
        }
    }

    /// Whether there is nothing more to say.
    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Whether GCS refused to make an object, so that there is nothing to clear up.
    pub(super) fn made_nothing(&self) -> bool {
        self.exit != Exit::Unknown
            && [Kind::PreconditionFailed, Kind::ChecksumMismatch]
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
    let printed = match error.use_stderr() {
        true => error.print(),
        false => gcsd_stdio::stdout().and_then(|mut out| error.print().and_then(|()| out.flush())),
    };
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
        write!(f, "{}: {}", self.name, self.what)?;
        if let Some(place) = &self.place {
            write!(f, ": {}", shown(place))?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "; {advice}")?;
        }
        Ok(())
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
        Some(
            Kind::Unauthenticated
            | Kind::Denied
            | Kind::GcsUnauthorized
            | Kind::Forbidden
            | Kind::CredentialsRefused,
        ) => Exit::NotPermitted,
        _ if matches!(status.retry(), Some(Retry::Never) | None) => Exit::Failed,
        _ => Exit::Temporary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_that_begins_with_its_name() {
        let failure = Failure::new(Exit::NotFound, "not_found", "No such object").at("gs://b/o");
        let failure = failure.advise("look at the name");
        assert_eq!(
            failure.to_string(),
            "not_found: No such object: gs://b/o; look at the name"
        );
        assert_eq!(Failure::usage("no").to_string(), "usage: no");
    }

    #[test]
    fn statuses_have_their_exit_codes() {
        for (kind, retry, exit) in [
            (Kind::Unavailable, Retry::Same, Exit::Temporary),
            (Kind::Reset, Retry::Query, Exit::Temporary),
            (Kind::BadArgs, Retry::Never, Exit::Failed),
            (Kind::Forbidden, Retry::Never, Exit::NotPermitted),
            (Kind::ChecksumMismatch, Retry::Restart, Exit::Differs),
            (Kind::PreconditionFailed, Retry::Never, Exit::Precondition),
        ] {
            assert_eq!(of_status(Status::new(kind, retry)), exit, "{kind:?}");
        }
        assert_eq!(of_status(Status::OK), Exit::Ok);
    }
}
