//! The numbers that both sides can count on (proto-spec.md, "Limits and time").

use super::list_parts::MAX_PAGE;
use super::multipart::MAX_PARTS_LEN;
use super::{DEFAULT_MAX_ARGS, MAX_BODY_LEN};

/// The longest upload token, in bytes.
pub const MAX_TOKEN: u64 = 16_384;

/// The most bytes of body in a frame of ReadAt or of a list.
pub const MAX_PIECE: u64 = 256 * 1024;

/// The longest JSON in a reply that is not a list, in bytes.
pub const MAX_JSON: u64 = 4 << 20;

/// A limit.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// What is limited.
    pub name: &'static str,
    /// What a client can count on that did not ask the daemon by Hello.
    pub value: u64,
    /// What it counts.
    pub unit: &'static str,
    /// What comes of going beyond it: a kind, or words.
    pub beyond: &'static str,
}

const fn limit(name: &'static str, value: u64, unit: &'static str, beyond: &'static str) -> Limit {
    Limit {
        name,
        value,
        unit,
        beyond,
    }
}

/// All of them.
pub const LIMITS: &[Limit] = &[
    limit("`max_args`", DEFAULT_MAX_ARGS as u64, "bytes", "`args_too_large`"),
    limit("`body_len`", MAX_BODY_LEN, "bytes", "`bad_body`"),
    limit(
        "sizes, positions and ends of ranges",
        MAX_BODY_LEN,
        "bytes",
        "`bad_args`",
    ),
    limit(
        "`max_in_flight`: a client MUST NOT depend on a number",
        1,
        "request",
        "the daemon stops reading",
    ),
    limit("`max_uploads`", 16, "upload ids", "`too_many_uploads`"),
    limit(
        "`alignment`",
        gcsd_types::CHUNK_ALIGNMENT,
        "bytes",
        "`bad_alignment`",
    ),
    limit("`drain_cap`", 0, "bytes", "`closing`"),
    limit(
        "a piece of a body",
        u32::MAX as u64,
        "bytes",
        "(its head can say no more)",
    ),
    limit("a token", MAX_TOKEN, "bytes", "`bad_token`"),
    limit(
        "the list of a CompleteMultipart",
        MAX_PARTS_LEN,
        "bytes",
        "`bad_body`",
    ),
    limit("a part's number", gcsd_types::MAX_PARTS as u64, "", "`bad_args`"),
    limit("parts on a page", MAX_PAGE as u64, "parts", "`bad_args`"),
    limit(
        "sources of a composition",
        gcsd_types::ComposeSource::MAX as u64,
        "objects",
        "`bad_args`",
    ),
    limit(
        "a piece of ReadAt or of a list",
        MAX_PIECE,
        "bytes of body",
        "(the daemon's own promise)",
    ),
    limit(
        "JSON in a reply that is not a list",
        MAX_JSON,
        "bytes",
        "`bad_response`",
    ),
    limit(
        "args of a reply",
        DEFAULT_MAX_ARGS as u64,
        "bytes",
        "(the daemon's own promise)",
    ),
    limit(
        "an object",
        gcsd_types::MAX_OBJECT_SIZE,
        "bytes: GCS's limit",
        "`refused`",
    ),
];
