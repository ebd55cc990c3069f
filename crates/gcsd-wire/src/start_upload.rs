//! StartUpload: begin an unfinished object (proto-spec.md, "StartUpload").

use std::fmt;

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, fit, put};
use super::destination::{RawDestination, put_destination};
use super::object::{KEY_BIT, NUMBER_BIT, PRECONDITION_BITS, no_destination_fields};
use gcsd_types::{BucketName, Destination, ObjectName};

/// What the object will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The object. GCS checks its preconditions at the start and at the finish. It has no `fields`.
    pub destination: Destination,
    /// The object's size, where known: GCS finishes the upload as soon as it has that many bytes.
    pub size: Option<u64>,
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
        Destination::new(bucket, object).into()
    }
}

impl From<Destination> for Args {
    fn from(destination: Destination) -> Self {
        Self {
            destination,
            size: None,
        }
    }
}

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(out, &RawDestination::pack(&self.destination, 0, self.size));
        put_destination(out, &self.destination);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawDestination = reader.fixed()?;
        let destination = raw.unpack(PRECONDITION_BITS | NUMBER_BIT | KEY_BIT, &mut reader)?;
        if raw.count.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        no_destination_fields(&destination)?;
        reader.end(Self {
            destination,
            size: raw.number(),
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
