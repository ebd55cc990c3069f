//! What another process needs to resume an upload.

use super::super::Token;
use gcsd_types::Crc32c;

/// Where an upload stands, so that another process can resume it.
///
/// To continue, bring the object's bytes from `offset` on; what is committed beyond that is compared by the
/// checksum of the whole object, and not sent again. Where all the bytes can be had again, the token is enough:
/// `Checkpoint::from(token)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The upload.
    pub token: Token,
    /// Bytes that are committed, from the object's start.
    pub offset: u64,
    /// Their checksum.
    pub crc32c: Crc32c,
}

impl Checkpoint {
    /// The first `offset` bytes of the upload are committed, and have the checksum `crc32c`.
    pub fn new(token: Token, offset: u64, crc32c: Crc32c) -> Self {
        Self {
            token,
            offset,
            crc32c,
        }
    }
}

/// From the object's first byte on.
impl From<Token> for Checkpoint {
    fn from(token: Token) -> Self {
        Self::new(token, 0, Crc32c::default())
    }
}
