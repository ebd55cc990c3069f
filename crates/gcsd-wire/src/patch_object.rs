//! PatchObject: an object's metadata, changed in the fields that are named (proto-spec.md, "PatchObject").

use super::args::ArgsError;
use super::object::NO_KEY;
use super::table::wire_struct;
use gcsd_types::Destination;

wire_struct! {
    /// What to change.
    #[derive(Clone, PartialEq, Eq)]
    pub struct PatchObjectArgs: "PatchObject.args"[80], request, checked by PatchObjectArgs::check {
        /// The object; its `metadata` is what changes (null removes), and is not empty, else `bad_args`.
        object: Destination where not(kms_key_name = "cannot be changed by a patch", key = NO_KEY);
        /// This version rather than the live one.
        generation: Option<u64>, object.present[4];
        pad reserved 8;
    }
}

impl PatchObjectArgs {
    fn check(&self) -> Result<(), ArgsError> {
        match self.object.metadata.is_empty() {
            true => Err(ArgsError::value("metadata", "is what a patch consists of")),
            false => Ok(()),
        }
    }
}

/// The args of the request.
pub type Args = PatchObjectArgs;
/// The object as it is now.
pub type Reply = super::object::Described;
