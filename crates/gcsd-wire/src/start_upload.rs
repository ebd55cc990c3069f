//! StartUpload: begin an unfinished object (proto-spec.md, "StartUpload").

use std::fmt;

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, fit, put};
use super::destination::{RawDestination, put_destination};
use super::object::{KEY_BIT, NUMBER_BIT, PRECONDITION_BITS};
use gcsd_types::{BucketName, Destination, EncryptionKey, ObjectName, Preconditions};

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
    /// The key to encrypt the object with, which its owner keeps.
    pub key: Option<EncryptionKey>,
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
struct RawReply {
    expires: U64,
    token_len: U16,
    reserved: U16,
    reserved2: U32,
}
const _: () = assert!(size_of::<RawReply>() == 16);

impl Args {
    /// An object of unknown size, without metadata, unconditionally.
    pub fn new(bucket: BucketName, object: ObjectName) -> Self {
        Self {
            bucket,
            object,
            size: None,
            preconditions: Preconditions::default(),
            user_project: None,
            kms_key_name: None,
            predefined_acl: None,
            metadata: Bytes::new(),
            key: None,
        }
    }

    fn destination(&self) -> Destination {
        Destination {
            preconditions: self.preconditions,
            user_project: self.user_project.clone(),
            kms_key_name: self.kms_key_name.clone(),
            predefined_acl: self.predefined_acl.clone(),
            metadata: self.metadata.clone(),
            key: self.key.clone(),
            ..Destination::new(self.bucket.clone(), self.object.clone())
        }
    }
}

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let destination = self.destination();
        put(out, &RawDestination::pack(&destination, 0, self.size));
        put_destination(out, &destination);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawDestination = reader.fixed()?;
        let of = raw.unpack(PRECONDITION_BITS | NUMBER_BIT | KEY_BIT, &mut reader)?;
        if raw.count.get() != 0 || of.fields.is_some() {
            return Err(ArgsError::Reserved("reserved"));
        }
        reader.end(Self {
            bucket: of.bucket,
            object: of.object,
            size: raw.number(),
            preconditions: of.preconditions,
            user_project: of.user_project,
            kms_key_name: of.kms_key_name,
            predefined_acl: of.predefined_acl,
            metadata: of.metadata,
            key: of.key,
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
