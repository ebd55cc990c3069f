//! UploadPart: a part of an object (proto-spec.md, "UploadPart").

use super::args::ArgsError;
use super::multipart::check_number;
use super::table::wire_struct;
use gcsd_types::{Crc32c, MultipartRef};

wire_struct! {
    /// Which part the body is.
    #[derive(Clone, PartialEq, Eq)]
    pub struct UploadPartArgs: "UploadPart.args"[40], request, checked by UploadPartArgs::check {
        /// The upload.
        of: MultipartRef;
        /// The part's number: 1 to 10,000, else `bad_args`.
        part_number: u32;
        /// The checksum of the body, and of the part: none is kept that differs.
        body_crc32c: Option<Crc32c>, of.present[0];
        pad reserved 8;
    }
}

wire_struct! {
    /// GCS holds the part.
    #[derive(Clone, PartialEq, Eq)]
    pub struct UploadPartReply: "UploadPart.reply"[24], reply {
        /// Bytes of the body that the daemon received.
        received: u64;
        /// The checksum of those bytes.
        received_crc32c: Crc32c;
        /// What CompleteMultipart names the part by.
        etag: String;
        pad reserved 2;
        pad reserved2 8;
    }
}

impl UploadPartArgs {
    fn check(&self) -> Result<(), ArgsError> {
        check_number(self.part_number)
    }
}

/// The args of the request.
pub type Args = UploadPartArgs;
/// The args of the reply.
pub type Reply = UploadPartReply;
