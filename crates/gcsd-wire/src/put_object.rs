//! PutObject: an object in one request (proto-spec.md, "PutObject").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, optional, put};
use super::destination::{RawDestination, put_destination};
use super::object::{KEY_BIT, PRECONDITION_BITS, RawObjectInfo};
use gcsd_types::{Crc32c, Destination, ObjectInfo};

/// `present` bit: `object_crc32c` holds a value.
const OBJECT_CRC32C: u32 = 0x20;

/// What the object will be; the body is its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The object.
    pub destination: Destination,
    /// The checksum of its bytes: GCS makes no object that differs.
    pub object_crc32c: Option<Crc32c>,
}

/// The object. The reply's body is its JSON resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Bytes of the body that the daemon received.
    pub received: u64,
    /// The checksum of those bytes.
    pub received_crc32c: Crc32c,
    /// The object.
    pub object: ObjectInfo,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    received: U64,
    received_crc32c: U32,
    reserved: U32,
    object: RawObjectInfo,
}
const _: () = assert!(size_of::<RawReply>() == 64);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let crc32c = self.object_crc32c.map_or(0, |crc| crc.0);
        let mut raw = RawDestination::pack(&self.destination, crc32c, None);
        raw.present |= bit(self.object_crc32c, OBJECT_CRC32C);
        put(out, &raw);
        put_destination(out, &self.destination);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawDestination = reader.fixed()?;
        let allowed = PRECONDITION_BITS | OBJECT_CRC32C | KEY_BIT;
        let destination = raw.unpack(allowed, &mut reader)?;
        reader.end(Self {
            destination,
            object_crc32c: optional(raw.present.get(), OBJECT_CRC32C, Crc32c(raw.count.get())),
        })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        put(
            out,
            &RawReply {
                received: self.received.into(),
                received_crc32c: self.received_crc32c.0.into(),
                reserved: U32::ZERO,
                object: RawObjectInfo::pack(&self.object),
            },
        );
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        reader.end(Self {
            received: raw.received.get(),
            received_crc32c: Crc32c(raw.received_crc32c.get()),
            object: raw.object.unpack(),
        })
    }
}
