//! StartUpload: begin an unfinished object (proto-spec.md, "StartUpload").

use super::args::{ArgsError, check_size};
use super::field_types::{Time, Token};
use super::object::NO_JSON;
use super::table::wire_struct;
use gcsd_types::{BucketName, Destination, ObjectName};

wire_struct! {
    /// What the object will be.
    #[derive(Clone, PartialEq, Eq)]
    pub struct StartUploadArgs: "StartUpload.args"[80], request, checked by StartUploadArgs::check {
        /// The object. Its preconditions are tested now, and again when the upload finishes.
        destination: Destination where not(fields = NO_JSON);
        /// The object's size, if it is known already: GCS finishes the upload as soon as it has that many bytes.
        size: Option<u64>, destination.present[4];
        pad reserved 8;
    }
}

wire_struct! {
    /// The upload is open.
    #[derive(Clone, PartialEq, Eq)]
    pub struct StartUploadReply: "StartUpload.reply"[32], reply {
        /// About when GCS forgets the session, in seconds since 1970-01-01 00:00 UTC: seven days from now, by the daemon's
        /// clock. For people: only GCS's answer tells that a session is gone.
        expires: u64 as Time;
        /// What brings the upload back on any connection, on any daemon with the same key: 1 to 16,384 characters of `A-Z
        /// a-z 0-9 - _`, to be kept as they are; a few hundred as a rule.
        token: String as Token;
        pad reserved 2;
        pad reserved2 4;
        pad reserved3 16;
    }
}

impl StartUploadArgs {
    fn check(&self) -> Result<(), ArgsError> {
        check_size("size", self.size)
    }

    /// An object of unknown size, without metadata, unconditionally.
    pub fn new(bucket: BucketName, object: ObjectName) -> Self {
        Destination::new(bucket, object).into()
    }
}

impl From<Destination> for StartUploadArgs {
    fn from(destination: Destination) -> Self {
        Self {
            destination,
            size: None,
        }
    }
}

/// The args of the request.
pub type Args = StartUploadArgs;
/// The args of the reply.
pub type Reply = StartUploadReply;
