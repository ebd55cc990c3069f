//! ListParts: a page of the parts that GCS holds (proto-spec.md, "ListParts").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, fit, put};
use super::multipart::{RawMultipartRef, RawPart, put_multipart_ref};
use gcsd_types::{MultipartRef, PartsPage, StoredPart};

/// The most parts on a page, so that it fits the args of a reply.
pub const MAX_PAGE: u32 = 500;

/// Which page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The upload.
    pub of: MultipartRef,
    /// The page begins behind the part of this number; 0 for the first.
    pub after: u32,
    /// How many parts it has at most; 0 for [`MAX_PAGE`].
    pub max_parts: u32,
}

/// The page.
pub type Reply = PartsPage;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    of: RawMultipartRef,
    after: U32,
    reserved: U32,
}
const _: () = assert!(size_of::<RawArgs>() == 24);

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    part_count: U32,
    next_after: U32,
}
const _: () = assert!(size_of::<RawReply>() == 8);

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawStoredPart {
    part: RawPart,
    size: U64,
}
const _: () = assert!(size_of::<RawStoredPart>() == 16);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        put(
            out,
            &RawArgs {
                of: RawMultipartRef::pack(&self.of, 0, self.max_parts),
                after: self.after.into(),
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
        if raw.of.number.get() > MAX_PAGE {
            return Err(ArgsError::Value {
                field: "max_parts",
                why: "is more than 500",
            });
        }
        let of = raw.of.unpack(0, &mut reader)?;
        reader.end(Self {
            of,
            after: raw.after.get(),
            max_parts: raw.of.number.get(),
        })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        put(
            out,
            &RawReply {
                part_count: u32::try_from(self.parts.len()).unwrap_or(u32::MAX).into(),
                next_after: self.next_after.unwrap_or(0).into(),
            },
        );
        for stored in &self.parts {
            let raw = RawStoredPart {
                part: RawPart::pack(&stored.part),
                size: stored.size.into(),
            };
            put(out, &raw);
        }
        for stored in &self.parts {
            out.extend_from_slice(fit(&stored.part.etag).0.as_bytes());
        }
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        // Each takes its bytes from what came, so that a count alone makes no room.
        let mut stored: Vec<RawStoredPart> = Vec::new();
        for _ in 0..raw.part_count.get() {
            stored.push(reader.fixed()?);
        }
        let parts = stored.iter().map(|stored| {
            Ok(StoredPart {
                part: stored.part.unpack(&mut reader)?,
                size: stored.size.get(),
            })
        });
        let parts = parts.collect::<Result<_, ArgsError>>()?;
        reader.end(Self {
            parts,
            next_after: Some(raw.next_after.get()).filter(|after| *after > 0),
        })
    }
}
