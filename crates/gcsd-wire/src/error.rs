//! The args of a reply whose status is not `ok` (proto-spec.md, "Errors and recovery").

use super::field_types::OrZero;
use super::table::wire_struct;

wire_struct! {
    /// What the daemon knows of a failure, beside its status: the args of each frame whose status is not `ok`. Such a frame is the last
    /// of its reply and has no body. This layout, and that of its head, are the same in every version.
    #[derive(Clone, PartialEq, Eq, Default)]
    pub struct ErrorReply: "ErrorReply"[40], reply {
        /// The last that GCS reported to this daemon as persisted of the upload. A lower bound: to go on from there is
        /// always safe.
        committed: Option<u64>, present[0];
        bits present;
        /// How long to wait before the next try, in milliseconds, as GCS asked. 0: the client's own back-off.
        retry_after_ms: u32 as OrZero;
        /// One line for a person; its wording may change.
        message: String;
        /// GCS's own word for it (`conditionNotMet`, `rateLimitExceeded` ...), where it gave one.
        reason: Option<String>;
        /// GCS's name for the HTTP request (`X-GUploader-UploadID`), for Google's support.
        request_id: Option<String>;
        /// The versions that the daemon speaks, a byte each; only with `bad_version`.
        versions: Box<[u8]>;
        pad reserved 16;
    }
}
