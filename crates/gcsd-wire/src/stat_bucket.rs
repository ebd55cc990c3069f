//! StatBucket: what GCS says of a bucket (proto-spec.md, "StatBucket").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, fit, fit_optional, flag, known_bits, optional, put};
use super::object::{IF_METAGENERATION_MATCH, IF_METAGENERATION_NOT_MATCH, NUMBER_BIT};
use gcsd_types::{BucketInfo, BucketName, BucketRef, Preconditions};

/// Which bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The bucket.
    pub of: BucketRef,
}

/// The bucket's fields; the reply's body is its JSON resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The fields that a program needs.
    pub bucket: BucketInfo,
}

/// `present` bit: with ACLs.
const FULL: u32 = 0x20;
/// `present` bit: a bucket that is softly deleted.
const SOFT_DELETED: u32 = 0x40;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    bucket_len: U16,
    user_project_len: U16,
    fields_len: U16,
    reserved: U16,
    present: U32,
    reserved2: U32,
    generation: U64,
    if_metageneration_match: U64,
    if_metageneration_not_match: U64,
}
const _: () = assert!(size_of::<RawArgs>() == 40);

/// `flags` bits of the reply.
const VERSIONING: u32 = 1;
const REQUESTER_PAYS: u32 = 2;
const UNIFORM_ACCESS: u32 = 4;
const HIERARCHICAL: u32 = 8;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    metageneration: U64,
    flags: U32,
    location_len: U16,
    storage_class_len: U16,
}
const _: () = assert!(size_of::<RawReply>() == 16);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let of = &self.of;
        let (matches, differs) = (
            of.preconditions.if_metageneration_match,
            of.preconditions.if_metageneration_not_match,
        );
        let present = bit(matches, IF_METAGENERATION_MATCH)
            | bit(differs, IF_METAGENERATION_NOT_MATCH)
            | bit(of.generation, NUMBER_BIT)
            | flag(of.full, FULL)
            | flag(of.soft_deleted, SOFT_DELETED);
        let texts = [
            fit(of.bucket.as_str()),
            fit_optional(&of.user_project),
            fit_optional(&of.fields),
        ];
        put(
            out,
            &RawArgs {
                bucket_len: texts[0].1.into(),
                user_project_len: texts[1].1.into(),
                fields_len: texts[2].1.into(),
                reserved: U16::ZERO,
                present: present.into(),
                reserved2: U32::ZERO,
                generation: of.generation.unwrap_or(0).into(),
                if_metageneration_match: matches.unwrap_or(0).into(),
                if_metageneration_not_match: differs.unwrap_or(0).into(),
            },
        );
        for (text, _) in texts {
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawArgs = reader.fixed()?;
        if raw.reserved.get() != 0 || raw.reserved2.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let conditions = IF_METAGENERATION_MATCH | IF_METAGENERATION_NOT_MATCH;
        let known = conditions | NUMBER_BIT | FULL | SOFT_DELETED;
        let present = known_bits(raw.present.get(), known, "present")?;
        let number = |bit, value: U64| optional(present, bit, value.get());
        let of = BucketRef {
            bucket: BucketName::new(reader.text(raw.bucket_len.get().into(), "bucket")?)?,
            user_project: reader.optional_text(raw.user_project_len.get().into(), "user_project")?,
            fields: reader.optional_text(raw.fields_len.get().into(), "fields")?,
            generation: number(NUMBER_BIT, raw.generation),
            preconditions: Preconditions {
                if_metageneration_match: number(IF_METAGENERATION_MATCH, raw.if_metageneration_match),
                if_metageneration_not_match: number(
                    IF_METAGENERATION_NOT_MATCH,
                    raw.if_metageneration_not_match,
                ),
                ..Preconditions::default()
            },
            full: present & FULL != 0,
            soft_deleted: present & SOFT_DELETED != 0,
        };
        reader.end(Self { of })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let of = &self.bucket;
        let flags = flag(of.versioning, VERSIONING)
            | flag(of.requester_pays, REQUESTER_PAYS)
            | flag(of.uniform_access, UNIFORM_ACCESS)
            | flag(of.hierarchical, HIERARCHICAL);
        let (location, storage_class) = (fit(&of.location), fit(&of.storage_class));
        put(
            out,
            &RawReply {
                metageneration: of.metageneration.into(),
                flags: flags.into(),
                location_len: location.1.into(),
                storage_class_len: storage_class.1.into(),
            },
        );
        out.extend_from_slice(location.0.as_bytes());
        out.extend_from_slice(storage_class.0.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        let flags = raw.flags.get();
        let bucket = BucketInfo {
            metageneration: raw.metageneration.get(),
            versioning: flags & VERSIONING != 0,
            requester_pays: flags & REQUESTER_PAYS != 0,
            uniform_access: flags & UNIFORM_ACCESS != 0,
            hierarchical: flags & HIERARCHICAL != 0,
            location: reader.text(raw.location_len.get().into(), "location")?,
            storage_class: reader.text(raw.storage_class_len.get().into(), "storage_class")?,
        };
        reader.end(Self { bucket })
    }
}
