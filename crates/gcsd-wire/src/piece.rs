//! The pieces of a body whose length is not known before its end (proto-spec.md, "Framing").

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The size of a piece's head in bytes.
pub const PIECE_HEAD_LEN: usize = 8;

/// The size of the checksum that an end piece can carry, in bytes.
pub const CHECKSUM_LEN: usize = 4;

/// `kind` of a piece with bytes of the body.
const DATA: u8 = 1;
/// `kind` of the piece that ends the body.
const END: u8 = 2;
/// `kind` of the piece that takes the body back.
const ABORT: u8 = 3;

/// Why 8 bytes are no head of a piece. The connection cannot be framed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PieceError {
    /// The kind is none of the three.
    #[error("a piece has the kind {0}, which is not defined")]
    Kind(u8),
    /// A reserved byte is not 0.
    #[error("the reserved bytes of a piece's head are not 0")]
    Reserved,
    /// A piece of data is empty.
    #[error("a piece of data holds no bytes")]
    Empty,
    /// The length is not one that the kind can have.
    #[error("a piece of the kind {kind} says that {len} bytes follow")]
    Len {
        /// The piece's kind.
        kind: u8,
        /// What its head says.
        len: u32,
    },
}

/// The head of a piece: what it is, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceHead {
    /// So many bytes of the body follow, at least one.
    Data(u32),
    /// The body is whole.
    End {
        /// The body's CRC32C follows, in [`CHECKSUM_LEN`] bytes.
        checksum: bool,
    },
    /// The body is not to be used.
    Abort,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Raw {
    len: U32,
    kind: u8,
    reserved: [u8; 3],
}
const _: () = assert!(size_of::<Raw>() == PIECE_HEAD_LEN);

impl PieceHead {
    /// Reads a head.
    pub fn decode(bytes: &[u8; PIECE_HEAD_LEN]) -> Result<Self, PieceError> {
        let raw: Raw = zerocopy::transmute!(*bytes);
        if raw.reserved != [0; 3] {
            return Err(PieceError::Reserved);
        }
        match (raw.kind, raw.len.get()) {
            (DATA, 0) => Err(PieceError::Empty),
            (DATA, len) => Ok(Self::Data(len)),
            (END, 0) => Ok(Self::End { checksum: false }),
            (END, 4) => Ok(Self::End { checksum: true }),
            (ABORT, 0) => Ok(Self::Abort),
            (kind @ (END | ABORT), len) => Err(PieceError::Len { kind, len }),
            (kind, _) => Err(PieceError::Kind(kind)),
        }
    }

    /// The 8 bytes of the head.
    pub fn encode(self) -> [u8; PIECE_HEAD_LEN] {
        let (kind, len) = match self {
            Self::Data(len) => (DATA, len),
            Self::End { checksum: false } => (END, 0),
            Self::End { checksum: true } => (END, 4),
            Self::Abort => (ABORT, 0),
        };
        zerocopy::transmute!(Raw {
            len: len.into(),
            kind,
            reserved: [0; 3],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_back_from_their_bytes() {
        for head in [
            PieceHead::Data(1),
            PieceHead::Data(u32::MAX),
            PieceHead::End { checksum: false },
            PieceHead::End { checksum: true },
            PieceHead::Abort,
        ] {
            assert_eq!(PieceHead::decode(&head.encode()), Ok(head));
        }
        assert_eq!(PieceHead::Data(0x0102_0304).encode(), [4, 3, 2, 1, 1, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for (bytes, error) in [
            ([0; 8], PieceError::Kind(0)),
            ([0, 0, 0, 0, 1, 0, 0, 0], PieceError::Empty),
            ([1, 0, 0, 0, 4, 0, 0, 0], PieceError::Kind(4)),
            ([1, 0, 0, 0, 1, 0, 0, 9], PieceError::Reserved),
            ([3, 0, 0, 0, 2, 0, 0, 0], PieceError::Len { kind: 2, len: 3 }),
            ([4, 0, 0, 0, 3, 0, 0, 0], PieceError::Len { kind: 3, len: 4 }),
            (*b"GCS?\x01\x02\0\0", PieceError::Reserved),
        ] {
            assert_eq!(PieceHead::decode(&bytes), Err(error), "{bytes:02x?}");
        }
    }
}
