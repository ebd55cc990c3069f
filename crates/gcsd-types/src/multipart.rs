//! Multipart uploads and their parts.

use crate::key::EncryptionKey;
use crate::name::{BucketName, ObjectName};

/// The highest part number, and so the most parts of an upload
/// (<https://cloud.google.com/storage/quotas#requests>).
pub const MAX_PARTS: u32 = 10_000;

/// A multipart upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipartRef {
    /// The object's bucket.
    pub bucket: BucketName,
    /// The object's name.
    pub object: ObjectName,
    /// GCS's name for the multipart upload.
    pub multipart_id: String,
    /// The project to bill, for requester-pays buckets.
    pub user_project: Option<String>,
    /// The customer-supplied key that the object is encrypted with.
    pub key: Option<EncryptionKey>,
}

/// A part, as the list that completes the upload names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1 to [`MAX_PARTS`]: the object holds its parts in the order of their numbers.
    pub number: u32,
    /// The entity tag that GCS returned for it.
    pub etag: String,
}

/// A part that GCS holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// Which one.
    pub part: Part,
    /// Its size in bytes.
    pub size: u64,
}

/// A page of the list of parts that GCS holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartsPage {
    /// The parts, ordered by number.
    pub parts: Vec<StoredPart>,
    /// The next page starts after this number; `None` on the last page.
    pub next_after: Option<u32>,
}
