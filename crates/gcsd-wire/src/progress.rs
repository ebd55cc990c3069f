//! Progress: the reply of WriteAt, QueryUpload and FinishUpload (proto-spec.md, "Shared structs").

use super::table::wire_struct;
use gcsd_types::{Crc32c, ObjectInfo};

wire_struct! {
    /// What GCS holds of an upload after a request: the reply of WriteAt, QueryUpload and FinishUpload.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct Progress: "Progress"[104], reply {
        /// Bytes that GCS reported as persisted, from the object's start; the object's size once finished.
        committed: u64;
        /// Bytes of this request's body that the daemon received; 0 where the request has no body.
        received: u64;
        /// The checksum of those bytes; 0 where there are none.
        received_crc32c: Crc32c;
        bits state;
        pad reserved 16;
        /// The object exists.
        flag finished, state[0];
        /// The object, once it is finished; zeros before. The reply's body is then its JSON resource.
        object: Option<ObjectInfo>, state[0];
    }
}

impl Progress {
    /// Of an upload that is unfinished, by a request that had no body.
    pub fn of(committed: u64) -> Self {
        Self {
            committed,
            received: 0,
            received_crc32c: Crc32c::default(),
            object: None,
        }
    }
}
