//! The client's errors as failures of a command: exit code, one line, and what to do.

use std::error::Error as StdError;

use super::exit::{Exit, Failure, of_status};
use gcsd_client::{Error, GivenUp, ReadError, Reason, StripedError, UploadError};
use gcsd_wire::{Kind, Retry, Status};

/// The name of a connection that could not be made.
pub(super) const UNREACHABLE: &str = "unreachable";

/// What to do about it.
const NO_DAEMON: &str =
    "is a daemon running there? start one with 'gcsd serve', or name another with --connect";

/// What to do where TLS has no trust.
const NO_TRUST: &str = "see whether the daemon does TLS there, whether --ca-file holds the authority of its certificate, \
and --cert and --key those that it wants";

/// The name of an outcome that is not known.
const UNKNOWN: &str = "unknown_outcome";

/// What to do about it.
const LOOK: &str = "look with 'gcsd stat' before you try again";

/// What to do about a source that changes.
const UNTOUCHED: &str = "try again when nobody writes to it";

/// What `error` and its causes say, in one line. It leaves out `name`, which the line begins with.
pub(super) fn in_one_line(name: &str, error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error: &&(dyn StdError + 'static)| (*error).source());
    let texts = causes.map(|error| {
        let text = error.to_string();
        let named = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        named.map_or(text.clone(), str::to_owned)
    });
    texts.collect::<Vec<_>>().join(": ")
}

/// The failure of `request`, which `error` is about.
fn of_request(request: &Error, error: &(dyn StdError + 'static)) -> Failure {
    let exit = match request {
        Error::Status(answer) => of_status(answer.status),
        Error::Damaged { .. } | Error::BodyDamaged { .. } => Exit::Differs,
        _ if request.retry() == Retry::Never => Exit::Failed,
        _ => Exit::Temporary,
    };
    let advice = match request {
        Error::Status(answer) => of_kind(answer.status),
        Error::Connection(_) if request.retry() == Retry::Never => Some(NO_TRUST),
        Error::Connection(lost) => match lost.reason {
            Reason::Connect { .. } => Some(NO_DAEMON),
            Reason::Protocol(_) => Some("is --connect the address of a gcsd daemon?"),
            _ => Some("try again"),
        },
        Error::Damaged { .. } | Error::BodyDamaged { .. } => Some("try again"),
        _ => None,
    };
    let name = request.name();
    Failure::new(exit, name, in_one_line(name, error)).advise_if(advice)
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        of_request(error, error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        (&error).into()
    }
}

impl From<GivenUp> for Failure {
    fn from(error: GivenUp) -> Self {
        of_given_up(&error, &error)
    }
}

/// The failure of a request that is not made again, which `error` is about.
fn of_given_up(given_up: &GivenUp, error: &(dyn StdError + 'static)) -> Failure {
    match given_up.is_unknown() {
        true => unknown(error),
        false => of_request(given_up.error(), error),
    }
}

/// That it is unknown whether something was done, as `error` says.
fn unknown(error: &(dyn StdError + 'static)) -> Failure {
    Failure::new(Exit::Unknown, UNKNOWN, in_one_line(UNKNOWN, error)).advise(LOOK)
}

impl From<&ReadError> for Failure {
    fn from(error: &ReadError) -> Self {
        let (exit, name, advice) = match error {
            ReadError::Gone { .. } => (
                Exit::NotFound,
                "gone",
                "try again for what is there now, or keep old versions in the bucket",
            ),
            ReadError::Changed(_) => (Exit::Failed, "gone", "try again"),
            ReadError::Damaged { .. } => (Exit::Differs, "damaged", "try again"),
            ReadError::CannotResume { error: request, .. } => {
                return of_request(request, error).advise("try again");
            }
            other => match other.request() {
                Some(request) => return of_request(request, error),
                None => (Exit::Failed, "failed", "try again"),
            },
        };
        Self::new(exit, name, in_one_line(name, error)).advise(advice)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        (&error).into()
    }
}

impl From<&UploadError> for Failure {
    fn from(error: &UploadError) -> Self {
        of_upload(error, error)
    }
}

/// The failure of an upload, which `error` is about.
fn of_upload(upload: &UploadError, error: &(dyn StdError + 'static)) -> Failure {
    let (exit, name, advice) = match upload {
        UploadError::CannotRestart { error: request, .. } => {
            return of_request(request, error).advise("what came through a pipe cannot be read again");
        }
        UploadError::Unknown { .. } => return unknown(error),
        UploadError::Mismatch { .. } => (Exit::Differs, "damaged", Some("do not use that generation")),
        UploadError::Unverified { .. } => (Exit::Failed, "unverified", None),
        UploadError::FinishedElsewhere { .. } => (Exit::Failed, "finished_elsewhere", None),
        UploadError::Ahead { .. } => (Exit::Failed, "ahead", Some("upload it again")),
        UploadError::Regress { .. } => (Exit::Failed, "regress", Some("upload it again")),
        UploadError::Changed(_) | UploadError::Size { .. } => {
            (Exit::Failed, "source_changed", Some(UNTOUCHED))
        }
        other => match other.request() {
            Some(request) => return of_request(request, error),
            None => (Exit::Failed, "failed", None),
        },
    };
    Failure::new(exit, name, in_one_line(name, error)).advise_if(advice)
}

impl From<&StripedError> for Failure {
    fn from(error: &StripedError) -> Self {
        let (exit, name, advice) = match error {
            StripedError::Part { error: upload, .. } => return of_upload(upload, error),
            StripedError::Request { error: given_up, .. } => return of_given_up(given_up, error),
            StripedError::Mismatch { deleted: true, .. } => (Exit::Differs, "damaged", Some("try again")),
            StripedError::Mismatch { .. } => (Exit::Differs, "damaged", Some("do not use that generation")),
            StripedError::Unverified { .. } => (Exit::Failed, "unverified", None),
            StripedError::Changed(_) => (Exit::Failed, "source_changed", Some(UNTOUCHED)),
            StripedError::Checkpoint(_) => (Exit::Failed, "io", None),
            _ => (Exit::Failed, "failed", None),
        };
        Self::new(exit, name, in_one_line(name, error)).advise_if(advice)
    }
}

/// What a person can do about a daemon's answer.
fn of_kind(status: Status) -> Option<&'static str> {
    Some(match status.kind() {
        Some(Kind::NotFound) => "look at the names of the bucket and the object",
        Some(Kind::PreconditionFailed) => "the object is not in the state that the command asks for",
        Some(Kind::Unauthenticated) => "name the file with the daemon's secret: --auth-file FILE",
        // The message says what to do: it depends on GCS's reason.
        Some(
            Kind::Forbidden | Kind::GcsUnauthorized | Kind::CredentialsRefused | Kind::CredentialsUnavailable,
        ) => return None,
        Some(Kind::Unsupported) => "the daemon is older than this program",
        _ => match status.retry() {
            Some(Retry::Never) | None => return None,
            Some(_) => "try again",
        },
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn not_found() -> Error {
        Error::of(Kind::NotFound, Retry::Never, "No such object")
    }

    #[test]
    fn each_fact_is_told_once() {
        let unreachable = Reason::Connect {
            address: "localhost:1".parse().expect("an address"),
            error: std::io::Error::other("refused").into(),
        };
        let unreachable = Error::Connection(gcsd_client::Lost {
            reason: unreachable,
            sent: false,
        });
        let refused = Failure::from(not_found()).at("gs://b/o");
        assert_eq!(refused.exit(), Exit::NotFound);
        let part = StripedError::Part {
            number: 2,
            parts: 3,
            error: Box::new(UploadError::GivenUp(GivenUp::Exhausted {
                error: Error::of(Kind::Unavailable, Retry::Same, "later"),
                tries: 4,
                spent: Duration::from_secs(9),
            })),
        };
        for (failure, line) in [
            (
                refused,
                "not_found: No such object: gs://b/o; look at the names of the bucket and the object",
            ),
            (
                Failure::from(&unreachable),
                "unreachable: could not connect to localhost:1: refused; is a daemon running there? start one with \
                 'gcsd serve', or name another with --connect",
            ),
            (
                Failure::from(&part),
                "unavailable: part 2 of 3: gave up after 4 failures and 9 s: later; try again",
            ),
        ] {
            assert_eq!(failure.to_string(), line);
        }
    }
}
