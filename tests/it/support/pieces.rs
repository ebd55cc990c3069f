//! Bodies in pieces, as bytes.

use gcsd_types::Crc32c;
use gcsd_wire::PieceHead;

/// A piece of data.
pub(crate) fn data(bytes: &[u8]) -> Vec<u8> {
    let head = PieceHead::Data(u32::try_from(bytes.len()).expect("short"));
    [&head.encode()[..], bytes].concat()
}

/// The end, with a checksum or without.
pub(crate) fn end(checksum: Option<Crc32c>) -> Vec<u8> {
    let head = PieceHead::End {
        checksum: checksum.is_some(),
    };
    let mut bytes = head.encode().to_vec();
    if let Some(checksum) = checksum {
        bytes.extend_from_slice(&checksum.0.to_le_bytes());
    }
    bytes
}

/// A piece of data of a checked request.
pub(crate) fn data_checked(bytes: &[u8]) -> Vec<u8> {
    let head = PieceHead::Data(u32::try_from(bytes.len()).expect("short"));
    [&head.encode_checked()[..], bytes].concat()
}

/// The end of a checked request's body.
pub(crate) fn end_checked(checksum: Crc32c) -> Vec<u8> {
    let head = PieceHead::End { checksum: true };
    [&head.encode_checked()[..], &checksum.0.to_le_bytes()].concat()
}

/// An abort.
pub(crate) fn abort() -> Vec<u8> {
    PieceHead::Abort.encode().to_vec()
}

/// A whole body in pieces of `len` bytes, with its checksum.
pub(crate) fn whole(body: &[u8], len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = body.chunks(len).flat_map(data).collect();
    bytes.extend(end(Some(Crc32c::of(body))));
    bytes
}
