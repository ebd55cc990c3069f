//! The object that a request makes (proto-spec.md, "Shared structs").

use bytes::BytesMut;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, bit, fit, fit_optional, known_bits, optional};
use super::object::{KEY_BIT, NUMBER_BIT, RawPreconditions, key, put_key};
use gcsd_types::{BucketName, Destination, ObjectName};

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
pub(super) struct RawDestination {
    bucket_len: U16,
    object_len: U16,
    user_project_len: U16,
    kms_key_name_len: U16,
    predefined_acl_len: U16,
    fields_len: U16,
    metadata_len: U32,
    /// [`pack`](Self::pack) sets no bits of the opcode's own.
    pub(super) present: U32,
    /// The opcode's own count, or reserved.
    pub(super) count: U32,
    number: U64,
    preconditions: RawPreconditions,
}
const _: () = assert!(size_of::<RawDestination>() == 64);

impl RawDestination {
    /// The struct; `count` and `number` are the opcode's own.
    pub(super) fn pack(of: &Destination, count: u32, number: Option<u64>) -> Self {
        let (preconditions, present) = RawPreconditions::pack(&of.preconditions);
        Self {
            bucket_len: fit(of.bucket.as_str()).1.into(),
            object_len: fit(of.object.as_str()).1.into(),
            user_project_len: fit_optional(&of.user_project).1.into(),
            kms_key_name_len: fit_optional(&of.kms_key_name).1.into(),
            predefined_acl_len: fit_optional(&of.predefined_acl).1.into(),
            fields_len: fit_optional(&of.fields).1.into(),
            metadata_len: u32::try_from(of.metadata.len()).unwrap_or(u32::MAX).into(),
            present: (present | bit(number, NUMBER_BIT) | bit(of.key.as_ref(), KEY_BIT)).into(),
            count: count.into(),
            number: number.unwrap_or(0).into(),
            preconditions,
        }
    }

    /// The opcode's own number.
    pub(super) fn number(&self) -> Option<u64> {
        optional(self.present.get(), NUMBER_BIT, self.number.get())
    }

    /// Reads the variable fields. `allowed` are the bits that `present` may have.
    pub(super) fn unpack(&self, allowed: u32, reader: &mut Reader) -> Result<Destination, ArgsError> {
        let present = known_bits(self.present.get(), allowed, "present")?;
        if allowed & NUMBER_BIT == 0 && self.number.get() != 0 {
            return Err(ArgsError::Reserved("number"));
        }
        let bucket = BucketName::new(reader.text(self.bucket_len.get().into(), "bucket")?)?;
        let object = ObjectName::new(reader.text(self.object_len.get().into(), "object")?)?;
        let user_project = reader.optional_text(self.user_project_len.get().into(), "user_project")?;
        let kms_key_name = reader.optional_text(self.kms_key_name_len.get().into(), "kms_key_name")?;
        let predefined_acl = reader.optional_text(self.predefined_acl_len.get().into(), "predefined_acl")?;
        let fields = reader.optional_text(self.fields_len.get().into(), "fields")?;
        let metadata = reader.bytes(usize::try_from(self.metadata_len.get()).unwrap_or(usize::MAX))?;
        if std::str::from_utf8(&metadata).is_err() {
            return Err(ArgsError::NotUtf8("metadata"));
        }
        Ok(Destination {
            bucket,
            object,
            preconditions: self.preconditions.unpack(present),
            user_project,
            kms_key_name,
            predefined_acl,
            fields,
            metadata,
            key: key(present, reader)?,
        })
    }
}

/// Appends the variable fields of a [`Destination`].
pub(super) fn put_destination(out: &mut BytesMut, of: &Destination) {
    for (text, _) in [
        fit(of.bucket.as_str()),
        fit(of.object.as_str()),
        fit_optional(&of.user_project),
        fit_optional(&of.kms_key_name),
        fit_optional(&of.predefined_acl),
        fit_optional(&of.fields),
    ] {
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(&of.metadata);
    put_key(out, of.key.as_ref());
}
