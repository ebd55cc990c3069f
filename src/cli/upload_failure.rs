//! Why an upload failed, in one piece or in parts.

use super::exit::Failure;
use gcsd_client::{Error, StripedError, UploadError};

/// Why an upload failed.
#[derive(Debug)]
pub(super) enum UploadFailure {
    Whole(UploadError),
    Striped(StripedError),
}

impl UploadFailure {
    /// The error of the upload, or of the part that failed.
    pub(super) fn upload(&self) -> Option<&UploadError> {
        match self {
            Self::Whole(error) => Some(error),
            Self::Striped(error) => error.part(),
        }
    }

    /// The request that failed, if one did.
    pub(super) fn request(&self) -> Option<&Error> {
        match self {
            Self::Whole(error) => error.request(),
            Self::Striped(error) => error.request(),
        }
    }

    /// Whether a later run can continue the upload.
    pub(super) fn is_resumable(&self) -> bool {
        match self {
            Self::Whole(error) => error.is_resumable(),
            Self::Striped(error) => error.is_resumable(),
        }
    }
}

impl From<&UploadFailure> for Failure {
    fn from(failure: &UploadFailure) -> Self {
        match failure {
            UploadFailure::Whole(error) => error.into(),
            UploadFailure::Striped(error) => error.into(),
        }
    }
}
