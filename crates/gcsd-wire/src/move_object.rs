//! MoveObject: an object gets another name in its bucket (proto-spec.md, "MoveObject").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, fit, known_bits, put};
use super::object::{KEY_BIT, PRECONDITION_BITS, RawObjectRef, RawPreconditions, put_object_ref};
use gcsd_types::{ObjectName, ObjectRef, Preconditions};

/// What to call how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The object that is there; its preconditions are those on the source. It has no generation.
    pub source: ObjectRef,
    /// Its new name.
    pub destination: ObjectName,
    /// What must hold of the object that has this name now, if there is one.
    pub preconditions: Preconditions,
}

/// The object under its new name.
pub type Reply = super::object::Described;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    source: RawObjectRef,
    destination_len: U16,
    reserved: U16,
    destination_present: U32,
    preconditions: RawPreconditions,
}
const _: () = assert!(size_of::<RawArgs>() == 96);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let (preconditions, present) = RawPreconditions::pack(&self.preconditions);
        let (destination, destination_len) = fit(self.destination.as_str());
        put(
            out,
            &RawArgs {
                source: RawObjectRef::pack(&self.source, 0),
                destination_len: destination_len.into(),
                reserved: U16::ZERO,
                destination_present: present.into(),
                preconditions,
            },
        );
        put_object_ref(out, &self.source);
        out.extend_from_slice(destination.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawArgs = reader.fixed()?;
        if raw.reserved.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let present = known_bits(
            raw.destination_present.get(),
            PRECONDITION_BITS,
            "destination_present",
        )?;
        let source = raw.source.unpack(KEY_BIT, &mut reader)?;
        if source.generation.is_some() {
            return Err(ArgsError::Value {
                field: "generation",
                why: "cannot be chosen: the live one is moved (use if_generation_match)",
            });
        }
        let destination = ObjectName::new(reader.text(raw.destination_len.get().into(), "destination")?)?;
        reader.end(Self {
            source,
            destination,
            preconditions: raw.preconditions.unpack(present),
        })
    }
}
