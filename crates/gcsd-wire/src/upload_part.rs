//! UploadPart: a part of an object (proto-spec.md, "UploadPart").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, fit, optional, put};
use super::multipart::{RawMultipartRef, part_number, put_multipart_ref};
use gcsd_types::{Crc32c, MultipartRef};

/// `present` bit: `part_crc32c` holds a value.
const PART_CRC32C: u32 = 1;

/// Which part the body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The upload.
    pub of: MultipartRef,
    /// The part's number, from 1 to 10,000.
    pub part_number: u32,
    /// The checksum of the part: GCS keeps none that differs.
    pub part_crc32c: Option<Crc32c>,
}

/// GCS holds the part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Bytes of the body that the daemon received.
    pub received: u64,
    /// The checksum of those bytes.
    pub received_crc32c: Crc32c,
    /// What names the part in the list that completes the upload.
    pub etag: String,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    of: RawMultipartRef,
    part_crc32c: U32,
    reserved: U32,
}
const _: () = assert!(size_of::<RawArgs>() == 24);

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    received: U64,
    received_crc32c: U32,
    etag_len: U16,
    reserved: U16,
}
const _: () = assert!(size_of::<RawReply>() == 16);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let extra = bit(self.part_crc32c, PART_CRC32C);
        put(
            out,
            &RawArgs {
                of: RawMultipartRef::pack(&self.of, extra, self.part_number),
                part_crc32c: self.part_crc32c.map_or(0, |crc| crc.0).into(),
                reserved: U32::ZERO,
            },
        );
        put_multipart_ref(out, &self.of);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawArgs = reader.fixed()?;
        if raw.reserved.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let of = raw.of.unpack(PART_CRC32C, &mut reader)?;
        reader.end(Self {
            of,
            part_number: part_number(raw.of.number.get())?,
            part_crc32c: optional(raw.of.present.get(), PART_CRC32C, Crc32c(raw.part_crc32c.get())),
        })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let (etag, etag_len) = fit(&self.etag);
        put(
            out,
            &RawReply {
                received: self.received.into(),
                received_crc32c: self.received_crc32c.0.into(),
                etag_len: etag_len.into(),
                reserved: U16::ZERO,
            },
        );
        out.extend_from_slice(etag.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        let etag = reader.text(raw.etag_len.get().into(), "etag")?;
        reader.end(Self {
            received: raw.received.get(),
            received_crc32c: Crc32c(raw.received_crc32c.get()),
            etag,
        })
    }
}
