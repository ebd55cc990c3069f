//! ListBuckets: one page of a project's buckets (proto-spec.md, "ListBuckets").

use super::args::ArgsError;
use super::field_types::NotZero;
use super::page::page_request;
use super::table::wire_struct;
use gcsd_types::BucketQuery;

page_request! {
    /// Which buckets.
    pub struct ListBucketsArgs { query: BucketQuery }
}

wire_struct! {
    /// Which buckets.
    impl BucketQuery: "ListBuckets.args"[32], part, checked by has_project {
        /// The project's id or number; not empty, else `bad_args`.
        project: String;
        /// The project that pays.
        user_project: Option<String>;
        /// Only names that begin with this.
        prefix: Option<String>;
        /// The `next_page_token` of the page before; absent: the first page.
        page_token: Option<String>;
        /// Which parts of GCS's JSON are wanted; absent: all.
        fields: Option<String>;
        pad reserved 2;
        bits options;
        /// Buckets on the page, at most; 0: GCS's own limit.
        max_results: Option<u32> as NotZero;
        pad reserved2 4;
        pad reserved3 8;
        /// With ACLs.
        full: bool, options[0];
        /// Only buckets that are softly deleted.
        soft_deleted: bool, options[1];
        /// Those that can be reached, if some cannot.
        return_partial_success: bool, options[2];
    }
}

fn has_project(query: &BucketQuery) -> Result<(), ArgsError> {
    match query.project.is_empty() {
        true => Err(ArgsError::value("project", "is empty")),
        false => Ok(()),
    }
}
