//! Multipart uploads as requests name them: the words that the wire and the calls to GCS share.

use super::{BucketName, EncryptionKey, ObjectName};

/// The number that a part can have at most, and so how many there can be
/// (<https://cloud.google.com/storage/quotas#requests>).
pub const MAX_PARTS: u32 = 10_000;

/// A multipart upload that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipartRef {
    /// The object's bucket.
    pub bucket: BucketName,
    /// The object's name.
    pub object: ObjectName,
    /// GCS's name for the multipart upload.
    pub multipart_id: String,
    /// The project that pays, for buckets where the requester does.
    pub user_project: Option<String>,
    /// The key that the object is encrypted with, where its owner keeps that key.
    pub key: Option<EncryptionKey>,
}

/// A part, as the list of what the object is made of names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1 to [`MAX_PARTS`]: parts stand in the object in the order of their numbers.
    pub number: u32,
    /// What GCS gave when it was uploaded.
    pub etag: String,
}

/// A part that GCS holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// Which one.
    pub part: Part,
    /// How many bytes it has.
    pub size: u64,
}

/// A page of the parts that GCS holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartsPage {
    /// The parts, by their numbers.
    pub parts: Vec<StoredPart>,
    /// The number behind which the next page begins; `None` where this page is the last.
    pub next_after: Option<u32>,
}
