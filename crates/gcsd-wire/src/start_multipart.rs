//! StartMultipart: begin an object of parts (proto-spec.md, "StartMultipart").

use super::object::NO_JSON;
use super::table::wire_struct;
use gcsd_types::Destination;

wire_struct! {
    /// What the object will be. A multipart upload knows no preconditions.
    #[derive(Clone, PartialEq, Eq)]
    pub struct StartMultipartArgs: "StartMultipart.args"[64], request {
        /// The object.
        destination: Destination where not(
            fields = NO_JSON,
            preconditions = "cannot be given: multipart uploads know none"
        );
    }
}

wire_struct! {
    /// The upload is begun.
    #[derive(Clone, PartialEq, Eq)]
    pub struct StartMultipartReply: "StartMultipart.reply"[16], reply {
        /// GCS's name for it, which all further requests on it need.
        multipart_id: String;
        pad reserved 2;
        pad reserved2 4;
        pad reserved3 8;
    }
}

/// The args of the request.
pub type Args = StartMultipartArgs;
/// The args of the reply.
pub type Reply = StartMultipartReply;
