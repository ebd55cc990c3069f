//! AttachUpload: come back to an upload by its token (proto-spec.md, "AttachUpload").

use std::fmt;

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, fit, known_bits, put};
use super::object::{KEY_BIT, key, put_key};
use gcsd_types::{BucketName, EncryptionKey, ObjectName};

/// The token that StartUpload gave.
#[derive(Clone, PartialEq, Eq)]
pub struct Args {
    /// The token, as it came.
    pub token: String,
    /// The key that StartUpload had, where it had one: it is not in the token.
    pub key: Option<EncryptionKey>,
}

// A token is a credential: it is never printed.
impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Args")
            .field("token", &"[redacted]")
            .field("key", &self.key)
            .finish()
    }
}

/// What the token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// When GCS forgets the session, in seconds since 1970.
    pub expires: u64,
    /// The bucket.
    pub bucket: BucketName,
    /// The object.
    pub object: ObjectName,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    token_len: U16,
    reserved: U16,
    present: U32,
}
const _: () = assert!(size_of::<RawArgs>() == 8);

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    expires: U64,
    bucket_len: U16,
    object_len: U16,
    reserved: U32,
}
const _: () = assert!(size_of::<RawReply>() == 16);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let (token, len) = fit(&self.token);
        put(
            out,
            &RawArgs {
                token_len: len.into(),
                reserved: U16::ZERO,
                present: bit(self.key.as_ref(), KEY_BIT).into(),
            },
        );
        out.extend_from_slice(token.as_bytes());
        put_key(out, self.key.as_ref());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawArgs = reader.fixed()?;
        if raw.reserved.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let present = known_bits(raw.present.get(), KEY_BIT, "present")?;
        let token = reader.text(raw.token_len.get().into(), "token")?;
        let key = key(present, &mut reader)?;
        reader.end(Self { token, key })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let (bucket, bucket_len) = fit(self.bucket.as_str());
        let (object, object_len) = fit(self.object.as_str());
        put(
            out,
            &RawReply {
                expires: self.expires.into(),
                bucket_len: bucket_len.into(),
                object_len: object_len.into(),
                reserved: U32::ZERO,
            },
        );
        out.extend_from_slice(bucket.as_bytes());
        out.extend_from_slice(object.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        let bucket = BucketName::new(reader.text(raw.bucket_len.get().into(), "bucket")?)?;
        let object = ObjectName::new(reader.text(raw.object_len.get().into(), "object")?)?;
        reader.end(Self {
            expires: raw.expires.get(),
            bucket,
            object,
        })
    }
}
