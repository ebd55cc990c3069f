//! Lists: what they are asked for, and what a page of them says.

use super::BucketName;

/// Which objects of a bucket
/// (<https://cloud.google.com/storage/docs/json_api/v1/objects/list>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectQuery {
    /// The bucket.
    pub bucket: BucketName,
    /// Only names that begin with this.
    pub prefix: Option<String>,
    /// Names that go on with this, somewhere behind the prefix, are one entry of `prefixes` up to there.
    pub delimiter: Option<String>,
    /// The first name.
    pub start_offset: Option<String>,
    /// The name before which the list ends.
    pub end_offset: Option<String>,
    /// Only names that match this pattern.
    pub match_glob: Option<String>,
    /// Where the page before this one ended.
    pub page_token: Option<String>,
    /// How many objects and prefixes are on a page, at most; GCS's own limit (1,000) where absent.
    pub max_results: Option<u32>,
    /// Versions that are not live, too.
    pub versions: bool,
    /// Only objects that are softly deleted.
    pub soft_deleted: bool,
    /// Objects whose names end where a prefix does, as objects, too.
    pub include_trailing_delimiter: bool,
    /// Empty folders as prefixes, too.
    pub include_folders_as_prefixes: bool,
    /// With ACLs.
    pub full: bool,
    /// The project that pays, for buckets where the requester does.
    pub user_project: Option<String>,
    /// Which parts of GCS's JSON are wanted, in GCS's notation; all where absent.
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
    /// What the next page is asked for with; `None` at the list's end.
    pub next_page_token: Option<String>,
}
