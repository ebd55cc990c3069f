//! StartUpload: begin an unfinished object (proto-spec.md, "StartUpload").

use std::fmt;

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, fit, fit_optional, known_bits, optional, put};
use super::object::{NUMBER_BIT, PRECONDITION_BITS, RawPreconditions};
use crate::types::{BucketName, ObjectName, Preconditions};

/// What the object will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The bucket.
    pub bucket: BucketName,
    /// The object.
    pub object: ObjectName,
    /// The object's size, where known: GCS finishes the upload as soon as it has that many bytes.
    pub size: Option<u64>,
    /// What must hold at the start and at the finish.
    pub preconditions: Preconditions,
    /// The project that pays, for buckets where the requester does.
    pub user_project: Option<String>,
    /// The Cloud KMS key that encrypts the object.
    pub kms_key_name: Option<String>,
    /// One of GCS's predefined ACLs.
    pub predefined_acl: Option<String>,
    /// GCS's object resource as JSON (`contentType`, `metadata`, `storageClass`, ...); empty for none.
    pub metadata: Bytes,
}

/// The upload is open.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// What brings the upload back on any connection, on any daemon with the same key.
    pub token: String,
    /// When GCS forgets the session, in seconds since 1970.
    pub expires: u64,
}

// A token is a credential: it is never printed.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("token", &"[redacted]")
            .field("expires", &self.expires)
            .finish()
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    bucket_len: U16,
    object_len: U16,
    user_project_len: U16,
    kms_key_name_len: U16,
    predefined_acl_len: U16,
    reserved: U16,
    metadata_len: U32,
    present: U32,
    reserved2: U32,
    size: U64,
    preconditions: RawPreconditions,
}
const _: () = assert!(size_of::<RawArgs>() == 64);

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    expires: U64,
    token_len: U16,
    reserved: U16,
    reserved2: U32,
}
const _: () = assert!(size_of::<RawReply>() == 16);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let (preconditions, present) = RawPreconditions::pack(&self.preconditions);
        let texts = [
            fit(self.bucket.as_str()),
            fit(self.object.as_str()),
            fit_optional(&self.user_project),
            fit_optional(&self.kms_key_name),
            fit_optional(&self.predefined_acl),
        ];
        put(
            out,
            &RawArgs {
                bucket_len: texts[0].1.into(),
                object_len: texts[1].1.into(),
                user_project_len: texts[2].1.into(),
                kms_key_name_len: texts[3].1.into(),
                predefined_acl_len: texts[4].1.into(),
                reserved: U16::ZERO,
                metadata_len: u32::try_from(self.metadata.len()).unwrap_or(u32::MAX).into(),
                present: (present | bit(self.size, NUMBER_BIT)).into(),
                reserved2: U32::ZERO,
                size: self.size.unwrap_or(0).into(),
                preconditions,
            },
        );
        for (text, _) in texts {
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&self.metadata);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawArgs = reader.fixed()?;
        if raw.reserved.get() != 0 || raw.reserved2.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let present = known_bits(raw.present.get(), PRECONDITION_BITS | NUMBER_BIT, "present")?;
        let bucket = BucketName::new(reader.text(raw.bucket_len.get().into(), "bucket")?)?;
        let object = ObjectName::new(reader.text(raw.object_len.get().into(), "object")?)?;
        let user_project = reader.optional_text(raw.user_project_len.get().into(), "user_project")?;
        let kms_key_name = reader.optional_text(raw.kms_key_name_len.get().into(), "kms_key_name")?;
        let predefined_acl = reader.optional_text(raw.predefined_acl_len.get().into(), "predefined_acl")?;
        let metadata = reader.bytes(usize::try_from(raw.metadata_len.get()).unwrap_or(usize::MAX))?;
        if std::str::from_utf8(&metadata).is_err() {
            return Err(ArgsError::NotUtf8("metadata"));
        }
        reader.end(Self {
            bucket,
            object,
            size: optional(present, NUMBER_BIT, raw.size.get()),
            preconditions: raw.preconditions.unpack(present),
            user_project,
            kms_key_name,
            predefined_acl,
            metadata,
        })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let (token, token_len) = fit(&self.token);
        put(
            out,
            &RawReply {
                expires: self.expires.into(),
                token_len: token_len.into(),
                reserved: U16::ZERO,
                reserved2: U32::ZERO,
            },
        );
        out.extend_from_slice(token.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        let token = reader.text(raw.token_len.get().into(), "token")?;
        reader.end(Self {
            token,
            expires: raw.expires.get(),
        })
    }
}
