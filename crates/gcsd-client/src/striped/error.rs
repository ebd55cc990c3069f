//! Why a striped upload did not become an object.

use std::io;

use super::super::{Failure, SourceChanged, UploadError};
use gcsd_types::{Crc32c, NameError, ObjectInfo};

/// Why a striped upload was given up.
///
/// No object appeared, except where the text says so. Temporary objects and open uploads of parts stay until
/// [`StripedUpload::abort`](super::StripedUpload::abort) or another process clears them up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StripedError {
    /// A part could not be uploaded.
    #[error("part {number} of {parts}: {error}")]
    Part {
        /// Which, from 1 on.
        number: usize,
        /// How many there are.
        parts: usize,
        /// Why not.
        error: Box<UploadError>,
    },
    /// A request that belongs to no part failed for good.
    #[error("{what}: {error}")]
    Request {
        /// What was being done.
        what: &'static str,
        /// Why it was not.
        error: Box<UploadError>,
    },
    /// What was to be uploaded changed meanwhile.
    #[error("{0}")]
    Changed(SourceChanged),
    /// The composed object is not what was written.
    #[error(
        "the composed object (generation {}, {} bytes, crc32c {}) is not what was written ({size} bytes, crc32c {crc32c}); {}",
        object.generation, object.size, object.crc32c.unwrap_or_default(),
        if *deleted { "it was deleted" } else { "it could not be deleted, **it is there**" }
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
    /// **The object is there**, and GCS gave no checksum to verify it by.
    #[error(
        "the object is there (generation {}, {} bytes), and cannot be verified: GCS gave no crc32c of it",
        object.generation, object.size
    )]
    Unverified {
        /// The object.
        object: ObjectInfo,
    },
    /// The temporary objects cannot be named.
    #[error("the temporary objects cannot be named: {0}")]
    Name(#[from] NameError),
    /// The checkpoint could not be kept.
    #[error("what a later run needs to go on could not be kept: {message}")]
    Checkpoint {
        /// The kind of the I/O error.
        kind: io::ErrorKind,
        /// Its text.
        message: String,
    },
    /// It was aborted, or its task ended with the runtime.
    #[error("the upload was stopped")]
    Stopped,
}

impl StripedError {
    pub(super) fn checkpoint(error: &io::Error) -> Self {
        Self::Checkpoint {
            kind: error.kind(),
            message: error.to_string(),
        }
    }

    /// The error of one of its uploads or requests, where it is one.
    pub fn cause(&self) -> Option<&UploadError> {
        match self {
            Self::Part { error, .. } | Self::Request { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The request that failed, where it was one.
    pub fn failure(&self) -> Option<&Failure> {
        self.cause().and_then(UploadError::failure)
    }

    /// Whether another process can go on with what is there.
    pub fn is_resumable(&self) -> bool {
        match self {
            Self::Part { error, .. } | Self::Request { error, .. } => {
                // A part's upload that cannot go on can begin again.
                error.is_resumable() || matches!(**error, UploadError::TooManyRestarts { .. })
            }
            Self::Stopped => true,
            _ => false,
        }
    }

    /// Whether somebody else goes on with it.
    pub(super) fn taken_over(&self) -> Option<&Failure> {
        match self.cause() {
            Some(UploadError::TakenOver(failure)) => Some(failure),
            _ => None,
        }
    }
}
