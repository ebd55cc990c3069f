//! StartMultipart: begin an object of parts (proto-spec.md, "StartMultipart").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, fit, put};
use super::destination::{RawDestination, put_destination};
use super::object::{KEY_BIT, PRECONDITION_BITS, no_destination_fields};
use gcsd_types::{Destination, Preconditions};

/// What the object will be. A multipart upload knows no preconditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The object.
    pub destination: Destination,
}

/// The upload is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// GCS's name for it, which all further requests on it need.
    pub multipart_id: String,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    multipart_id_len: U16,
    reserved: U16,
    reserved2: U32,
}
const _: () = assert!(size_of::<RawReply>() == 8);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(out, &RawDestination::pack(&self.destination, 0, None));
        put_destination(out, &self.destination);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawDestination = reader.fixed()?;
        if raw.count.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let destination = raw.unpack(KEY_BIT | PRECONDITION_BITS, &mut reader)?;
        if destination.preconditions != Preconditions::default() {
            return Err(ArgsError::Value {
                field: "preconditions",
                why: "cannot be given: multipart uploads know none",
            });
        }
        no_destination_fields(&destination)?;
        reader.end(Self { destination })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let (id, len) = fit(&self.multipart_id);
        put(
            out,
            &RawReply {
                multipart_id_len: len.into(),
                reserved: U16::ZERO,
                reserved2: U32::ZERO,
            },
        );
        out.extend_from_slice(id.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        let multipart_id = reader.text(raw.multipart_id_len.get().into(), "multipart_id")?;
        reader.end(Self { multipart_id })
    }
}
