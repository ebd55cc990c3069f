//! ReadAt: bytes of an object, streamed back in frames (proto-spec.md, "ReadAt").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, put};
use super::object::{KEY_BIT, RawObjectInfo, RawObjectRef, no_fields, put_object_ref};
pub use gcsd_types::ByteRange as Range;
use gcsd_types::{Crc32c, ObjectInfo, ObjectRef};

/// `present` bit: `len` counts from the object's end.
const SUFFIX: u32 = 0x20;
/// `present` bit: GCS may decompress an object that is stored with `Content-Encoding: gzip`.
const DECOMPRESS: u32 = 0x40;

/// Which object, and which of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The object; it has no `fields`.
    pub of: ObjectRef,
    /// Its bytes.
    pub range: Range,
    /// Whether GCS may decompress what is stored compressed.
    pub decompress: bool,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    of: RawObjectRef,
    offset: U64,
    len: U64,
}
const _: () = assert!(size_of::<RawArgs>() == 72);

/// The args of a reply's frame: they differ by its place, and their length tells which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The first frame (64 bytes of args, no body): what is coming.
    Start(Start),
    /// A frame of bytes (no args, a body).
    Piece,
    /// The last frame (16 bytes of args, no body): what came.
    End(End),
}

/// What a read gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The object, as far as GCS describes it beside its bytes.
    pub object: ObjectInfo,
    /// The object's byte that comes first.
    pub offset: u64,
    /// How many bytes are coming; `None` where GCS decompresses and does not say.
    pub len: Option<u64>,
}

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Bytes sent in the pieces.
    pub sent: u64,
    /// Their checksum, as the daemon sent them.
    pub crc32c: Crc32c,
}

/// `len` of a read whose length is unknown.
const UNKNOWN: u64 = u64::MAX;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawStart {
    object: RawObjectInfo,
    offset: U64,
    len: U64,
}
const _: () = assert!(size_of::<RawStart>() == 64);

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawEnd {
    sent: U64,
    crc32c: U32,
    reserved: U32,
}
const _: () = assert!(size_of::<RawEnd>() == 16);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let (offset, len, suffix) = match self.range {
            Range::From(offset) => (offset, 0, 0),
            Range::Of { offset, len } => (offset, len, 0),
            Range::Suffix(len) => (0, len, SUFFIX),
        };
        let extra = suffix | if self.decompress { DECOMPRESS } else { 0 };
        put(
            out,
            &RawArgs {
                of: RawObjectRef::pack(&self.of, extra),
                offset: offset.into(),
                len: len.into(),
            },
        );
        put_object_ref(out, &self.of);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawArgs = reader.fixed()?;
        let of = raw.of.unpack(SUFFIX | DECOMPRESS | KEY_BIT, &mut reader)?;
        no_fields(&of)?;
        let present = raw.of.present.get();
        let range = match (present & SUFFIX != 0, raw.offset.get(), raw.len.get()) {
            (true, 0, 0) => {
                return Err(ArgsError::Value {
                    field: "len",
                    why: "is 0, and counts from the end",
                });
            }
            (true, 0, len) => Range::Suffix(len),
            (true, ..) => {
                return Err(ArgsError::Value {
                    field: "offset",
                    why: "must be 0 where len counts from the end",
                });
            }
            (false, offset, 0) => Range::From(offset),
            (false, offset, len) if offset.checked_add(len).is_some() => Range::Of { offset, len },
            (false, ..) => {
                return Err(ArgsError::Value {
                    field: "len",
                    why: "reaches beyond 2^64",
                });
            }
        };
        reader.end(Self {
            of,
            range,
            decompress: present & DECOMPRESS != 0,
        })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Start(start) => put(
                out,
                &RawStart {
                    object: RawObjectInfo::pack(&start.object),
                    offset: start.offset.into(),
                    len: start.len.unwrap_or(UNKNOWN).into(),
                },
            ),
            Self::Piece => {}
            Self::End(end) => put(
                out,
                &RawEnd {
                    sent: end.sent.into(),
                    crc32c: end.crc32c.0.into(),
                    reserved: U32::ZERO,
                },
            ),
        }
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        if bytes.is_empty() {
            return Ok(Self::Piece);
        }
        let mut reader = Reader::new(bytes.clone());
        if bytes.len() == size_of::<RawEnd>() {
            let raw: RawEnd = reader.fixed()?;
            return reader.end(Self::End(End {
                sent: raw.sent.get(),
                crc32c: Crc32c(raw.crc32c.get()),
            }));
        }
        let raw: RawStart = reader.fixed()?;
        let len = Some(raw.len.get()).filter(|len| *len != UNKNOWN);
        reader.end(Self::Start(Start {
            object: raw.object.unpack(),
            offset: raw.offset.get(),
            len,
        }))
    }
}
