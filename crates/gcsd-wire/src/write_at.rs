//! WriteAt: a range of an upload's bytes, streamed (proto-spec.md, "WriteAt").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, known_bits, optional, put};
use gcsd_types::Crc32c;

/// `present` bit: `total` holds a value, and this is the last range.
const TOTAL: u32 = 1;
/// `present` bit: `object_crc32c` holds a value.
const OBJECT_CRC32C: u32 = 2;

/// Where the body belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Args {
    /// The object's byte that the body's first byte is.
    pub offset: u64,
    /// The object's size, if this range is its last.
    pub total: Option<u64>,
    /// The checksum of the whole object, only with `total`: GCS makes no object that differs.
    pub object_crc32c: Option<Crc32c>,
}

/// What GCS holds after the range.
pub type Reply = super::progress::Progress;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Raw {
    offset: U64,
    total: U64,
    object_crc32c: U32,
    present: U32,
}
const _: () = assert!(size_of::<Raw>() == 24);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(
            out,
            &Raw {
                offset: self.offset.into(),
                total: self.total.unwrap_or(0).into(),
                object_crc32c: self.object_crc32c.map_or(0, |crc| crc.0).into(),
                present: (bit(self.total, TOTAL) | bit(self.object_crc32c, OBJECT_CRC32C)).into(),
            },
        );
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: Raw = reader.fixed()?;
        let present = known_bits(raw.present.get(), TOTAL | OBJECT_CRC32C, "present")?;
        if present == OBJECT_CRC32C {
            let why = "is the checksum of the whole object, and goes only with 'total'";
            return Err(ArgsError::Value {
                field: "object_crc32c",
                why,
            });
        }
        reader.end(Self {
            offset: raw.offset.get(),
            total: optional(present, TOTAL, raw.total.get()),
            object_crc32c: optional(present, OBJECT_CRC32C, Crc32c(raw.object_crc32c.get())),
        })
    }
}
