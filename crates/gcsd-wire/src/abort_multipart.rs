//! AbortMultipart: throw parts away (proto-spec.md, "AbortMultipart").

use super::field_types::choice;
use super::table::{wire_args_as, wire_struct};
use gcsd_types::MultipartRef;

wire_struct! {
    /// Which upload.
    #[derive(Clone, PartialEq, Eq)]
    pub struct AbortMultipartArgs: "AbortMultipart.args"[32], request {
        /// The upload.
        of: MultipartRef;
        pad reserved 8;
    }
}

choice! {
    /// How the upload ended.
    pub enum AbortMultipartReply {
        /// It is gone, and its parts.
        Aborted = 1 "aborted",
        /// GCS knows no such upload (any more): it was aborted, or completed.
        Unknown = 3 "unknown",
    }
}

wire_struct! {
    /// How the upload ended.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Fields: "AbortMultipart.reply"[16], reply {
        /// 1 aborted; 3 unknown: GCS knows no such upload. It was aborted before, or completed.
        outcome: AbortMultipartReply;
        pad reserved 4;
        pad reserved2 8;
    }
}

impl From<&AbortMultipartReply> for Fields {
    fn from(outcome: &AbortMultipartReply) -> Self {
        Self { outcome: *outcome }
    }
}

impl From<Fields> for AbortMultipartReply {
    fn from(fields: Fields) -> Self {
        fields.outcome
    }
}

wire_args_as!(AbortMultipartReply, Fields, false);

/// The args of the request.
pub type Args = AbortMultipartArgs;
/// The args of the reply.
pub type Reply = AbortMultipartReply;
