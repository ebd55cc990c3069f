//! FinishUpload: make the object of what is committed (proto-spec.md, "FinishUpload").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, known_bits, optional, put};
use gcsd_types::Crc32c;

/// `present` bit: `object_crc32c` holds a value.
const OBJECT_CRC32C: u32 = 1;

/// How large the object is, and what its bytes sum up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Args {
    /// The object's size.
    pub total: u64,
    /// The checksum of the whole object: GCS makes no object that differs.
    pub object_crc32c: Option<Crc32c>,
}

/// The finished object.
pub type Reply = super::progress::Progress;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Raw {
    total: U64,
    object_crc32c: U32,
    present: U32,
}
const _: () = assert!(size_of::<Raw>() == 16);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(
            out,
            &Raw {
                total: self.total.into(),
                object_crc32c: self.object_crc32c.map_or(0, |crc| crc.0).into(),
                present: bit(self.object_crc32c, OBJECT_CRC32C).into(),
            },
        );
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: Raw = reader.fixed()?;
        let present = known_bits(raw.present.get(), OBJECT_CRC32C, "present")?;
        reader.end(Self {
            total: raw.total.get(),
            object_crc32c: optional(present, OBJECT_CRC32C, Crc32c(raw.object_crc32c.get())),
        })
    }
}
