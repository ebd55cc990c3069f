//! PutObject: an object in one request (proto-spec.md, "PutObject").

use super::table::wire_struct;
use gcsd_types::{Crc32c, Destination, ObjectInfo};

wire_struct! {
    /// What the object will be; the body is its bytes.
    #[derive(Clone, PartialEq, Eq)]
    pub struct PutObjectArgs: "PutObject.args"[80], request {
        /// The object.
        destination: Destination;
        /// The checksum of the body, and of the object: none is made that differs.
        body_crc32c: Option<Crc32c>, destination.present[5];
        pad reserved 4;
        pad reserved2 8;
    }
}

wire_struct! {
    /// The object. The reply's body is its JSON resource.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct PutObjectReply: "PutObject.reply"[80], reply {
        /// Bytes of the body that the daemon received.
        received: u64;
        /// The checksum of those bytes.
        received_crc32c: Crc32c;
        pad reserved 4;
        /// The object.
        object: ObjectInfo;
    }
}

/// The args of the request.
pub type Args = PutObjectArgs;
/// The args of the reply.
pub type Reply = PutObjectReply;
