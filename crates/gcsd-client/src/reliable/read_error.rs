//! Why an object was not read to its end.

use std::io;

use super::super::Error;
use super::given_up::GivenUp;
use gcsd_types::Crc32c;

/// Why an object, or a part of it, was not read to its end.
///
/// The bytes read before are those of the object's generation, except after [`Damaged`](Self::Damaged).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A request was refused, or no more bytes arrived for too long.
    #[error(transparent)]
    GivenUp(#[from] GivenUp),
    /// The generation that was being read no longer exists.
    #[error("generation {generation} of the object was deleted or replaced while it was read")]
    Gone {
        /// The generation.
        generation: u64,
        /// What GCS said.
        #[source]
        error: Error,
    },
    /// The read failed where it cannot be resumed.
    #[error("the read failed and cannot resume: {why}")]
    CannotResume {
        /// How it failed.
        #[source]
        error: Error,
        /// Why it cannot resume.
        why: &'static str,
    },
    /// The read resumed with something else.
    #[error("the read resumed with {0}")]
    Changed(&'static str),
    /// Bytes were damaged on the way: do not use what was read.
    #[error(
        "the bytes arrived with crc32c {found} and were sent with {expected}: they were damaged on the way"
    )]
    Damaged {
        /// The checksum of what was sent, or that GCS keeps of the object.
        expected: Crc32c,
        /// That of the bytes read.
        found: Crc32c,
    },
}

impl ReadError {
    /// The request that failed, if one did.
    pub fn request(&self) -> Option<&Error> {
        match self {
            Self::GivenUp(given_up) => Some(given_up.error()),
            Self::Gone { error, .. } | Self::CannotResume { error, .. } => Some(error),
            Self::Changed(_) | Self::Damaged { .. } => None,
        }
    }
}

/// The error is the inner one of the I/O error.
impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::Damaged { .. } | ReadError::Changed(_) => io::ErrorKind::InvalidData,
            other => other.request().map_or(io::ErrorKind::Other, Error::io_kind),
        };
        Self::new(kind, error)
    }
}
