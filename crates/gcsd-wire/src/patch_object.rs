//! PatchObject: an object's metadata, changed in the fields that are named (proto-spec.md, "PatchObject").

use bytes::{Bytes, BytesMut};

use super::args::{ArgsError, Reader, WireArgs, put};
use super::destination::{RawDestination, put_destination};
use super::object::{NUMBER_BIT, PRECONDITION_BITS};
use gcsd_types::Destination;

/// What to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The object; its `metadata` is what changes, and it has neither a KMS key nor a key.
    pub object: Destination,
    /// This version rather than the live one.
    pub generation: Option<u64>,
}

/// The object as it is now.
pub type Reply = super::object::Described;

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(out, &RawDestination::pack(&self.object, 0, self.generation));
        put_destination(out, &self.object);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawDestination = reader.fixed()?;
        if raw.count.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let object = raw.unpack(PRECONDITION_BITS | NUMBER_BIT, &mut reader)?;
        let value = |field, why| Err(ArgsError::Value { field, why });
        if object.kms_key_name.is_some() {
            return value("kms_key_name", "cannot be changed by a patch");
        }
        if object.metadata.is_empty() {
            return value("metadata", "is what a patch consists of");
        }
        reader.end(Self {
            object,
            generation: raw.number(),
        })
    }
}
