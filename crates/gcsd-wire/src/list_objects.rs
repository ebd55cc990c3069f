//! ListObjects: one page of a bucket's objects (proto-spec.md, "ListObjects").

use super::field_types::NotZero;
use super::page::page_request;
use super::table::wire_struct;
use gcsd_types::{BucketName, ObjectQuery};

page_request! {
    /// Which objects.
    pub struct ListObjectsArgs { query: ObjectQuery }
}

wire_struct! {
    /// Which objects.
    impl ObjectQuery: "ListObjects.args"[40], part {
        /// As in ObjectRef.
        bucket: BucketName;
        /// The project that pays, for buckets where the requester does.
        user_project: Option<String>;
        /// Only names that begin with this.
        prefix: Option<String>;
        /// Names in which this stands behind the prefix are one entry of `prefixes`, up to and with it.
        delimiter: Option<String>;
        /// The first name.
        start_offset: Option<String>;
        /// The name before which the list ends.
        end_offset: Option<String>;
        /// Only names that match this pattern.
        match_glob: Option<String>;
        /// The `next_page_token` of the page before; absent: the first page.
        page_token: Option<String>;
        /// Which parts of GCS's JSON are wanted (`items(name,size),prefixes`); absent: all.
        fields: Option<String>;
        pad reserved 2;
        bits options;
        /// Entries of `items` and `prefixes` together, at most; 0: GCS's own limit, 1000. GCS may give fewer, even none,
        /// and a token.
        max_results: Option<u32> as NotZero;
        pad reserved2 4;
        pad reserved3 8;
        /// Versions that are not live, too.
        versions: bool, options[0];
        /// Only objects that are softly deleted.
        soft_deleted: bool, options[1];
        /// Objects whose names end where a prefix does, as objects, too.
        include_trailing_delimiter: bool, options[2];
        /// Empty folders as prefixes, too.
        include_folders_as_prefixes: bool, options[3];
        /// With ACLs.
        full: bool, options[4];
    }
}
