//! ComposeObjects: one object of up to 32 (proto-spec.md, "ComposeObjects").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, fit, known_bits, optional, put};
use super::destination::{RawDestination, put_destination};
use super::object::{IF_GENERATION_MATCH, IF_METAGENERATION_MATCH, KEY_BIT};
use gcsd_types::{ComposeSource, Destination, ObjectName};

/// What to compose of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The object that is made. Of its preconditions, GCS knows the two that ask for a match.
    pub destination: Destination,
    /// What it is made of, in this order: 1 to [`ComposeSource::MAX`] objects of the same bucket.
    pub sources: Vec<ComposeSource>,
}

/// The object that was made.
pub type Reply = super::object::Described;

/// `Source.present` bit: `generation` holds a value.
const GENERATION: u32 = 1;
/// `Source.present` bit: `if_generation_match` holds a value.
const SOURCE_MATCH: u32 = 2;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawSource {
    object_len: U16,
    reserved: U16,
    present: U32,
    generation: U64,
    if_generation_match: U64,
}
const _: () = assert!(size_of::<RawSource>() == 24);

impl RawSource {
    fn pack(of: &ComposeSource) -> Self {
        Self {
            object_len: fit(of.object.as_str()).1.into(),
            reserved: U16::ZERO,
            present: (bit(of.generation, GENERATION) | bit(of.if_generation_match, SOURCE_MATCH)).into(),
            generation: of.generation.unwrap_or(0).into(),
            if_generation_match: of.if_generation_match.unwrap_or(0).into(),
        }
    }

    fn unpack(&self, reader: &mut Reader) -> Result<ComposeSource, ArgsError> {
        if self.reserved.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let present = known_bits(self.present.get(), GENERATION | SOURCE_MATCH, "present")?;
        Ok(ComposeSource {
            object: ObjectName::new(reader.text(self.object_len.get().into(), "object")?)?,
            generation: optional(present, GENERATION, self.generation.get()),
            if_generation_match: optional(present, SOURCE_MATCH, self.if_generation_match.get()),
        })
    }
}

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let count = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        put(out, &RawDestination::pack(&self.destination, count, None));
        for source in &self.sources {
            put(out, &RawSource::pack(source));
        }
        put_destination(out, &self.destination);
        for source in &self.sources {
            out.extend_from_slice(fit(source.object.as_str()).0.as_bytes());
        }
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawDestination = reader.fixed()?;
        let count = usize::try_from(raw.count.get()).unwrap_or(usize::MAX);
        if !(1..=ComposeSource::MAX).contains(&count) {
            return Err(ArgsError::Value {
                field: "source_count",
                why: "is not 1 to 32",
            });
        }
        let sources = (0..count)
            .map(|_| reader.fixed())
            .collect::<Result<Vec<RawSource>, _>>()?;
        let allowed = IF_GENERATION_MATCH | IF_METAGENERATION_MATCH | KEY_BIT;
        let destination = raw.unpack(allowed, &mut reader)?;
        let sources = sources
            .iter()
            .map(|source| source.unpack(&mut reader))
            .collect::<Result<_, _>>()?;
        reader.end(Self { destination, sources })
    }
}
