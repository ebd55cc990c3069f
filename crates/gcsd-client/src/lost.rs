//! Why a connection is over.

use std::fmt;
use std::time::Duration;

use super::address::Address;
use super::io_error::IoError;
use super::status_error::StatusError;
use gcsd_wire::Status;

/// A connection that ended before a request's reply came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Why it ended.
    pub reason: Reason,
    /// Whether the daemon may have seen the request. If not, nothing happened.
    pub sent: bool,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Lost {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.reason.source()
    }
}

impl Reason {
    /// Whether the two sides do not trust each other, so that connecting again does not help.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Connect { error, .. } | Self::Broken(error) => is_refusal(error),
            _ => false,
        }
    }
}

#[cfg(feature = "tls")]
use super::tls::is_refusal;

#[cfg(not(feature = "tls"))]
fn is_refusal(error: &std::io::Error) -> bool {
    // There are no others than those of a build without TLS.
    error.kind() == std::io::ErrorKind::Unsupported
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It could not be made.
    #[error("could not connect to {address}")]
    Connect {
        /// Where to.
        address: Address,
        /// Why not.
        #[source]
        error: IoError,
    },
    /// The daemon closed it.
    #[error("the daemon closed the connection")]
    Closed,
    /// The daemon closed it inside a frame.
    #[error("the daemon closed the connection in the middle of a reply")]
    Truncated,
    /// It broke.
    #[error("the connection to the daemon broke")]
    Broken(#[source] IoError),
    /// Nothing moved on it for the [stall bound](super::Options::stall) though something was due.
    #[error("the daemon neither took nor sent a byte for {0:?}")]
    Stalled(Duration),
    /// The daemon is closing it, after the replies that are due.
    #[error("the daemon is closing the connection ({0})")]
    Closing(Status),
    /// The daemon could not make sense of what we sent.
    #[error("the daemon could not read the request")]
    NotUnderstood(#[source] Box<StatusError>),
    /// The head or the args of a frame were damaged on the way.
    #[error("a request or its reply was damaged on the way: its checksum is wrong or missing")]
    Damaged,
    /// What the other side sent is not this protocol.
    #[error("the peer does not speak gcsd's protocol: {0}")]
    Protocol(String),
    /// A caller gave up in the middle of a body or of a read, so the connection could not be used any more.
    #[error("a request was abandoned in the middle of its bytes, which ended the connection")]
    Abandoned,
    /// The source of a body failed in the middle of it, so the connection could not be used any more.
    #[error("the source of a request's body failed, which ended the connection")]
    SourceFailed,
    /// It was closed on this side.
    #[error("the connection was closed on this side")]
    ClosedHere,
}
