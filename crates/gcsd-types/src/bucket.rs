//! Buckets, and lists of them.

use super::{BucketName, Preconditions};

/// A bucket, and what must hold of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRef {
    /// Its name.
    pub bucket: BucketName,
    /// This generation of it, of those that are softly deleted.
    pub generation: Option<u64>,
    /// What must hold; a bucket has a metageneration only.
    pub preconditions: Preconditions,
    /// A bucket that is softly deleted.
    pub soft_deleted: bool,
    /// With ACLs.
    pub full: bool,
    /// The project that pays, for buckets where the requester does.
    pub user_project: Option<String>,
    /// Which parts of GCS's JSON are wanted, in GCS's notation; all where absent.
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

/// What GCS says of a bucket, in the fields that a program needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketInfo {
    /// The version of its metadata.
    pub metageneration: u64,
    /// Versions of objects are kept when they are replaced or deleted.
    pub versioning: bool,
    /// Who asks, pays.
    pub requester_pays: bool,
    /// Objects have no ACLs of their own.
    pub uniform_access: bool,
    /// It has folders.
    pub hierarchical: bool,
    /// Where it lies, such as `EU` or `EUROPE-WEST4`.
    pub location: String,
    /// The storage class that its objects have unless they say otherwise.
    pub storage_class: String,
}

/// Which buckets
/// (<https://cloud.google.com/storage/docs/json_api/v1/buckets/list>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketQuery {
    /// Of this project; not empty.
    pub project: String,
    /// Only names that begin with this.
    pub prefix: Option<String>,
    /// Where the page before this one ended.
    pub page_token: Option<String>,
    /// How many buckets are on a page, at most; GCS's own limit where absent.
    pub max_results: Option<u32>,
    /// With ACLs.
    pub full: bool,
    /// Only buckets that are softly deleted.
    pub soft_deleted: bool,
    /// Those that can be reached, if some cannot.
    pub return_partial_success: bool,
    /// The project that pays.
    pub user_project: Option<String>,
    /// Which parts of GCS's JSON are wanted, in GCS's notation; all where absent.
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
