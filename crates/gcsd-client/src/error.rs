//! What can go wrong between a client and its daemon.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use gcsd_types::Crc32c;
use gcsd_wire::{ErrorReply, Kind, Opcode, Retry, Status};

/// Why a request has no successful reply.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The daemon answered that the request failed.
    #[error("{0}")]
    Daemon(Box<DaemonError>),
    /// The connection was over before the reply came.
    #[error("{0}")]
    Connection(Lost),
    /// The source of the request's body failed in the middle of it; the connection is over with it.
    #[error("the bytes to send could not be read: {0}")]
    Source(Arc<io::Error>),
    /// The request cannot be sent, or not be answered here; nothing happened.
    #[error("{0}")]
    Request(RequestError),
    /// The bytes of a read are not those that the daemon sent.
    #[error("the bytes that came have the checksum {found}, and the daemon sent bytes with {expected}")]
    Damaged {
        /// The daemon's checksum.
        expected: Crc32c,
        /// That of the bytes that came.
        found: Crc32c,
    },
}

impl Error {
    /// What to do next.
    ///
    /// [`Retry::Reconnect`] for every [`Error::Connection`]: whether the request had left is
    /// [`Lost::sent`].
    pub fn retry(&self) -> Retry {
        match self {
            Self::Daemon(error) => error.status.retry().unwrap_or(Retry::Never),
            Self::Connection(_) => Retry::Reconnect,
            Self::Source(_) | Self::Request(_) => Retry::Never,
            Self::Damaged { .. } => Retry::Same,
        }
    }

    /// The last that GCS reported as persisted of the upload, where the daemon said so.
    pub fn committed(&self) -> Option<u64> {
        match self {
            Self::Daemon(error) => error.reply.committed,
            _ => None,
        }
    }

    /// How long the daemon or GCS asked to wait before the next try, where it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Daemon(error) if error.reply.retry_after_ms > 0 => {
                Some(Duration::from_millis(error.reply.retry_after_ms.into()))
            }
            _ => None,
        }
    }

    /// The status of the daemon's answer, where there is one.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Daemon(error) => Some(error.status),
            _ => None,
        }
    }

    /// A stable name for scripts and logs: the status's name, or one of `connection_lost`,
    /// `unreachable`, `source_failed`, `no_daemon`, `bad_request` and `damaged`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Daemon(error) => error.status.name(),
            Self::Connection(lost) => match lost.reason {
                Reason::Connect { .. } => "unreachable",
                _ => "connection_lost",
            },
            Self::Source(_) => "source_failed",
            Self::Request(RequestError::NoDaemon) => "no_daemon",
            Self::Request(_) => "bad_request",
            Self::Damaged { .. } => "damaged",
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Daemon(answer) if answer.status.kind() == Some(Kind::NotFound) => io::ErrorKind::NotFound,
            Error::Damaged { .. } => io::ErrorKind::InvalidData,
            Error::Source(source) => source.kind(),
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// A daemon's answer that a request failed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DaemonError {
    /// What was asked; `None` where the daemon could not read the request.
    pub opcode: Option<Opcode>,
    /// Which failure, and what to do.
    pub status: Status,
    /// GCS's HTTP status, or 0 where GCS did not answer.
    pub http_status: u16,
    /// What else the daemon knows.
    pub reply: ErrorReply,
}

impl DaemonError {
    /// What a daemon answered to `opcode`.
    pub fn new(opcode: Option<Opcode>, status: Status, http_status: u16, reply: ErrorReply) -> Self {
        Self {
            opcode,
            status,
            http_status,
            reply,
        }
    }
}

impl fmt::Display for DaemonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, one_line(&self.reply.message))?;
        if self.http_status != 0 {
            write!(f, " (GCS: HTTP {}", self.http_status)?;
            if let Some(reason) = &self.reply.reason {
                write!(f, " {}", one_line(reason))?;
            }
            if let Some(id) = &self.reply.request_id {
                write!(f, ", request {}", one_line(id))?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// A connection that was over before a request's reply came.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct Lost {
    /// Why it is over.
    pub reason: Reason,
    /// Whether the daemon may have seen the request. If not, nothing happened.
    pub sent: bool,
}

/// Why a connection is over.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It could not be made.
    #[error("no connection to {address}: {error}")]
    Connect {
        /// Where to.
        address: Address,
        /// Why not.
        error: Arc<io::Error>,
    },
    /// The daemon closed it.
    #[error("the daemon closed the connection")]
    Closed,
    /// The daemon closed it inside a frame.
    #[error("the daemon closed the connection in the middle of a reply")]
    Truncated,
    /// It broke.
    #[error("the connection to the daemon broke: {0}")]
    Broken(Arc<io::Error>),
    /// Nothing moved on it for the [stall bound](super::Options::stall) though something was due.
    #[error("the daemon neither took nor sent anything for {0:?}")]
    Stalled(Duration),
    /// The daemon said that it closes it after the replies that are due.
    #[error("the daemon is closing the connection ({0})")]
    Closing(Status),
    /// The daemon could not make sense of what we sent.
    #[error("the daemon could not read the request: {0}")]
    NotUnderstood(Box<DaemonError>),
    /// The head or the args of a frame were damaged on the way.
    #[error("a request or its reply was damaged on the way: the checksum is another, or missing")]
    Damaged,
    /// What came from the other side is not this protocol.
    #[error("what answers there does not speak gcsd's protocol: {0}")]
    Protocol(String),
    /// A caller gave up in the middle of a body or of a read, which leaves no way to go on.
    #[error("a request was abandoned in the middle of its bytes, and the connection with it")]
    Abandoned,
    /// The source of a body failed in the middle of it, which leaves no way to go on.
    #[error("the bytes of a request could not be read to their end, and the connection ended with it")]
    SourceFailed,
    /// It was closed on this side.
    #[error("the connection was closed on this side")]
    ClosedHere,
}

impl Reason {
    /// The error of a request that this ended.
    pub(super) fn lost(self, sent: bool) -> Error {
        Error::Connection(Lost { reason: self, sent })
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
    /// There is no daemon to send it to.
    #[error("no address of a daemon is given")]
    NoDaemon,
    /// Its body is longer than a frame can say.
    #[error("a body of {0} bytes is longer than 2^63 - 1")]
    BodyTooLarge(u128),
    /// It asks for a range of an object that has no byte.
    #[error("a range has at least one byte")]
    EmptyRange,
    /// The page of a list that it asks for is longer than is held here.
    #[error(
        "the page has more than 64 MiB of JSON: ask for fewer entries at a time, or fewer of their fields"
    )]
    PageTooLarge,
}

/// `text` as it can stand in a line on a terminal: a peer's control characters are replaced.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemons_answer_is_one_harmless_line() {
        let error = DaemonError {
            opcode: Some(Opcode::StatObject),
            status: Status::new(Kind::NotFound, Retry::Never),
            http_status: 404,
            reply: ErrorReply {
                message: "no such\n\u{1b}[2Jobject".into(),
                reason: Some("notFound".into()),
                request_id: Some("AB-12".into()),
                ..ErrorReply::default()
            },
        };
        assert_eq!(
            error.to_string(),
            "not_found: no such\u{fffd}\u{fffd}[2Jobject (GCS: HTTP 404 notFound, request AB-12)"
        );
        let error = Error::Daemon(Box::new(error));
        assert_eq!((error.retry(), error.name()), (Retry::Never, "not_found"));
    }

    #[test]
    fn a_lost_connection_asks_to_reconnect() {
        let error = Reason::Closed.lost(false);
        assert_eq!(error.retry(), Retry::Reconnect);
        assert_eq!(error.status(), None);
    }
}
