//! An object, as GCS describes it.

use bytes::Bytes;

use super::connection::Reply;
use gcsd_types::ObjectInfo;
use gcsd_wire::object::Described;

/// An object, as GCS describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredObject {
    /// The fields that a program needs.
    pub info: ObjectInfo,
    /// GCS's JSON resource, unchanged
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects#resource>).
    pub json: Bytes,
}

impl From<Reply<Described>> for StoredObject {
    fn from(reply: Reply<Described>) -> Self {
        Self {
            info: reply.args.object,
            json: reply.json,
        }
    }
}
