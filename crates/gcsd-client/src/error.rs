//! Why a request failed.

use std::io;
use std::time::Duration;

use super::address::AddressError;
use super::io_error::IoError;
use super::lost::{Lost, Reason};
use super::status_error::StatusError;
use gcsd_types::Crc32c;
use gcsd_wire::{ErrorReply, Kind, Retry, Status};

/// Why a request failed, whether it went to a daemon or straight to Cloud Storage.
///
/// It says what to do next ([`retry`](Self::retry)). What caused it is its [`source`](std::error::Error::source), and is
/// not part of its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The daemon, or GCS, answered that the request failed.
    #[error(transparent)]
    Status(Box<StatusError>),
    /// The connection ended before the reply arrived.
    #[error(transparent)]
    Connection(Lost),
    /// The source of the request's body failed; unless the body had no length, the connection is over too.
    #[error("the bytes to send could not be read")]
    Source(#[source] IoError),
    /// The request cannot be sent, or its reply not be taken; nothing happened.
    #[error(transparent)]
    Request(RequestError),
    /// The bytes of a read are not those that the daemon sent.
    #[error(
        "the bytes arrived with crc32c {found} and were sent with {expected}: they were damaged on the way"
    )]
    Damaged {
        /// The daemon's checksum.
        expected: Crc32c,
        /// That of the bytes received.
        found: Crc32c,
    },
    /// The bytes of a range that the other side received are not those that were sent: the upload must begin again.
    #[error(
        "bytes {offset} to {end} arrived with crc32c {received} and were sent with {}: they were damaged on the way",
        sent.map_or("an unknown one".to_owned(), |sent| sent.to_string())
    )]
    BodyDamaged {
        /// The range's first byte.
        offset: u64,
        /// Its end.
        end: u64,
        /// The checksum of what was sent, if it is known.
        sent: Option<Crc32c>,
        /// The checksum of what was received.
        received: Crc32c,
    },
    /// The request succeeded, and nothing more is committed than before.
    #[error("the request succeeded, but nothing more is committed")]
    NoProgress,
    /// There was no time left for an answer.
    #[error("{0}")]
    Unanswered(&'static str),
}

impl Error {
    /// Nothing came in the time that there is behind a budget.
    pub(crate) const LATE: Self = Self::Unanswered("GCS did not answer in time");

    /// A failure with a status of the protocol, for writers that do not go through a daemon.
    pub fn of(kind: Kind, retry: Retry, message: impl Into<String>) -> Self {
        let reply = ErrorReply {
            message: message.into(),
            ..ErrorReply::default()
        };
        StatusError::new(Status::new(kind, retry), 0, reply).into()
    }

    /// The same failure, with what is committed of the upload.
    #[must_use]
    pub fn with_committed(mut self, committed: u64) -> Self {
        if let Self::Status(error) = &mut self {
            error.reply.committed = Some(committed);
        }
        self
    }

    /// What to do next.
    ///
    /// [`Retry::Reconnect`] whenever the connection is over: whether the request had left is [`Lost::sent`].
    pub fn retry(&self) -> Retry {
        match self {
            Self::Status(error) => error.retry(),
            Self::Connection(lost) if lost.reason.is_refusal() => Retry::Never,
            Self::Connection(_) => Retry::Reconnect,
            Self::Source(_) | Self::Request(_) => Retry::Never,
            Self::Damaged { .. } | Self::Unanswered(_) => Retry::Same,
            Self::BodyDamaged { .. } => Retry::Restart,
            Self::NoProgress => Retry::Query,
        }
    }

    /// How much GCS last reported as persisted of the upload, where the answer says so: a lower bound.
    pub fn committed(&self) -> Option<u64> {
        match self {
            Self::Status(error) => error.reply.committed,
            _ => None,
        }
    }

    /// How long the daemon or GCS asked to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(error) => error.retry_after(),
            _ => None,
        }
    }

    /// The status of the answer, where there is one.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Status(error) => Some(error.status),
            _ => None,
        }
    }

    /// Whether it is this failure of the protocol's closed set.
    pub fn is(&self, kind: Kind) -> bool {
        self.status().and_then(Status::kind) == Some(kind)
    }

    /// A stable name for scripts and logs: the status's name, or one of `connection_lost`, `unreachable`, `tls_refused`,
    /// `source_failed`, `no_daemon`, `bad_request`, `damaged`, `no_progress` and `unanswered`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status(error) => error.status.name(),
            Self::Connection(lost) => match lost.reason {
                _ if lost.reason.is_refusal() => "tls_refused",
                Reason::Connect { .. } => "unreachable",
                _ => "connection_lost",
            },
            Self::Source(_) => "source_failed",
            Self::Request(RequestError::NoDaemon) => "no_daemon",
            Self::Request(_) => "bad_request",
            Self::Damaged { .. } | Self::BodyDamaged { .. } => "damaged",
            Self::NoProgress => "no_progress",
            Self::Unanswered(_) => "unanswered",
        }
    }

    /// Whether the request may have been carried out although it failed.
    pub(crate) fn may_have_happened(&self) -> bool {
        match self {
            Self::Status(error) => error.may_have_happened(),
            Self::Connection(lost) => lost.sent,
            Self::Unanswered(_) | Self::NoProgress => true,
            Self::Source(_) | Self::Request(_) | Self::Damaged { .. } | Self::BodyDamaged { .. } => false,
        }
    }

    /// The same of a change that GCS makes as often as it is asked to: the class says whether it can have been made.
    pub(crate) fn may_have_happened_once(&self) -> bool {
        match self {
            Self::Status(error) => {
                error.status.retry() == Some(Retry::Query)
                    || error.status.retry() == Some(Retry::Never) && error.may_have_happened()
            }
            other => other.may_have_happened(),
        }
    }

    /// The I/O error that comes nearest.
    pub(crate) fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Source(error) => error.kind(),
            Self::Damaged { .. } | Self::BodyDamaged { .. } => io::ErrorKind::InvalidData,
            _ if self.is(Kind::NotFound) => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        }
    }

    /// An answer that makes no sense.
    pub(crate) fn bad_response(message: impl Into<String>) -> Self {
        Self::of(Kind::BadResponse, Retry::Never, message)
    }

    /// The same failure of a request on a connection that is over.
    pub(crate) fn with_connection_over(mut self) -> Self {
        if let Self::Status(error) = &mut self {
            error.connection_over = true;
        }
        self
    }
}

impl Reason {
    /// The error of a request on a connection that ended for this reason.
    pub(super) fn lost(self, sent: bool) -> Error {
        Error::Connection(Lost { reason: self, sent })
    }
}

/// The error is the inner one of the I/O error.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.io_kind(), error)
    }
}

impl From<StatusError> for Error {
    fn from(error: StatusError) -> Self {
        Self::Status(Box::new(error))
    }
}

#[cfg(feature = "direct")]
impl From<gcsd_failure::Failure> for Error {
    fn from(failure: gcsd_failure::Failure) -> Self {
        StatusError::new(failure.status, failure.http_status, failure.reply).into()
    }
}

/// A request that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Its args are longer than the daemon takes.
    #[error("the request has {len} bytes of args (names, metadata), and the daemon takes {max}")]
    ArgsTooLarge {
        /// Bytes of args.
        len: usize,
        /// The limit.
        max: u32,
    },
    /// A daemon's address is not an address.
    #[error("the daemon's address is wrong")]
    Address(#[source] AddressError),
    /// There is no daemon to send it to.
    #[error("no daemon's address is given")]
    NoDaemon,
    /// Its body is longer than a frame can say.
    #[error("a body of {0} bytes is longer than 2^63 - 1")]
    BodyTooLarge(u128),
    /// It asks for a range of an object that has no byte.
    #[error("a range has at least one byte")]
    EmptyRange,
    /// The requested page of a list is longer than is held here.
    #[error(
        "the page has more than 64 MiB of JSON: ask for fewer entries at a time, or fewer of their fields"
    )]
    PageTooLarge,
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::super::Address;
    use super::*;

    #[test]
    fn a_lost_connection_asks_to_reconnect() {
        let error = Reason::Closed.lost(false);
        assert_eq!(error.retry(), Retry::Reconnect);
        assert_eq!(error.status(), None);
        assert!(!error.may_have_happened());
    }

    #[test]
    fn a_cause_is_told_by_the_source_and_nowhere_else() {
        let refused = || std::io::Error::other("refused here");
        let address: Address = "localhost:1".parse().expect("an address");
        let error = refused().into();
        for (error, text) in [
            (
                Reason::Connect { address, error }.lost(false),
                "could not connect to localhost:1",
            ),
            (
                Reason::Broken(refused().into()).lost(true),
                "the connection to the daemon broke",
            ),
            (
                Error::Source(refused().into()),
                "the bytes to send could not be read",
            ),
        ] {
            assert_eq!(error.to_string(), text);
            let source = error.source().expect("a cause");
            assert_eq!(source.to_string(), "refused here");
            assert!(source.downcast_ref::<IoError>().is_some());
        }
        assert!(Error::of(Kind::NotFound, Retry::Never, "no").source().is_none());
    }
}
