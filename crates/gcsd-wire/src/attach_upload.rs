//! AttachUpload: come back to an upload by its token (proto-spec.md, "AttachUpload").

use super::field_types::{Time, Token};
use super::table::wire_struct;
use gcsd_types::{BucketName, EncryptionKey, ObjectName};

wire_struct! {
    /// The token that StartUpload gave.
    #[derive(Clone, PartialEq, Eq)]
    pub struct AttachUploadArgs: "AttachUpload.args"[16], request {
        /// The token, as StartUpload's reply gave it.
        token: String as Token;
        pad reserved 2;
        bits present;
        pad reserved2 8;
        /// The key that StartUpload had, where it had one: it is not in the token. The daemon cannot compare them: with a
        /// wrong one, or none, GCS refuses what follows.
        key: Option<EncryptionKey>, present[7];
    }
}

wire_struct! {
    /// What the token is for.
    #[derive(Clone, PartialEq, Eq)]
    pub struct AttachUploadReply: "AttachUpload.reply"[24], reply {
        /// As in the reply to the StartUpload, by the clock of the daemon that answered it.
        expires: u64 as Time;
        /// The bucket.
        bucket: BucketName;
        /// The object.
        object: ObjectName;
        pad reserved 4;
        pad reserved2 8;
    }
}

/// The args of the request.
pub type Args = AttachUploadArgs;
/// The args of the reply.
pub type Reply = AttachUploadReply;
