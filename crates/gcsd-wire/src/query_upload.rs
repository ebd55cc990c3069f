//! QueryUpload: ask GCS what it holds of an upload (proto-spec.md, "QueryUpload").

/// QueryUpload has no args.
pub type Args = super::args::Empty;

/// What GCS holds.
pub type Reply = super::progress::Progress;
