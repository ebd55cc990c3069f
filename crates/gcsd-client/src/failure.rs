//! One word for what failed, whichever way the request went.

use std::fmt;
use std::io;
use std::time::Duration;

use super::error::DaemonError;
use gcsd_wire::{ErrorReply, Kind, Retry, Status};

/// Why an [`UnreliableWriter`](super::UnreliableWriter) did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What to do next. Where the connection is over too, it asks for another one, whatever the status says.
    pub retry: Retry,
    /// Which failure of the wire's closed set; `None` where the request or its reply was lost between us and the
    /// daemon, or never left.
    pub status: Option<Status>,
    /// A stable name for scripts and logs.
    pub name: &'static str,
    /// GCS's HTTP status, where GCS answered.
    pub http_status: Option<u16>,
    /// The last that GCS reported as persisted of the upload, where that is known: a lower bound.
    pub committed: Option<u64>,
    /// How long the daemon or GCS asked to wait.
    pub retry_after: Option<Duration>,
    /// One line for a person.
    pub message: String,
}

impl Failure {
    /// A failure of the closed set.
    pub fn of(kind: Kind, retry: Retry, message: impl Into<String>) -> Self {
        let status = Status::new(kind, retry);
        Self {
            status: Some(status),
            ..Self::local(status.name(), retry, message)
        }
    }

    /// A failure on our own side of the wire.
    pub fn local(name: &'static str, retry: Retry, message: impl Into<String>) -> Self {
        Self {
            retry,
            status: None,
            name,
            http_status: None,
            committed: None,
            retry_after: None,
            message: message.into(),
        }
    }

    /// The bytes to send could not be read.
    pub(crate) fn source(error: &io::Error) -> Self {
        let text = format!("the bytes to send could not be read: {error}");
        Self::local("source_failed", Retry::Never, text)
    }

    /// A failure as a daemon tells it, or as it would.
    pub(super) fn told(status: Status, http_status: u16, reply: &ErrorReply) -> Self {
        let told = DaemonError {
            opcode: None,
            status,
            http_status,
            reply: reply.clone(),
        };
        Self {
            retry: status.retry().unwrap_or(Retry::Never),
            status: Some(status),
            name: status.name(),
            http_status: Some(http_status).filter(|status| *status != 0),
            committed: reply.committed,
            retry_after: match reply.retry_after_ms {
                0 => None,
                ms => Some(Duration::from_millis(ms.into())),
            },
            message: told.to_string(),
        }
    }

    /// The same failure, with what is committed of the upload.
    #[must_use]
    pub fn with_committed(self, committed: u64) -> Self {
        Self {
            committed: Some(committed),
            ..self
        }
    }

    /// Whether it is this one of the closed set.
    pub fn is(&self, kind: Kind) -> bool {
        self.status.and_then(Status::kind) == Some(kind)
    }
}

#[cfg(feature = "direct")]
impl From<gcsd_failure::StatusError> for Failure {
    fn from(error: gcsd_failure::StatusError) -> Self {
        Self::told(error.status, error.http_status, &error.reply)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
