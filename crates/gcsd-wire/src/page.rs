//! A page of a list, streamed back in frames (proto-spec.md, "Shared structs").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, fit_optional, put};
use gcsd_types::Page;

/// The args of a reply's frame: they differ by its place, and their length tells which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A frame of GCS's JSON (no args, a body).
    Piece,
    /// The last frame (args, no body): what the JSON holds.
    End(End),
}

/// What a page came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Bytes sent in the pieces.
    pub sent: u64,
    /// What they hold.
    pub page: Page,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawEnd {
    sent: U64,
    items: U32,
    prefixes: U32,
    next_page_token_len: U16,
    reserved: U16,
    reserved2: U32,
}
const _: () = assert!(size_of::<RawEnd>() == 24);

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let Self::End(End { sent, page }) = self else {
            return;
        };
        let (token, next_page_token_len) = fit_optional(&page.next_page_token);
        put(
            out,
            &RawEnd {
                sent: (*sent).into(),
                items: page.items.into(),
                prefixes: page.prefixes.into(),
                next_page_token_len: next_page_token_len.into(),
                reserved: U16::ZERO,
                reserved2: U32::ZERO,
            },
        );
        out.extend_from_slice(token.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        if bytes.is_empty() {
            return Ok(Self::Piece);
        }
        let mut reader = Reader::new(bytes);
        let raw: RawEnd = reader.fixed()?;
        let next_page_token =
            reader.optional_text(raw.next_page_token_len.get().into(), "next_page_token")?;
        reader.end(Self::End(End {
            sent: raw.sent.get(),
            page: Page {
                items: raw.items.get(),
                prefixes: raw.prefixes.get(),
                next_page_token,
            },
        }))
    }
}
