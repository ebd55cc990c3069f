//! What a failed request is as one status of gcsd's protocol.
//!
//! [`gcsd_gcs`] says what happened in the words of HTTP and of uploads, [`gcsd_wire`] has a closed set of statuses that say
//! whose fault it was and what to do next. This crate is the one place that maps the first to the second, for the daemon and
//! for the client that goes straight to Cloud Storage: recovery need not know which of the two it talks to.
//!
//! ```
//! use gcsd_failure::Failure;
//! use gcsd_gcs::Refusal;
//! use gcsd_wire::{Kind, Retry};
//!
//! let gap = Refusal::Gap { offset: 524_288, committed: 262_144 };
//! let error = Failure::from(gap);
//! assert_eq!(error.status.kind(), Some(Kind::Gap));
//! assert_eq!(error.status.retry(), Some(Retry::Query));
//! assert_eq!(error.reply.committed, Some(262_144));
//! ```

use std::fmt;

use gcsd_gcs::{Anomaly, Call, Error, ErrorKind, Recovery, Refusal, SessionError};
use gcsd_types::NameError;
use gcsd_wire::{ArgsError, ErrorReply, Kind, Retry, Status};

/// A request that was not carried out, in what the protocol says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The status of the reply.
    pub status: Status,
    /// GCS's HTTP status; 0 where GCS did not answer.
    pub http_status: u16,
    /// The args of the reply: what else is known.
    pub reply: ErrorReply,
}

impl Failure {
    /// A failure that GCS had no part in.
    pub fn new(kind: Kind, retry: Retry, message: impl Into<String>) -> Self {
        Self {
            status: Status::new(kind, retry),
            http_status: 0,
            reply: ErrorReply {
                message: message.into(),
                ..ErrorReply::default()
            },
        }
    }

    /// The same failure, with what is committed of the upload that it concerns.
    #[must_use]
    pub fn with_committed(mut self, committed: u64) -> Self {
        self.reply.committed = Some(committed);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.reply.message)
    }
}

impl std::error::Error for Failure {}

impl From<ArgsError> for Failure {
    fn from(error: ArgsError) -> Self {
        let kind = match error {
            ArgsError::Name(_) => Kind::BadName,
            _ => Kind::BadArgs,
        };
        Self::new(kind, Retry::Never, error.to_string())
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        ArgsError::Name(error).into()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (kind, retry) = match refusal {
            Refusal::Unsettled => (Kind::Unsettled, Retry::Query),
            Refusal::Ended => (Kind::UploadEnded, Retry::Never),
            Refusal::Gap { .. } => (Kind::Gap, Retry::Query),
            Refusal::Alignment { .. } | Refusal::Short { .. } => (Kind::BadAlignment, Retry::Never),
            Refusal::Empty => (Kind::BadBody, Retry::Never),
            Refusal::Total { .. } | Refusal::TooLong => (Kind::BadArgs, Retry::Never),
        };
        let failure = Self::new(kind, retry, refusal.to_string());
        match refusal {
            Refusal::Gap { committed, .. } => failure.with_committed(committed),
            _ => failure,
        }
    }
}

impl From<Anomaly> for Failure {
    fn from(anomaly: Anomaly) -> Self {
        let (kind, retry) = match anomaly {
            Anomaly::Incomplete { .. } => (Kind::Incomplete, Retry::Query),
            Anomaly::Regress { .. } => (Kind::Regress, Retry::Never),
            Anomaly::NoRange { .. } => (Kind::BadResponse, Retry::Query),
            Anomaly::Size { .. } => (Kind::BadResponse, Retry::Never),
        };
        let mut failure = Self::new(kind, retry, anomaly.to_string());
        failure.http_status = if matches!(anomaly, Anomaly::Size { .. }) {
            200
        } else {
            308
        };
        match anomaly {
            Anomaly::Incomplete { committed } => failure.with_committed(committed),
            Anomaly::Regress { before, .. } | Anomaly::NoRange { before } => failure.with_committed(before),
            Anomaly::Size { .. } => failure,
        }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Refused(refusal) => refusal.into(),
            SessionError::Call { error, committed } => Self::from(error).with_committed(committed),
            SessionError::Anomaly(anomaly) => anomaly.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let retry = match (error.recovery(), error.call()) {
            // Cancelling twice does no harm.
            (Recovery::Query, Some(Call::Cancel)) | (Recovery::Same, _) => Retry::Same,
            (Recovery::Query, _) => Retry::Query,
            (Recovery::Never, _) => Retry::Never,
            (Recovery::Restart, _) => Retry::Restart,
        };
        let http_status = error.http_status().unwrap_or(0);
        let retry_after = error.retry_after().map_or(0, |delay| delay.as_millis());
        Self {
            status: Status::new(kind_of(error.kind(), error.meant_status().unwrap_or(0)), retry),
            http_status,
            reply: ErrorReply {
                committed: None,
                retry_after_ms: u32::try_from(retry_after).unwrap_or(u32::MAX),
                message: error.message().to_owned(),
                reason: error.reason().map(str::to_owned),
                request_id: error.request_id().map(str::to_owned),
                versions: Box::default(),
            },
        }
    }
}

/// `meant` is the HTTP status that says what GCS means.
fn kind_of(kind: ErrorKind, meant: u16) -> Kind {
    match kind {
        ErrorKind::Invalid => Kind::BadArgs,
        ErrorKind::Exhausted => Kind::Exhausted,
        ErrorKind::Resolve | ErrorKind::Connect | ErrorKind::ConnectTimeout | ErrorKind::ProxyRefused => {
            Kind::ConnectFailed
        }
        ErrorKind::Tls | ErrorKind::Certificate => Kind::TlsFailed,
        ErrorKind::Reset => Kind::Reset,
        ErrorKind::EarlyClose => Kind::EarlyClose,
        ErrorKind::GcsStalled => Kind::GcsStalled,
        ErrorKind::SourceStalled => Kind::ClientStalled,
        ErrorKind::SourceEnded | ErrorKind::SourceFailed => Kind::BodyTruncated,
        ErrorKind::SourceTaken => Kind::Draining,
        ErrorKind::SourceAborted => Kind::BodyAborted,
        ErrorKind::SourceMalformed => Kind::BadBody,
        ErrorKind::SourceDamaged => Kind::BodyDamaged,
        ErrorKind::BadResponse => Kind::BadResponse,
        ErrorKind::SessionLost | ErrorKind::SessionCancelled => Kind::SessionLost,
        ErrorKind::LateError => Kind::Unavailable,
        ErrorKind::Gap => Kind::Gap,
        ErrorKind::ChecksumMismatch => Kind::ChecksumMismatch,
        ErrorKind::CredentialsRefused => Kind::CredentialsRefused,
        ErrorKind::CredentialsUnavailable | ErrorKind::CredentialsTimeout => Kind::CredentialsUnavailable,
        ErrorKind::Http => match meant {
            401 => Kind::GcsUnauthorized,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            408 | 500..=599 => Kind::Unavailable,
            409 => Kind::Conflict,
            304 | 412 => Kind::PreconditionFailed,
            416 => Kind::RangeNotSatisfiable,
            429 => Kind::RateLimited,
            _ => Kind::Refused,
        },
        // A kind that has come to gcsd-gcs since; the test below finds it.
        _ => Kind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcsd_wire::Layer;

    #[test]
    fn every_kind_of_error_has_a_status() {
        use ErrorKind as From;
        for kind in ErrorKind::ALL {
            let status = kind_of(*kind, 0);
            assert_ne!(status, Kind::Internal, "{kind:?} has none");
            let layer = match kind {
                From::Invalid | From::Gap => Layer::Client,
                From::SourceStalled | From::SourceEnded | From::SourceFailed => Layer::Client,
                From::SourceAborted | From::SourceMalformed | From::SourceDamaged => Layer::Client,
                From::SourceTaken | From::Exhausted => Layer::Daemon,
                From::SessionLost | From::SessionCancelled | From::ChecksumMismatch => Layer::Gcs,
                From::Http | From::LateError => Layer::Gcs,
                From::CredentialsRefused | From::CredentialsUnavailable => Layer::Credentials,
                From::CredentialsTimeout => Layer::Credentials,
                _ => Layer::Network,
            };
            assert_eq!(status.layer(), layer, "{kind:?}");
        }
    }

    #[test]
    fn a_failed_session_request_says_what_is_committed() {
        let regress = Anomaly::Regress { before: 7, now: 3 };
        let error = Failure::from(SessionError::Anomaly(regress));
        assert_eq!(error.status, Status::new(Kind::Regress, Retry::Never));
        assert_eq!((error.http_status, error.reply.committed), (308, Some(7)));
        assert_eq!(error.to_string(), format!("regress: {regress}"));
        let error = Failure::from(SessionError::Refused(Refusal::Unsettled));
        assert_eq!(error.status, Status::new(Kind::Unsettled, Retry::Query));
        assert_eq!((error.http_status, error.reply.committed), (0, None));
    }
}
