//! A failed request: from GCS's and the upload's words to one status of the closed set.
//!
//! The daemon's requests and the client's direct writer both fail in these words, so that whoever recovers need not
//! know which of them it has.

use gcsd_gcs::upload::{Anomaly, Refusal};
use gcsd_gcs::{Call, Error, ErrorKind, Recovery};
use gcsd_types::NameError;
use gcsd_wire::{ArgsError, ErrorReply, Kind, Retry, Status};

/// A request that was not carried out, as the client is told of it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The status of the reply.
    pub status: Status,
    /// GCS's HTTP status; 0 where GCS did not answer.
    pub http_status: u16,
    /// What else is known.
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

    /// Whether the daemon cannot know what of the request arrived at GCS.
    pub fn is_unknown(&self) -> bool {
        self.status.retry() == Some(Retry::Query)
    }
}

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
            Refusal::Alignment { .. } => (Kind::BadAlignment, Retry::Never),
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

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let retry = match (error.recovery(), error.call()) {
            // Cancelling twice does no harm.
            (Recovery::Query, Some(Call::Cancel)) | (Recovery::Same, _) => Retry::Same,
            (Recovery::Query, _) => Retry::Query,
            (Recovery::Never, _) => Retry::Never,
            (Recovery::Restart, _) => Retry::Restart,
        };
        let retry_after = error.retry_after().map_or(0, |delay| delay.as_millis());
        Self {
            status: Status::new(kind_of(&error), retry),
            http_status: error.http_status().unwrap_or(0),
            reply: ErrorReply {
                committed: None,
                retry_after_ms: u32::try_from(retry_after).unwrap_or(u32::MAX),
                message: error.message().to_owned(),
                reason: error.reason().map(str::to_owned),
                request_id: error.request_id().map(str::to_owned),
            },
        }
    }
}

fn kind_of(error: &Error) -> Kind {
    match error.kind() {
        ErrorKind::Invalid => Kind::BadArgs,
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
        ErrorKind::Http => match error.http_status().unwrap_or(0) {
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
    }
}
