//! What several requests and replies share about objects: preconditions, references, `ObjectInfo`
//! (proto-spec.md, "Shared structs").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, fit, fit_optional, known_bits, optional, put};
pub use gcsd_types::ObjectRef;
use gcsd_types::{BucketName, Crc32c, Destination, EncryptionKey, ObjectInfo, ObjectName, Preconditions};

/// `present` bit: `if_generation_match` holds a value.
pub(super) const IF_GENERATION_MATCH: u32 = 1;
/// `present` bit: `if_generation_not_match` holds a value.
const IF_GENERATION_NOT_MATCH: u32 = 2;
/// `present` bit: `if_metageneration_match` holds a value.
pub(super) const IF_METAGENERATION_MATCH: u32 = 4;
/// `present` bit: `if_metageneration_not_match` holds a value.
pub(super) const IF_METAGENERATION_NOT_MATCH: u32 = 8;
/// `present` bits of all preconditions.
pub(super) const PRECONDITION_BITS: u32 = 0xf;
/// `present` bit: the opcode's own number (`size`, `generation`) holds a value.
pub(super) const NUMBER_BIT: u32 = 0x10;
/// `present` bit: the 32 bytes of an encryption key stand behind the other variable fields.
pub(super) const KEY_BIT: u32 = 0x80;

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

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
pub(super) struct RawObjectRef {
    bucket_len: U16,
    object_len: U16,
    user_project_len: U16,
    fields_len: U16,
    pub(super) present: U32,
    reserved: U32,
    generation: U64,
    preconditions: RawPreconditions,
}
const _: () = assert!(size_of::<RawObjectRef>() == 56);

impl RawObjectRef {
    /// The struct, with `extra` bits added to `present`.
    pub(super) fn pack(of: &ObjectRef, extra: u32) -> Self {
        let (preconditions, present) = RawPreconditions::pack(&of.preconditions);
        Self {
            bucket_len: fit(of.bucket.as_str()).1.into(),
            object_len: fit(of.object.as_str()).1.into(),
            user_project_len: fit_optional(&of.user_project).1.into(),
            fields_len: fit_optional(&of.fields).1.into(),
            present: (present | bit(of.generation, NUMBER_BIT) | bit(of.key.as_ref(), KEY_BIT) | extra)
                .into(),
            reserved: U32::ZERO,
            generation: of.generation.unwrap_or(0).into(),
            preconditions,
        }
    }

    /// Reads the variable fields. `allowed` are the bits that `present` may have beside those of the
    /// preconditions and of `generation`.
    pub(super) fn unpack(&self, allowed: u32, reader: &mut Reader) -> Result<ObjectRef, ArgsError> {
        if self.reserved.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let known = PRECONDITION_BITS | NUMBER_BIT | allowed;
        let present = known_bits(self.present.get(), known, "present")?;
        Ok(ObjectRef {
            bucket: BucketName::new(reader.text(self.bucket_len.get().into(), "bucket")?)?,
            object: ObjectName::new(reader.text(self.object_len.get().into(), "object")?)?,
            user_project: reader.optional_text(self.user_project_len.get().into(), "user_project")?,
            fields: reader.optional_text(self.fields_len.get().into(), "fields")?,
            key: key(present, reader)?,
            generation: optional(present, NUMBER_BIT, self.generation.get()),
            preconditions: self.preconditions.unpack(present),
        })
    }
}

/// Appends the variable fields of an [`ObjectRef`].
pub(super) fn put_object_ref(out: &mut BytesMut, of: &ObjectRef) {
    out.extend_from_slice(fit(of.bucket.as_str()).0.as_bytes());
    out.extend_from_slice(fit(of.object.as_str()).0.as_bytes());
    out.extend_from_slice(fit_optional(&of.user_project).0.as_bytes());
    out.extend_from_slice(fit_optional(&of.fields).0.as_bytes());
    put_key(out, of.key.as_ref());
}

/// Reads the key behind the other variable fields, where `present` says that there is one.
pub(super) fn key(present: u32, reader: &mut Reader) -> Result<Option<EncryptionKey>, ArgsError> {
    if present & KEY_BIT == 0 {
        return Ok(None);
    }
    reader.array().map(|bytes| Some(EncryptionKey::new(bytes)))
}

/// Appends a key.
pub(super) fn put_key(out: &mut BytesMut, key: Option<&EncryptionKey>) {
    if let Some(key) = key {
        out.extend_from_slice(key.expose());
    }
}

/// Why `fields` is refused in a request whose reply has no JSON.
const NO_JSON: ArgsError = ArgsError::Value {
    field: "fields",
    why: "selects from JSON, and this reply has none",
};

/// Refuses an object with `fields` in a request whose reply has no JSON.
pub(super) fn no_fields(of: &ObjectRef) -> Result<(), ArgsError> {
    of.fields.as_ref().map_or(Ok(()), |_| Err(NO_JSON))
}

/// The same for a destination.
pub(super) fn no_destination_fields(of: &Destination) -> Result<(), ArgsError> {
    of.fields.as_ref().map_or(Ok(()), |_| Err(NO_JSON))
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

/// A reply that describes an object; its body is GCS's JSON resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// The fields that a program needs.
    pub object: ObjectInfo,
}

impl WireArgs for Described {
    fn encode(&self, out: &mut BytesMut) {
        put(out, &RawObjectInfo::pack(&self.object));
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawObjectInfo = reader.fixed()?;
        reader.end(Self { object: raw.unpack() })
    }
}
