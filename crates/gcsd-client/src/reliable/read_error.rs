//! Why a read did not come to its end.

use std::io;

use super::super::Failure;
use super::requests::GivenUp;
use gcsd_types::Crc32c;
use gcsd_wire::Kind;

/// Why an object, or a part of it, was not read to its end.
///
/// The bytes that came before are those of the object's generation, except after [`Damaged`](Self::Damaged).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The request was refused, or nothing more came for too long.
    #[error("{0}")]
    GivenUp(GivenUp),
    /// The generation that was being read is no longer there.
    #[error(
        "the object was replaced or deleted while it was read: generation {generation} is gone ({failure})"
    )]
    Gone {
        /// The generation.
        generation: u64,
        /// What GCS said.
        failure: Failure,
    },
    /// The read failed where it cannot be resumed.
    #[error("the read failed ({failure}) and cannot be resumed: {why}")]
    CannotResume {
        /// How it broke.
        failure: Failure,
        /// What is missing.
        why: &'static str,
    },
    /// A resumed read was answered with something else than what was being read.
    #[error("the resumed read was answered with {0} than the one that was being read")]
    Other(&'static str),
    /// Bytes were damaged on the way: do not use what came.
    #[error("the bytes received have the CRC32C {found}, those sent have {expected}")]
    Damaged {
        /// The checksum of what was sent, or the one that GCS keeps of the object.
        expected: Crc32c,
        /// The checksum of what was received.
        found: Crc32c,
    },
}

impl ReadError {
    /// The request that failed, where it was one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::GivenUp(GivenUp { failure, .. })
            | Self::Gone { failure, .. }
            | Self::CannotResume { failure, .. } => Some(failure),
            Self::Other(_) | Self::Damaged { .. } => None,
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::Damaged { .. } | ReadError::Other(_) => io::ErrorKind::InvalidData,
            other => match other.failure() {
                Some(failure) if failure.is(Kind::NotFound) => io::ErrorKind::NotFound,
                _ => io::ErrorKind::Other,
            },
        };
        Self::new(kind, error)
    }
}
