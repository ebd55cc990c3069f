//! CompleteMultipart: the object of its parts (proto-spec.md, "CompleteMultipart"). The body lists them:
//! [`encode_parts`](super::multipart::encode_parts).

use super::table::wire_struct;
use gcsd_types::{Crc32c, MultipartRef};

wire_struct! {
    /// Which upload.
    #[derive(Clone, PartialEq, Eq)]
    pub struct CompleteMultipartArgs: "CompleteMultipart.args"[32], request {
        /// The upload.
        of: MultipartRef;
        pad reserved 8;
    }
}

wire_struct! {
    /// The object, as far as GCS describes it here.
    #[derive(Clone, PartialEq, Eq)]
    pub struct CompleteMultipartReply: "CompleteMultipart.reply"[32], reply {
        /// The version of its bytes.
        generation: Option<u64>, present[0];
        /// Of the whole object.
        crc32c: Option<Crc32c>, present[1];
        bits present;
        /// The object's.
        etag: String;
        pad reserved 2;
        pad reserved2 4;
        pad reserved3 8;
    }
}

/// The args of the request.
pub type Args = CompleteMultipartArgs;
/// The args of the reply.
pub type Reply = CompleteMultipartReply;
