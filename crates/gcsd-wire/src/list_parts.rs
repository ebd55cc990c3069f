//! ListParts: a page of the parts that GCS holds (proto-spec.md, "ListParts").

use super::args::ArgsError;
use super::field_types::NotZero;
use super::table::{wire_args_as, wire_struct};
use gcsd_types::{MultipartRef, Part, PartsPage, StoredPart};

/// The most parts on a page, so that it fits the args of a reply.
pub const MAX_PAGE: u32 = 500;

wire_struct! {
    /// Which page.
    #[derive(Clone, PartialEq, Eq)]
    pub struct ListPartsArgs: "ListParts.args"[40], request, checked by ListPartsArgs::check {
        /// The upload.
        of: MultipartRef;
        /// How many parts the page has at most: 500, else `bad_args`; 0 for 500.
        max_parts: u32;
        /// The page begins behind the part of this number; 0 for the first page.
        after: u32;
        pad reserved 8;
    }
}

wire_struct! {
    /// A page of the parts that GCS holds.
    #[derive(Clone, PartialEq, Eq)]
    pub(crate) struct Fields: "ListParts.reply"[16], reply {
        /// The parts, in the order of their numbers.
        parts: Vec<StoredPart>;
        /// `after` of the next page; 0: this one is the last.
        next_after: Option<u32> as NotZero;
        pad reserved 8;
    }
}

wire_struct! {
    /// A part that GCS holds.
    impl StoredPart: "StoredPart"[16], part {
        /// Which one.
        part: Part;
        /// Its bytes.
        size: u64;
    }
}

impl ListPartsArgs {
    fn check(&self) -> Result<(), ArgsError> {
        match self.max_parts {
            0..=MAX_PAGE => Ok(()),
            _ => Err(ArgsError::value("max_parts", "is more than 500")),
        }
    }
}

impl From<&PartsPage> for Fields {
    fn from(page: &PartsPage) -> Self {
        let PartsPage { parts, next_after } = page.clone();
        Self { parts, next_after }
    }
}

impl From<Fields> for PartsPage {
    fn from(Fields { parts, next_after }: Fields) -> Self {
        Self { parts, next_after }
    }
}

wire_args_as!(PartsPage, Fields, false);

/// The args of the request.
pub type Args = ListPartsArgs;
/// The page.
pub type Reply = PartsPage;
