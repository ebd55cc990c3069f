//! StatObject: what GCS says of an object (proto-spec.md, "StatObject").

use bytes::{Bytes, BytesMut};

use super::args::{ArgsError, Reader, WireArgs, put};
use super::object::{KEY_BIT, RawObjectRef, put_object_ref};
use gcsd_types::ObjectRef;

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The object.
    pub of: ObjectRef,
}

/// The object's fields.
pub type Reply = super::object::Described;

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(out, &RawObjectRef::pack(&self.of, 0));
        put_object_ref(out, &self.of);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawObjectRef = reader.fixed()?;
        let of = raw.unpack(KEY_BIT, &mut reader)?;
        reader.end(Self { of })
    }
}
