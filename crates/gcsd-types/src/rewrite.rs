//! Copies of objects, in steps.

use crate::object::{Destination, ObjectInfo, ObjectRef};

/// A step of a copy
/// (<https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// What to copy. Its `user_project` and `fields` are those of the destination, and ignored here.
    pub source: ObjectRef,
    /// The copy. Without metadata of its own it gets that of the source.
    pub destination: Destination,
    /// The most bytes that a step copies, a multiple of 1 MiB; GCS's choice by default.
    pub max_bytes: Option<u64>,
    /// The token of the previous step; absent in the first one.
    pub token: Option<String>,
}

/// How far a copy is after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// Bytes copied so far, over all steps.
    pub rewritten: u64,
    /// The size of the source in bytes.
    pub size: u64,
    /// The token of the next step; `None` after the last one.
    pub token: Option<String>,
    /// The copy, once it is there.
    pub object: Option<ObjectInfo>,
}
