//! The pieces of a body whose length is not known before its end (proto-spec.md, "Framing").

use super::field::Struct;
use super::table::wire_struct;
use gcsd_types::Crc32c;

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

/// Why 8 bytes are not the head of a piece. The connection cannot be framed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PieceError {
    /// The kind is none of the three.
    #[error("a piece has the kind {0}, which is not defined")]
    Kind(u8),
    /// A reserved byte is not 0.
    #[error("the reserved bytes of a piece's head are not 0")]
    Reserved,
    /// The head is not what its checksum says.
    #[error("the head of a piece was damaged on the way: it has another checksum")]
    Damaged,
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

wire_struct! {
    /// The head of a piece of a body.
    #[derive(Clone, Copy)]
    pub(crate) struct Fields: "PieceHead"[8], part {
        /// The bytes that follow in this piece.
        len: u32;
        /// 1 data, 2 end, 3 abort; no other is defined.
        kind: u8;
        /// Of a checked request, the low 24 bits of the CRC32C of the five bytes before, little-endian; else 0.
        check: [u8; 3];
    }
}

type Raw = <Fields as Struct>::Raw;

/// The kinds of pieces: number, name, meaning.
pub const KINDS: &[(u8, &str, &str)] = &[
    (DATA, "data", "the next bytes of the body, at least one"),
    (
        END,
        "end",
        "the body is whole; nothing follows, or the CRC32C of all of it",
    ),
    (ABORT, "abort", "the client takes the body back"),
];

/// What the last three bytes of a piece's head are in a checked request.
pub fn check(head: &[u8; PIECE_HEAD_LEN]) -> [u8; 3] {
    let [a, b, c, _] = Crc32c::of(&head[..5]).0.to_le_bytes();
    [a, b, c]
}

impl PieceHead {
    /// Reads a head of a request that is not checked.
    pub fn decode(bytes: &[u8; PIECE_HEAD_LEN]) -> Result<Self, PieceError> {
        match bytes {
            [.., 0, 0, 0] => Self::of(bytes),
            _ => Err(PieceError::Reserved),
        }
    }

    /// Reads a head of a checked request.
    pub fn decode_checked(bytes: &[u8; PIECE_HEAD_LEN]) -> Result<Self, PieceError> {
        match bytes.ends_with(&check(bytes)) {
            true => Self::of(bytes),
            false => Err(PieceError::Damaged),
        }
    }

    fn of(bytes: &[u8; PIECE_HEAD_LEN]) -> Result<Self, PieceError> {
        let raw: Raw = zerocopy::transmute!(*bytes);
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

    /// The 8 bytes of the head in a request that is not checked.
    pub fn encode(self) -> [u8; PIECE_HEAD_LEN] {
        let (kind, len) = match self {
            Self::Data(len) => (DATA, len),
            Self::End { checksum: false } => (END, 0),
            Self::End { checksum: true } => (END, 4),
            Self::Abort => (ABORT, 0),
        };
        let check = [0; 3];
        zerocopy::transmute!(Fields { len, kind, check }.pack())
    }

    /// The 8 bytes of the head in a checked request.
    pub fn encode_checked(self) -> [u8; PIECE_HEAD_LEN] {
        let mut head = self.encode();
        let check = check(&head);
        head[5..].copy_from_slice(&check);
        head
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
    #[test]
    fn a_checked_head_is_what_was_sent_or_refused() {
        let head = PieceHead::Data(0x0102_0304);
        let bytes = head.encode_checked();
        assert_eq!(bytes[..5], head.encode()[..5]);
        assert_eq!(PieceHead::decode_checked(&bytes), Ok(head));
        // Neither form is taken for the other.
        assert_eq!(PieceHead::decode(&bytes), Err(PieceError::Reserved));
        assert_eq!(
            PieceHead::decode_checked(&head.encode()),
            Err(PieceError::Damaged)
        );
        for bit in 0..64 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                PieceHead::decode_checked(&damaged),
                Err(PieceError::Damaged),
                "bit {bit}"
            );
        }
        // The CRC32C of `04 00 00 00 02` is 0x440cb872.
        let end = PieceHead::End { checksum: true };
        assert_eq!(end.encode_checked(), [4, 0, 0, 0, 2, 0x72, 0xb8, 0x0c]);
    }
}
