//! FinishUpload: make the object of what is committed (proto-spec.md, "FinishUpload").

use super::args::{ArgsError, check_size};
use super::table::wire_struct;
use gcsd_types::Crc32c;

wire_struct! {
    /// How large the object is, and what its bytes sum up to.
    #[derive(Clone, Copy, PartialEq, Eq, Default)]
    pub struct FinishUploadArgs: "FinishUpload.args"[24], request, checked by FinishUploadArgs::check {
        /// The object's size.
        total: u64;
        /// The checksum of the whole object: GCS makes no object that differs.
        object_crc32c: Option<Crc32c>, present[0];
        bits present;
        pad reserved 8;
    }
}

impl FinishUploadArgs {
    fn check(&self) -> Result<(), ArgsError> {
        check_size("total", self.total)
    }
}

/// The args of the request.
pub type Args = FinishUploadArgs;
/// The finished object.
pub type Reply = super::progress::Progress;
