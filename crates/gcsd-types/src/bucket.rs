//! Buckets: how requests name them, and what GCS says of them.

use crate::name::BucketName;
use crate::preconditions::Preconditions;

/// A bucket in a request, with its preconditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRef {
    /// Its name.
    pub bucket: BucketName,
    /// This generation, of a soft-deleted bucket.
    pub generation: Option<u64>,
    /// Preconditions. A bucket has only a metageneration.
    pub preconditions: Preconditions,
    /// Look for a soft-deleted bucket.
    pub soft_deleted: bool,
    /// Include ACLs.
    pub full: bool,
    /// The project to bill, for requester-pays buckets.
    pub user_project: Option<String>,
    /// Which parts of GCS's JSON to return, in GCS's notation; all of it by default.
    pub fields: Option<String>,
}

impl BucketRef {
    /// A bucket, unconditionally.
    pub fn new(bucket: BucketName) -> Self {
        Self {
            bucket,
            generation: None,
            preconditions: Preconditions::default(),
            soft_deleted: false,
            full: false,
            user_project: None,
            fields: None,
        }
    }
}

/// The fields of a bucket resource that programs need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketInfo {
    /// The version of its metadata.
    pub metageneration: u64,
    /// Object versioning is on: replaced and deleted objects are kept as noncurrent versions.
    pub versioning: bool,
    /// Requester pays is on.
    pub requester_pays: bool,
    /// Uniform bucket-level access is on: objects have no ACLs of their own.
    pub uniform_access: bool,
    /// The bucket has a hierarchical namespace.
    pub hierarchical: bool,
    /// Its location, such as `EU` or `EUROPE-WEST4`.
    pub location: String,
    /// The default storage class of its objects.
    pub storage_class: String,
}

/// Which buckets to list
/// (<https://cloud.google.com/storage/docs/json_api/v1/buckets/list>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketQuery {
    /// The project whose buckets to list; not empty.
    pub project: String,
    /// Only names that start with this.
    pub prefix: Option<String>,
    /// The token of the previous page.
    pub page_token: Option<String>,
    /// The most buckets on a page; GCS's own limit by default.
    pub max_results: Option<u32>,
    /// Include ACLs.
    pub full: bool,
    /// Only soft-deleted buckets.
    pub soft_deleted: bool,
    /// Return the buckets that can be reached even if some cannot.
    pub return_partial_success: bool,
    /// The project to bill.
    pub user_project: Option<String>,
    /// Which parts of GCS's JSON to return, in GCS's notation; all of it by default.
    pub fields: Option<String>,
}

impl BucketQuery {
    /// All buckets of a project.
    pub fn new(project: impl Into<String>) -> Self {
        Self {
            project: project.into(),
            prefix: None,
            page_token: None,
            max_results: None,
            full: false,
            soft_deleted: false,
            return_partial_success: false,
            user_project: None,
            fields: None,
        }
    }
}
