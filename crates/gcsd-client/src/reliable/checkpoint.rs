//! What lets another process go on with an upload.

use super::super::Token;
use gcsd_types::Crc32c;

/// Where an upload stands, for another process to go on with it.
///
/// Whoever goes on brings the object's bytes from `offset` on; what is committed beyond that is compared by the
/// checksum of the whole object, and not sent again. `Checkpoint { offset: 0, crc32c: Crc32c::default(), .. }` with the same
/// token is as good where all the bytes can be had again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The upload.
    pub token: Token,
    /// Bytes that are committed, from the object's start.
    pub offset: u64,
    /// Their checksum.
    pub crc32c: Crc32c,
}
