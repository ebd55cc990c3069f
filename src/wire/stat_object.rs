//! StatObject: what GCS says of an object (proto-spec.md, "StatObject").

use bytes::{Bytes, BytesMut};

use super::args::{ArgsError, Reader, WireArgs, put};
use super::object::{ObjectRef, RawObjectInfo};
use crate::types::ObjectInfo;

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The object.
    pub of: ObjectRef,
}

/// The object's fields; the reply's body is its JSON resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The fields that a program needs.
    pub object: ObjectInfo,
}

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(out, &self.of.pack(0));
        self.of.put_text(out);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw = reader.fixed()?;
        let of = ObjectRef::unpack(&raw, 0, &mut reader)?;
        reader.end(Self { of })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        put(out, &RawObjectInfo::pack(&self.object));
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawObjectInfo = reader.fixed()?;
        reader.end(Self { object: raw.unpack() })
    }
}
