//! CompleteMultipart: the object of its parts (proto-spec.md, "CompleteMultipart"). The body lists them:
//! [`encode_parts`](super::multipart::encode_parts).

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, fit, optional, put};
use super::multipart::{RawMultipartRef, put_multipart_ref};
use gcsd_types::{Crc32c, MultipartRef};

/// `present` bit: `generation` holds a value.
const GENERATION: u32 = 1;
/// `present` bit: `crc32c` holds a value.
const CRC32C: u32 = 2;

/// Which upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The upload.
    pub of: MultipartRef,
}

/// The object, as far as GCS describes it here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The version of its bytes.
    pub generation: Option<u64>,
    /// The checksum of its bytes.
    pub crc32c: Option<Crc32c>,
    /// Its entity tag.
    pub etag: String,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    generation: U64,
    crc32c: U32,
    present: U32,
    etag_len: U16,
    reserved: U16,
    reserved2: U32,
}
const _: () = assert!(size_of::<RawReply>() == 24);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(out, &RawMultipartRef::pack(&self.of, 0, 0));
        put_multipart_ref(out, &self.of);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawMultipartRef = reader.fixed()?;
        let of = raw.unpack_alone(&mut reader)?;
        reader.end(Self { of })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let (etag, etag_len) = fit(&self.etag);
        put(
            out,
            &RawReply {
                generation: self.generation.unwrap_or(0).into(),
                crc32c: self.crc32c.map_or(0, |crc| crc.0).into(),
                present: (bit(self.generation, GENERATION) | bit(self.crc32c, CRC32C)).into(),
                etag_len: etag_len.into(),
                reserved: U16::ZERO,
                reserved2: U32::ZERO,
            },
        );
        out.extend_from_slice(etag.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        let etag = reader.text(raw.etag_len.get().into(), "etag")?;
        let present = raw.present.get();
        reader.end(Self {
            generation: optional(present, GENERATION, raw.generation.get()),
            crc32c: optional(present, CRC32C, Crc32c(raw.crc32c.get())),
            etag,
        })
    }
}
