//! QueryUpload: ask GCS what it holds of an upload (proto-spec.md, "QueryUpload").

/// The request says nothing more than its head.
pub type Args = super::args::Empty;
/// What GCS holds.
pub type Reply = super::progress::Progress;
