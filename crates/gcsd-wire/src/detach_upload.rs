//! DetachUpload: forget an upload on this connection; GCS keeps it (proto-spec.md, "DetachUpload").

/// DetachUpload has no args.
pub type Args = super::args::Empty;

/// The reply has no args.
pub type Reply = super::args::Empty;
