//! ListObjects: one page of a bucket's objects (proto-spec.md, "ListObjects").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, fit, fit_optional, flag, known_bits, put};
use gcsd_types::{BucketName, ObjectQuery};

/// Which objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The query.
    pub query: ObjectQuery,
}

/// The page.
pub type Reply = super::page::Reply;

const VERSIONS: u32 = 1;
const SOFT_DELETED: u32 = 2;
const TRAILING_DELIMITER: u32 = 4;
const FOLDERS: u32 = 8;
const FULL: u32 = 0x10;
const FLAGS: u32 = VERSIONS | SOFT_DELETED | TRAILING_DELIMITER | FOLDERS | FULL;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    bucket_len: U16,
    user_project_len: U16,
    prefix_len: U16,
    delimiter_len: U16,
    start_offset_len: U16,
    end_offset_len: U16,
    match_glob_len: U16,
    page_token_len: U16,
    fields_len: U16,
    reserved: U16,
    options: U32,
    max_results: U32,
    reserved2: U32,
}
const _: () = assert!(size_of::<RawArgs>() == 32);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let query = &self.query;
        let texts = [
            fit(query.bucket.as_str()),
            fit_optional(&query.user_project),
            fit_optional(&query.prefix),
            fit_optional(&query.delimiter),
            fit_optional(&query.start_offset),
            fit_optional(&query.end_offset),
            fit_optional(&query.match_glob),
            fit_optional(&query.page_token),
            fit_optional(&query.fields),
        ];
        let len = |at: usize| U16::new(texts[at].1);
        let options = flag(query.versions, VERSIONS)
            | flag(query.soft_deleted, SOFT_DELETED)
            | flag(query.include_trailing_delimiter, TRAILING_DELIMITER)
            | flag(query.include_folders_as_prefixes, FOLDERS)
            | flag(query.full, FULL);
        put(
            out,
            &RawArgs {
                bucket_len: len(0),
                user_project_len: len(1),
                prefix_len: len(2),
                delimiter_len: len(3),
                start_offset_len: len(4),
                end_offset_len: len(5),
                match_glob_len: len(6),
                page_token_len: len(7),
                fields_len: len(8),
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
        let options = known_bits(raw.options.get(), FLAGS, "options")?;
        let bucket = BucketName::new(reader.text(raw.bucket_len.get().into(), "bucket")?)?;
        let mut text = |len: U16, field| reader.optional_text(len.get().into(), field);
        let query = ObjectQuery {
            bucket,
            user_project: text(raw.user_project_len, "user_project")?,
            prefix: text(raw.prefix_len, "prefix")?,
            delimiter: text(raw.delimiter_len, "delimiter")?,
            start_offset: text(raw.start_offset_len, "start_offset")?,
            end_offset: text(raw.end_offset_len, "end_offset")?,
            match_glob: text(raw.match_glob_len, "match_glob")?,
            page_token: text(raw.page_token_len, "page_token")?,
            fields: text(raw.fields_len, "fields")?,
            max_results: Some(raw.max_results.get()).filter(|most| *most > 0),
            versions: options & VERSIONS != 0,
            soft_deleted: options & SOFT_DELETED != 0,
            include_trailing_delimiter: options & TRAILING_DELIMITER != 0,
            include_folders_as_prefixes: options & FOLDERS != 0,
            full: options & FULL != 0,
        };
        reader.end(Self { query })
    }
}
