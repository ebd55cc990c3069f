//! Why an upload did not become an object.

use std::io;

use super::super::{Error, Seen};
use super::given_up::GivenUp;
use super::options::OptionsError;
use super::source::SourceChanged;
use gcsd_types::{Crc32c, ObjectInfo};

/// Why an upload was given up.
///
/// No object appeared, except where the text says so. What is committed stays at GCS for a week: if
/// [`is_resumable`](Self::is_resumable), a checkpoint brings it back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// A request was refused, or nothing more was committed for too long.
    #[error(transparent)]
    GivenUp(#[from] GivenUp),
    /// Another client attached to the upload and continues it. This one does not fight back: resuming it takes the upload
    /// from the other.
    #[error("another client has taken the upload over")]
    TakenOver(#[source] Error),
    /// Only a new upload from byte 0 helps, and byte 0 is gone.
    #[error(
        "the upload is lost and its first {released} bytes are no longer held: write it again from its first byte"
    )]
    CannotRestart {
        /// What happened.
        #[source]
        error: Error,
        /// How many bytes would have to be written again.
        released: u64,
    },
    /// It restarted from byte 0 as often as allowed.
    #[error("gave up after beginning again from byte 0 {restarts} times")]
    TooManyRestarts {
        /// The last failure.
        #[source]
        error: Error,
        /// How many restarts there were.
        restarts: u32,
    },
    /// GCS holds bytes that this upload never sent.
    #[error(
        "GCS holds {committed} bytes of the upload, but only {sent} were sent: another client writes to it"
    )]
    Ahead {
        /// What GCS reported.
        committed: u64,
        /// The end of what was sent.
        sent: u64,
    },
    /// GCS reports less than before.
    #[error("GCS reports {now} bytes of the upload after {before} were committed: committed bytes are lost")]
    Regress {
        /// What it had reported.
        before: u64,
        /// What it reports.
        now: u64,
    },
    /// The object was finished by another client.
    #[error("another client finished the object, with {} bytes and generation {}", object.size, object.generation)]
    FinishedElsewhere {
        /// The object.
        object: ObjectInfo,
    },
    /// **The object exists**, and is not what was written.
    #[error(
        "the object (generation {}, {} bytes, crc32c {}) is not what was written ({size} bytes, crc32c {crc32c})",
        object.generation, object.size, object.crc32c.unwrap_or_default()
    )]
    Mismatch {
        /// The object.
        object: ObjectInfo,
        /// The bytes that were written.
        size: u64,
        /// Their checksum.
        crc32c: Crc32c,
    },
    /// **The object exists**, and GCS gave no checksum to verify it by.
    #[error(
        "the object exists (generation {}, {} bytes) but cannot be verified: GCS gave no crc32c",
        object.generation, object.size
    )]
    Unverified {
        /// The object.
        object: ObjectInfo,
    },
    /// **The object may have been made.** The answer to the request that finishes it was lost, the upload is gone, and what
    /// is there now does not tell.
    #[error("it is unknown whether the object was made: {seen}")]
    Unknown {
        /// The last failure.
        #[source]
        error: Error,
        /// What is there.
        seen: Box<Seen>,
    },
    /// There are more or fewer bytes than the size declared at the start.
    #[error("the upload was started with a size of {declared} bytes, but {size} bytes came")]
    Size {
        /// The bytes that were written.
        size: u64,
        /// What GCS was told.
        declared: u64,
    },
    /// The source changed during the upload.
    #[error(transparent)]
    Changed(#[from] SourceChanged),
    /// The options of the upload cannot work. Nothing happened.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// Bytes were written after the end.
    #[error("bytes were written after the end of the upload")]
    AfterEnd,
    /// It was aborted, or its task ended with the runtime.
    #[error("the upload was stopped")]
    Stopped,
}

impl UploadError {
    /// The source of the bytes failed.
    pub(crate) fn source_failed(error: io::Error) -> Self {
        Self::refused(Error::Source(error.into()))
    }

    pub(super) fn refused(error: Error) -> Self {
        Self::GivenUp(GivenUp::Refused(error))
    }

    /// The request that failed, if one did.
    pub fn request(&self) -> Option<&Error> {
        match self {
            Self::GivenUp(given_up) => Some(given_up.error()),
            Self::TakenOver(error)
            | Self::CannotRestart { error, .. }
            | Self::TooManyRestarts { error, .. }
            | Self::Unknown { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Whether a checkpoint can still bring what is committed to its object.
    pub fn is_resumable(&self) -> bool {
        match self {
            Self::GivenUp(_) | Self::TakenOver(_) | Self::Stopped => true,
            // A run that resumes it looks again.
            Self::Unknown { seen, .. } => matches!(**seen, Seen::Unseen(_)),
            Self::CannotRestart { .. }
            | Self::TooManyRestarts { .. }
            | Self::Ahead { .. }
            | Self::Regress { .. }
            | Self::FinishedElsewhere { .. }
            | Self::Mismatch { .. }
            | Self::Unverified { .. }
            | Self::Size { .. }
            | Self::Changed(_)
            | Self::Options(_)
            | Self::AfterEnd => false,
        }
    }
}

impl From<UploadError> for io::Error {
    fn from(error: UploadError) -> Self {
        let kind = match (&error, error.request()) {
            (_, Some(Error::Source(source))) => source.kind(),
            (UploadError::Stopped | UploadError::AfterEnd, _) => io::ErrorKind::BrokenPipe,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
