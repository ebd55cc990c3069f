//! Why a striped upload did not become an object.

use super::super::{Error, GivenUp, IoError, SourceChanged, UploadError};
use gcsd_types::{Crc32c, NameError, ObjectInfo};

/// Why a striped upload was given up.
///
/// No object appeared, except where the text says so. Temporary objects and the uploads of parts stay until
/// [`StripedUpload::abort`](super::StripedUpload::abort) or another process cleans them up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StripedError {
    /// A part could not be uploaded.
    #[error("part {number} of {parts}")]
    Part {
        /// Which, from 1 on.
        number: usize,
        /// How many there are.
        parts: usize,
        /// Why not.
        #[source]
        error: Box<UploadError>,
    },
    /// A request that belongs to no part was given up.
    #[error("{what}")]
    Request {
        /// What it was to do.
        what: &'static str,
        /// Why it did not.
        #[source]
        error: GivenUp,
    },
    /// The source changed during the upload.
    #[error(transparent)]
    Changed(#[from] SourceChanged),
    /// The composed object is not what was written.
    #[error(
        "the composed object (generation {}, {} bytes, crc32c {}) is not what was written ({size} bytes, crc32c {crc32c}); {}",
        object.generation, object.size, object.crc32c.unwrap_or_default(),
        if *deleted { "it was deleted" } else { "it could not be deleted and still exists" }
    )]
    Mismatch {
        /// The object.
        object: ObjectInfo,
        /// The bytes that were written.
        size: u64,
        /// Their checksum.
        crc32c: Crc32c,
        /// That generation is gone again.
        deleted: bool,
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
    /// The temporary objects cannot be named.
    #[error("the temporary objects cannot be named")]
    Name(#[from] NameError),
    /// The checkpoint could not be saved.
    #[error("the checkpoint that a later run needs could not be saved")]
    Checkpoint(#[source] IoError),
    /// It was aborted, or its task ended with the runtime.
    #[error("the upload was stopped")]
    Stopped,
}

impl StripedError {
    /// Whether a part's time is spent.
    pub(super) fn is_exhausted(&self) -> bool {
        match self {
            Self::Part { error, .. } => matches!(
                **error,
                UploadError::Unknown { .. } | UploadError::GivenUp(GivenUp::Exhausted { .. })
            ),
            _ => false,
        }
    }

    /// The request that failed, if one did.
    pub fn request(&self) -> Option<&Error> {
        match self {
            Self::Part { error, .. } => error.request(),
            Self::Request { error, .. } => Some(error.error()),
            _ => None,
        }
    }

    /// Why a part could not be uploaded, if that is what happened.
    pub fn part(&self) -> Option<&UploadError> {
        match self {
            Self::Part { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Whether another process can continue with what is there.
    pub fn is_resumable(&self) -> bool {
        match self {
            // A part's upload that cannot continue can begin again.
            Self::Part { error, .. } => {
                error.is_resumable() || matches!(**error, UploadError::TooManyRestarts { .. })
            }
            Self::Request { error, .. } => !error.is_unknown(),
            Self::Stopped => true,
            Self::Changed(_)
            | Self::Mismatch { .. }
            | Self::Unverified { .. }
            | Self::Name(_)
            | Self::Checkpoint(_) => false,
        }
    }

    /// Why a part was lost to another client, if one was.
    pub fn taken_over(&self) -> Option<&Error> {
        match self.part() {
            Some(UploadError::TakenOver(error)) => Some(error),
            _ => None,
        }
    }
}
