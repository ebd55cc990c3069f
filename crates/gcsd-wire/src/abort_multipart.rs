//! AbortMultipart: throw parts away (proto-spec.md, "AbortMultipart").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, put};
use super::multipart::{RawMultipartRef, put_multipart_ref};
use gcsd_types::MultipartRef;

/// Which upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The upload.
    pub of: MultipartRef,
}

/// How the upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// It is gone, and its parts.
    Aborted,
    /// GCS knows no such upload (any more): it was aborted, or completed.
    Unknown,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    outcome: U32,
    reserved: U32,
}
const _: () = assert!(size_of::<RawReply>() == 8);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(out, &RawMultipartRef::pack(&self.of, 0, 0));
        put_multipart_ref(out, &self.of);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawMultipartRef = reader.fixed()?;
        let of = raw.unpack_alone(&mut reader)?;
        reader.end(Self { of })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let outcome = match self {
            Self::Aborted => 1,
            Self::Unknown => 3,
        };
        put(
            out,
            &RawReply {
                outcome: U32::new(outcome),
                reserved: U32::ZERO,
            },
        );
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        let reply = match raw.outcome.get() {
            1 => Self::Aborted,
            3 => Self::Unknown,
            _ => {
                return Err(ArgsError::Value {
                    field: "outcome",
                    why: "is none that is defined",
                });
            }
        };
        reader.end(reply)
    }
}
