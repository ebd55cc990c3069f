//! What frames about objects, lists and buckets say.

use serde_json::{Value, json};

use super::{Fields, json_or_text};
use gcsd_types::{
    BucketInfo, BucketQuery, BucketRef, ComposeSource, Destination, ObjectQuery, ObjectRef, Preconditions,
    Rewrite, Rewritten,
};
use gcsd_wire::page;

impl Fields {
    pub(super) fn object_ref(&mut self, of: &ObjectRef) {
        self.add("bucket", of.bucket.as_str());
        self.add("object", of.object.as_str());
        self.maybe("generation", of.generation);
        self.preconditions(&of.preconditions);
        self.maybe("user_project", of.user_project.as_deref());
        self.maybe("fields", of.fields.as_deref());
        self.key("key", of.key.as_ref());
    }

    pub(super) fn destination(&mut self, of: &Destination) {
        self.sized_destination(of, None);
    }

    /// A destination, and the size that the object will have.
    pub(super) fn sized_destination(&mut self, of: &Destination, size: Option<u64>) {
        self.add("bucket", of.bucket.as_str());
        self.add("object", of.object.as_str());
        self.maybe("size", size);
        self.preconditions(&of.preconditions);
        self.maybe("user_project", of.user_project.as_deref());
        self.maybe("kms_key_name", of.kms_key_name.as_deref());
        self.maybe("predefined_acl", of.predefined_acl.as_deref());
        self.maybe("fields", of.fields.as_deref());
        self.key("key", of.key.as_ref());
        if !of.metadata.is_empty() {
            self.add("metadata", json_or_text(&of.metadata));
        }
    }

    pub(super) fn query(&mut self, of: &ObjectQuery) {
        self.add("bucket", of.bucket.as_str());
        for (name, text) in [
            ("prefix", &of.prefix),
            ("delimiter", &of.delimiter),
            ("start_offset", &of.start_offset),
            ("end_offset", &of.end_offset),
            ("match_glob", &of.match_glob),
            ("page_token", &of.page_token),
            ("user_project", &of.user_project),
            ("fields", &of.fields),
        ] {
            self.maybe(name, text.as_deref());
        }
        self.maybe("max_results", of.max_results);
        for (name, set) in [
            ("versions", of.versions),
            ("soft_deleted", of.soft_deleted),
            ("include_trailing_delimiter", of.include_trailing_delimiter),
            ("include_folders_as_prefixes", of.include_folders_as_prefixes),
            ("full", of.full),
        ] {
            self.maybe(name, set.then_some(true));
        }
    }

    pub(super) fn page(&mut self, page: &page::Reply) {
        match page {
            page::Reply::Piece => self.add("part", "piece"),
            page::Reply::End(page::End { sent, page }) => {
                self.add("part", "end");
                self.add("sent", *sent);
                self.add("items", page.items);
                self.add("prefixes", page.prefixes);
                self.maybe("next_page_token", page.next_page_token.as_deref());
            }
        }
    }

    pub(super) fn rewrite(&mut self, of: &Rewrite) {
        self.destination(&of.destination);
        self.add("source_bucket", of.source.bucket.as_str());
        self.add("source_object", of.source.object.as_str());
        self.maybe("source_generation", of.source.generation);
        self.conditions("source_conditions", &of.source.preconditions);
        self.key("source_key", of.source.key.as_ref());
        self.maybe("max_bytes", of.max_bytes);
        self.maybe("rewrite_token", of.token.as_deref());
    }

    pub(super) fn rewritten(&mut self, of: &Rewritten) {
        self.add("rewritten", of.rewritten);
        self.add("size", of.size);
        self.add("done", of.object.is_some());
        self.maybe("rewrite_token", of.token.as_deref());
        if let Some(object) = &of.object {
            self.object(object);
        }
    }

    /// The conditions of another object than the frame's first, as one field.
    pub(super) fn conditions(&mut self, name: &'static str, of: &Preconditions) {
        let mut shown = Self::default();
        shown.preconditions(of);
        if !shown.0.is_empty() {
            let pairs = shown.0.into_iter().map(|(name, value)| (name.to_owned(), value));
            self.add(name, Value::Object(pairs.collect()));
        }
    }

    pub(super) fn bucket_query(&mut self, of: &BucketQuery) {
        self.add("project", of.project.as_str());
        for (name, text) in [
            ("prefix", &of.prefix),
            ("page_token", &of.page_token),
            ("user_project", &of.user_project),
            ("fields", &of.fields),
        ] {
            self.maybe(name, text.as_deref());
        }
        self.maybe("max_results", of.max_results);
        for (name, set) in [
            ("full", of.full),
            ("soft_deleted", of.soft_deleted),
            ("return_partial_success", of.return_partial_success),
        ] {
            self.maybe(name, set.then_some(true));
        }
    }

    pub(super) fn bucket_ref(&mut self, of: &BucketRef) {
        self.add("bucket", of.bucket.as_str());
        self.maybe("generation", of.generation);
        self.preconditions(&of.preconditions);
        self.maybe("soft_deleted", of.soft_deleted.then_some(true));
        self.maybe("full", of.full.then_some(true));
        self.maybe("user_project", of.user_project.as_deref());
        self.maybe("fields", of.fields.as_deref());
    }

    pub(super) fn bucket(&mut self, of: &BucketInfo) {
        self.add("metageneration", of.metageneration);
        self.add("location", of.location.as_str());
        self.add("storage_class", of.storage_class.as_str());
        for (name, set) in [
            ("versioning", of.versioning),
            ("requester_pays", of.requester_pays),
            ("uniform_access", of.uniform_access),
            ("hierarchical", of.hierarchical),
        ] {
            self.maybe(name, set.then_some(true));
        }
    }
}

/// A source of a composition.
pub(super) fn source(of: &ComposeSource) -> Value {
    let mut shown = json!({ "object": of.object.as_str() });
    for (name, number) in [
        ("generation", of.generation),
        ("if_generation_match", of.if_generation_match),
    ] {
        if let Some(number) = number {
            shown[name] = number.into();
        }
    }
    shown
}
