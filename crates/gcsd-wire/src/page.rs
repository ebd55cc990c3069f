//! A page of a list, streamed back in frames (proto-spec.md, "Shared structs").

use bytes::{Bytes, BytesMut};

use super::args::{ArgsError, WireArgs};
use super::layout::StructLayout;
use super::table::wire_struct;
use gcsd_types::{Crc32c, Page};

/// The args of a reply's frame: they differ by its place, and their length tells which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageReply {
    /// A frame of GCS's JSON (no args, a body).
    Piece,
    /// The last frame (args, no body): what the JSON holds.
    End(PageEnd),
}

/// As modules of opcodes call it.
pub type Reply = PageReply;
/// As modules of opcodes call it.
pub type End = PageEnd;

/// The totals of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEnd {
    /// Bytes sent in the pieces.
    pub sent: u64,
    /// Their checksum.
    pub crc32c: Crc32c,
    /// What they hold.
    pub page: Page,
}

wire_struct! {
    /// What a page of a list holds.
    #[derive(Clone, PartialEq, Eq)]
    pub(crate) struct PageFields: "Page"[32], reply {
        /// Bytes of JSON in the pieces before.
        sent: u64;
        /// Entries in the JSON's `items`.
        items: u32;
        /// Entries in its `prefixes`.
        prefixes: u32;
        /// What the next page is asked for with; absent: this page is the last.
        next_page_token: Option<String>;
        pad reserved 2;
        /// The checksum of the JSON in the pieces.
        crc32c: Crc32c;
        pad reserved2 8;
    }
}

impl WireArgs for PageReply {
    const LAYOUTS: &'static [&'static StructLayout] = PageFields::LAYOUTS;

    fn encode(&self, out: &mut BytesMut) {
        let Self::End(PageEnd { sent, crc32c, page }) = self else {
            return;
        };
        let fields = PageFields {
            sent: *sent,
            items: page.items,
            prefixes: page.prefixes,
            next_page_token: page.next_page_token.clone(),
            crc32c: *crc32c,
        };
        fields.encode(out);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        if bytes.is_empty() {
            return Ok(Self::Piece);
        }
        let fields = PageFields::decode(bytes)?;
        Ok(Self::End(PageEnd {
            sent: fields.sent,
            crc32c: fields.crc32c,
            page: Page {
                items: fields.items,
                prefixes: fields.prefixes,
                next_page_token: fields.next_page_token,
            },
        }))
    }
}

/// The args of a request for a page: a query of the shared types, by the table that it has here.
macro_rules! page_request {
    ($(#[$about:meta])+ pub struct $name:ident { query: $query:ty }) => {
        $(#[$about])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// The query.
            pub query: $query,
        }

        impl From<&$name> for $query {
            fn from(args: &$name) -> Self {
                args.query.clone()
            }
        }

        impl From<$query> for $name {
            fn from(query: $query) -> Self {
                Self { query }
            }
        }

        $crate::table::wire_args_as!($name, $query, true);

        /// The args of the request.
        pub type Args = $name;
        /// The page.
        pub type Reply = $crate::page::PageReply;
    };
}

pub(crate) use page_request;
