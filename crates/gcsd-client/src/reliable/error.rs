//! Why an upload did not become an object.

use std::io;
use std::time::Duration;

use super::super::Failure;
use super::source::SourceChanged;
use gcsd_types::{Crc32c, ObjectInfo};

/// Why an upload was given up.
///
/// No object appeared, except where the text says so. What is committed stays at GCS for a week: where
/// [`is_resumable`](Self::is_resumable), a checkpoint brings it back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// A request was refused, and would be again.
    #[error("{0}")]
    Refused(Failure),
    /// Somebody else attached to the upload and goes on with it. This one does not fight back: resuming it takes
    /// the upload from them.
    #[error("somebody else has taken the upload over and goes on with it ({0})")]
    TakenOver(Failure),
    /// Nothing more was committed for too long.
    #[error("gave up after {tries} failure{} and {} s without one more byte committed; the last: {failure}", if *tries == 1 { "" } else { "s" }, spent.as_secs())]
    Exhausted {
        /// The last failure.
        failure: Failure,
        /// How many there were since the last committed byte.
        tries: u32,
        /// How long ago the first of them was, the time of a slow producer left out.
        spent: Duration,
    },
    /// Only a new upload from byte 0 helps, and byte 0 is gone.
    #[error(
        "the upload is lost ({failure}), and the first {released} bytes of it are no longer held: start it again from its first byte (a file is read again by itself)"
    )]
    CannotRestart {
        /// What happened.
        failure: Failure,
        /// How many bytes would have to be had again.
        released: u64,
    },
    /// It was begun again from byte 0 as often as allowed.
    #[error("gave up after {restarts} new starts from byte 0; the last failure: {failure}")]
    TooManyRestarts {
        /// The last failure.
        failure: Failure,
        /// How many there were.
        restarts: u32,
    },
    /// GCS holds bytes that this upload never sent.
    #[error(
        "GCS holds {committed} bytes of the upload, and only {sent} were sent: somebody else writes to it"
    )]
    Ahead {
        /// What GCS reported.
        committed: u64,
        /// The end of what was sent.
        sent: u64,
    },
    /// GCS reports less than before.
    #[error("GCS reports {now} bytes of the upload, and had confirmed {before}: confirmed bytes are lost")]
    Regress {
        /// What it had reported.
        before: u64,
        /// What it reports.
        now: u64,
    },
    /// The object was finished, and not by us.
    #[error("the object was finished by somebody else, with {} bytes and generation {}", object.size, object.generation)]
    FinishedElsewhere {
        /// The object that is there.
        object: ObjectInfo,
    },
    /// **The object is there**, and is not what was written.
    #[error(
        "the object that is there (generation {}, {} bytes, crc32c {}) is not what was written ({size} bytes, crc32c {crc32c})",
        object.generation, object.size, object.crc32c.unwrap_or_default()
    )]
    Mismatch {
        /// The object that is there.
        object: ObjectInfo,
        /// The bytes that were written.
        size: u64,
        /// Their checksum.
        crc32c: Crc32c,
    },
    /// **The object is there**, and GCS gave no checksum to verify it by.
    #[error(
        "the object is there (generation {}, {} bytes), and cannot be verified: GCS gave no crc32c of it",
        object.generation, object.size
    )]
    Unverified {
        /// The object that is there.
        object: ObjectInfo,
    },
    /// The bytes are not as many as was told to GCS at the start.
    #[error("the object has {size} bytes, and was started with a size of {declared}")]
    Size {
        /// The bytes that came.
        size: u64,
        /// What was told.
        declared: u64,
    },
    /// The bytes to send could not be read.
    #[error("the bytes to send could not be read: {message}")]
    Source {
        /// The kind of the I/O error.
        kind: io::ErrorKind,
        /// Its text.
        message: String,
    },
    /// What was to be uploaded changed meanwhile.
    #[error("{0}")]
    Changed(SourceChanged),
    /// Bytes were written behind the end.
    #[error("bytes were written after the upload's end was said")]
    AfterEnd,
    /// It was aborted, or its task ended with the runtime.
    #[error("the upload was stopped")]
    Stopped,
}

impl UploadError {
    pub(super) fn source(error: &io::Error) -> Self {
        let changed = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<SourceChanged>());
        if let Some(changed) = changed {
            return Self::Changed(changed.clone());
        }
        Self::Source {
            kind: error.kind(),
            message: error.to_string(),
        }
    }

    /// The request that failed, where it was one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Refused(failure)
            | Self::TakenOver(failure)
            | Self::Exhausted { failure, .. }
            | Self::CannotRestart { failure, .. }
            | Self::TooManyRestarts { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// Whether what is committed can become the object yet, by a checkpoint.
    pub fn is_resumable(&self) -> bool {
        match self {
            Self::Refused(_)
            | Self::TakenOver(_)
            | Self::Exhausted { .. }
            | Self::Source { .. }
            | Self::Stopped => true,
            Self::CannotRestart { .. }
            | Self::TooManyRestarts { .. }
            | Self::Ahead { .. }
            | Self::Regress { .. }
            | Self::FinishedElsewhere { .. }
            | Self::Mismatch { .. }
            | Self::Unverified { .. }
            | Self::Size { .. }
            | Self::Changed(_)
            | Self::AfterEnd => false,
        }
    }
}

impl From<UploadError> for io::Error {
    fn from(error: UploadError) -> Self {
        let kind = match &error {
            UploadError::Source { kind, .. } => *kind,
            UploadError::Stopped | UploadError::AfterEnd => io::ErrorKind::BrokenPipe,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
