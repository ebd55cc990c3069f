//! Lists of objects: what to list, and what a page holds.

use crate::name::BucketName;

/// Which objects of a bucket to list
/// (<https://cloud.google.com/storage/docs/json_api/v1/objects/list>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectQuery {
    /// The bucket.
    pub bucket: BucketName,
    /// Only names that start with this.
    pub prefix: Option<String>,
    /// Names that contain this after the prefix are rolled up into one entry of `prefixes`.
    pub delimiter: Option<String>,
    /// List from this name on.
    pub start_offset: Option<String>,
    /// Stop before this name.
    pub end_offset: Option<String>,
    /// Only names that match this glob.
    pub match_glob: Option<String>,
    /// The token of the previous page.
    pub page_token: Option<String>,
    /// The most objects and prefixes on a page; GCS's own limit (1,000) by default.
    pub max_results: Option<u32>,
    /// Include noncurrent versions.
    pub versions: bool,
    /// Only soft-deleted objects.
    pub soft_deleted: bool,
    /// List objects whose names end with the delimiter as objects as well as prefixes.
    pub include_trailing_delimiter: bool,
    /// Include empty folders as prefixes.
    pub include_folders_as_prefixes: bool,
    /// Include ACLs.
    pub full: bool,
    /// The project to bill, for requester-pays buckets.
    pub user_project: Option<String>,
    /// Which parts of GCS's JSON to return, in GCS's notation; all of it by default.
    pub fields: Option<String>,
}

impl ObjectQuery {
    /// All live objects of a bucket.
    pub fn new(bucket: BucketName) -> Self {
        Self {
            bucket,
            prefix: None,
            delimiter: None,
            start_offset: None,
            end_offset: None,
            match_glob: None,
            page_token: None,
            max_results: None,
            versions: false,
            soft_deleted: false,
            include_trailing_delimiter: false,
            include_folders_as_prefixes: false,
            full: false,
            user_project: None,
            fields: None,
        }
    }
}

/// What a page of a list holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// How many entries `items` has.
    pub items: u32,
    /// How many entries `prefixes` has.
    pub prefixes: u32,
    /// The token of the next page; `None` on the last one.
    pub next_page_token: Option<String>,
}
