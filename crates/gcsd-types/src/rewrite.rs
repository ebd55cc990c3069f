//! Copies of objects, in steps.

use super::{Destination, ObjectInfo, ObjectRef};

/// A step of a copy
/// (<https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// What is copied; its preconditions are those on the source, and it has no `user_project` and no `fields` of its
    /// own.
    pub source: ObjectRef,
    /// What the copy will be. Without metadata it has that of the source.
    pub destination: Destination,
    /// How many bytes a step copies, at most: a multiple of 1 MiB. GCS's choice where absent.
    pub max_bytes: Option<u64>,
    /// What the step before gave; absent in the first one.
    pub token: Option<String>,
}

/// What a step of a copy came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// Bytes that are copied, with those of the steps before.
    pub rewritten: u64,
    /// The source's bytes.
    pub size: u64,
    /// What the next step is asked for with; `None` in the last one.
    pub token: Option<String>,
    /// The copy, once it is there.
    pub object: Option<ObjectInfo>,
}
