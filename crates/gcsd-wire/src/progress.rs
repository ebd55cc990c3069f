//! Progress: the reply of WriteAt, QueryUpload and FinishUpload (proto-spec.md, "Shared structs").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, optional, put};
use super::object::RawObjectInfo;
use gcsd_types::{Crc32c, ObjectInfo};

/// `state` bit: the object is finished, and `object` describes it.
const FINISHED: u32 = 1;

/// What GCS holds of an upload after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that GCS reported as persisted, from the object's start; the size once finished.
    pub committed: u64,
    /// Bytes of this request's body that the daemon received; 0 where the request has none.
    pub received: u64,
    /// The checksum of those bytes.
    pub received_crc32c: Crc32c,
    /// The object, once it is finished. The reply's body is then its JSON resource.
    pub object: Option<ObjectInfo>,
}

impl Progress {
    /// Of an upload that is unfinished, by a request that had no body.
    pub fn of(committed: u64) -> Self {
        Self {
            committed,
            received: 0,
            received_crc32c: Crc32c::default(),
            object: None,
        }
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Raw {
    committed: U64,
    received: U64,
    received_crc32c: U32,
    state: U32,
    object: RawObjectInfo,
}
const _: () = assert!(size_of::<Raw>() == 72);

impl WireArgs for Progress {
    fn encode(&self, out: &mut BytesMut) {
        put(
            out,
            &Raw {
                committed: self.committed.into(),
                received: self.received.into(),
                received_crc32c: self.received_crc32c.0.into(),
                state: bit(self.object, FINISHED).into(),
                object: RawObjectInfo::pack(&self.object.unwrap_or_default()),
            },
        );
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: Raw = reader.fixed()?;
        reader.end(Self {
            committed: raw.committed.get(),
            received: raw.received.get(),
            received_crc32c: Crc32c(raw.received_crc32c.get()),
            object: optional(raw.state.get(), FINISHED, raw.object.unpack()),
        })
    }
}
