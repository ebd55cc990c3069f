//! DeleteObject: an object, or one generation of it, is gone (proto-spec.md, "DeleteObject").

use bytes::{Bytes, BytesMut};

use super::args::{ArgsError, Reader, WireArgs, put};
use super::object::{RawObjectRef, no_fields, put_object_ref};
use gcsd_types::ObjectRef;

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The object; it has neither `fields` nor a key.
    pub of: ObjectRef,
}

/// The object is gone.
pub type Reply = super::args::Empty;

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(out, &RawObjectRef::pack(&self.of, 0));
        put_object_ref(out, &self.of);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawObjectRef = reader.fixed()?;
        let of = raw.unpack(0, &mut reader)?;
        no_fields(&of)?;
        reader.end(Self { of })
    }
}
