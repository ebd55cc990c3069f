//! ListBuckets: one page of a project's buckets (proto-spec.md, "ListBuckets").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, fit, fit_optional, flag, known_bits, put};
use gcsd_types::BucketQuery;

/// Which buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The query.
    pub query: BucketQuery,
}

/// The page.
pub type Reply = super::page::Reply;

const FULL: u32 = 1;
const SOFT_DELETED: u32 = 2;
const PARTIAL: u32 = 4;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    project_len: U16,
    user_project_len: U16,
    prefix_len: U16,
    page_token_len: U16,
    fields_len: U16,
    reserved: U16,
    options: U32,
    max_results: U32,
    reserved2: U32,
}
const _: () = assert!(size_of::<RawArgs>() == 24);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let query = &self.query;
        let texts = [
            fit(&query.project),
            fit_optional(&query.user_project),
            fit_optional(&query.prefix),
            fit_optional(&query.page_token),
            fit_optional(&query.fields),
        ];
        let options = flag(query.full, FULL)
            | flag(query.soft_deleted, SOFT_DELETED)
            | flag(query.return_partial_success, PARTIAL);
        put(
            out,
            &RawArgs {
                project_len: texts[0].1.into(),
                user_project_len: texts[1].1.into(),
                prefix_len: texts[2].1.into(),
                page_token_len: texts[3].1.into(),
                fields_len: texts[4].1.into(),
                reserved: U16::ZERO,
                options: options.into(),
                max_results: query.max_results.unwrap_or(0).into(),
                reserved2: U32::ZERO,
            },
        );
        for (text, _) in texts {
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawArgs = reader.fixed()?;
        if raw.reserved.get() != 0 || raw.reserved2.get() != 0 {
            return Err(ArgsError::Reserved("reserved"));
        }
        let options = known_bits(raw.options.get(), FULL | SOFT_DELETED | PARTIAL, "options")?;
        let mut text = |len: U16, field| reader.optional_text(len.get().into(), field);
        let project = text(raw.project_len, "project")?.ok_or(ArgsError::Value {
            field: "project",
            why: "is empty",
        });
        let query = BucketQuery {
            user_project: text(raw.user_project_len, "user_project")?,
            prefix: text(raw.prefix_len, "prefix")?,
            page_token: text(raw.page_token_len, "page_token")?,
            fields: text(raw.fields_len, "fields")?,
            project: project?,
            max_results: Some(raw.max_results.get()).filter(|most| *most > 0),
            full: options & FULL != 0,
            soft_deleted: options & SOFT_DELETED != 0,
            return_partial_success: options & PARTIAL != 0,
        };
        reader.end(Self { query })
    }
}
