//! What several requests and replies share about objects: preconditions, references, `ObjectInfo`
//! (proto-spec.md, "Shared structs").

use bytes::BytesMut;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, bit, fit, fit_optional, known_bits, optional};
use crate::types::{BucketName, Crc32c, ObjectInfo, ObjectName, Preconditions};

/// `present` bit: `if_generation_match` holds a value.
const IF_GENERATION_MATCH: u32 = 1;
/// `present` bit: `if_generation_not_match` holds a value.
const IF_GENERATION_NOT_MATCH: u32 = 2;
/// `present` bit: `if_metageneration_match` holds a value.
const IF_METAGENERATION_MATCH: u32 = 4;
/// `present` bit: `if_metageneration_not_match` holds a value.
const IF_METAGENERATION_NOT_MATCH: u32 = 8;
/// `present` bits of all preconditions.
pub(super) const PRECONDITION_BITS: u32 = 0xf;
/// `present` bit: the opcode's own number (`size`, `generation`) holds a value.
pub(super) const NUMBER_BIT: u32 = 0x10;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
pub(super) struct RawPreconditions {
    if_generation_match: U64,
    if_generation_not_match: U64,
    if_metageneration_match: U64,
    if_metageneration_not_match: U64,
}
const _: () = assert!(size_of::<RawPreconditions>() == 32);

impl RawPreconditions {
    /// The struct, and its bits of `present`.
    pub(super) fn pack(from: &Preconditions) -> (Self, u32) {
        let raw = Self {
            if_generation_match: from.if_generation_match.unwrap_or(0).into(),
            if_generation_not_match: from.if_generation_not_match.unwrap_or(0).into(),
            if_metageneration_match: from.if_metageneration_match.unwrap_or(0).into(),
            if_metageneration_not_match: from.if_metageneration_not_match.unwrap_or(0).into(),
        };
        let present = bit(from.if_generation_match, IF_GENERATION_MATCH)
            | bit(from.if_generation_not_match, IF_GENERATION_NOT_MATCH)
            | bit(from.if_metageneration_match, IF_METAGENERATION_MATCH)
            | bit(from.if_metageneration_not_match, IF_METAGENERATION_NOT_MATCH);
        (raw, present)
    }

    pub(super) fn unpack(&self, present: u32) -> Preconditions {
        let field = |bit, value: U64| optional(present, bit, value.get());
        Preconditions {
            if_generation_match: field(IF_GENERATION_MATCH, self.if_generation_match),
            if_generation_not_match: field(IF_GENERATION_NOT_MATCH, self.if_generation_not_match),
            if_metageneration_match: field(IF_METAGENERATION_MATCH, self.if_metageneration_match),
            if_metageneration_not_match: field(IF_METAGENERATION_NOT_MATCH, self.if_metageneration_not_match),
        }
    }
}

/// An object, or one generation of it, as StatObject and ReadAt name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// The bucket.
    pub bucket: BucketName,
    /// The object.
    pub object: ObjectName,
    /// The generation; the live one where absent.
    pub generation: Option<u64>,
    /// What must hold for the request to be carried out.
    pub preconditions: Preconditions,
    /// The project that pays, for buckets where the requester does.
    pub user_project: Option<String>,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
pub(super) struct RawObjectRef {
    bucket_len: U16,
    object_len: U16,
    user_project_len: U16,
    reserved: U16,
    pub(super) present: U32,
    reserved2: U32,
    generation: U64,
    preconditions: RawPreconditions,
}
const _: () = assert!(size_of::<RawObjectRef>() == 56);

impl ObjectRef {
    /// The struct, with `extra` bits added to `present`.
    pub(super) fn pack(&self, extra: u32) -> RawObjectRef {
        let (preconditions, present) = RawPreconditions::pack(&self.preconditions);
        RawObjectRef {
            bucket_len: fit(self.bucket.as_str()).1.into(),
            object_len: fit(self.object.as_str()).1.into(),
            user_project_len: fit_optional(&self.user_project).1.into(),
            reserved: U16::ZERO,
            present: (present | bit(self.generation, NUMBER_BIT) | extra).into(),
            reserved2: U32::ZERO,
            generation: self.generation.unwrap_or(0).into(),
            preconditions,
        }
    }

    /// Appends the variable fields.
    pub(super) fn put_text(&self, out: &mut BytesMut) {
        out.extend_from_slice(fit(self.bucket.as_str()).0.as_bytes());
        out.extend_from_slice(fit(self.object.as_str()).0.as_bytes());
        out.extend_from_slice(fit_optional(&self.user_project).0.as_bytes());
    }

    /// Reads the variable fields that `raw` announces; `extra` are further bits that `present` may have.
    pub(super) fn unpack(raw: &RawObjectRef, extra: u32, reader: &mut Reader) -> Result<Self, ArgsError> {
        if raw.reserved.get() != 0 || raw.reserved2.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let present = known_bits(
            raw.present.get(),
            PRECONDITION_BITS | NUMBER_BIT | extra,
            "present",
        )?;
        Ok(Self {
            bucket: BucketName::new(reader.text(raw.bucket_len.get().into(), "bucket")?)?,
            object: ObjectName::new(reader.text(raw.object_len.get().into(), "object")?)?,
            user_project: reader.optional_text(raw.user_project_len.get().into(), "user_project")?,
            generation: optional(present, NUMBER_BIT, raw.generation.get()),
            preconditions: raw.preconditions.unpack(present),
        })
    }
}

/// `ObjectInfo.present` bit: `crc32c` holds a value.
const CRC32C: u32 = 1;
/// `ObjectInfo.present` bit: `md5` holds a value.
const MD5: u32 = 2;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
pub(super) struct RawObjectInfo {
    generation: U64,
    metageneration: U64,
    size: U64,
    crc32c: U32,
    present: U32,
    md5: [u8; 16],
}
const _: () = assert!(size_of::<RawObjectInfo>() == 48);

impl RawObjectInfo {
    pub(super) fn pack(from: &ObjectInfo) -> Self {
        Self {
            generation: from.generation.into(),
            metageneration: from.metageneration.into(),
            size: from.size.into(),
            crc32c: from.crc32c.map_or(0, |crc| crc.0).into(),
            present: (bit(from.crc32c, CRC32C) | bit(from.md5, MD5)).into(),
            md5: from.md5.unwrap_or_default(),
        }
    }

    pub(super) fn unpack(&self) -> ObjectInfo {
        let present = self.present.get();
        ObjectInfo {
            generation: self.generation.get(),
            metageneration: self.metageneration.get(),
            size: self.size.get(),
            crc32c: optional(present, CRC32C, Crc32c(self.crc32c.get())),
            md5: optional(present, MD5, self.md5),
        }
    }
}
