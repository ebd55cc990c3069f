//! DetachUpload: forget an upload on this connection; GCS keeps it (proto-spec.md, "DetachUpload").

/// The request says nothing more than its head.
pub type Args = super::args::Empty;
/// The upload is forgotten.
pub type Reply = super::args::Done;
