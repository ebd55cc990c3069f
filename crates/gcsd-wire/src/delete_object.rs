//! DeleteObject: an object, or one generation of it, is gone (proto-spec.md, "DeleteObject").

use super::object::{NO_JSON, NO_KEY};
use super::table::wire_struct;
use gcsd_types::ObjectRef;

wire_struct! {
    /// Which object.
    #[derive(Clone, PartialEq, Eq)]
    pub struct DeleteObjectArgs: "DeleteObject.args"[64], request {
        /// The object.
        of: ObjectRef where not(fields = NO_JSON, key = NO_KEY);
    }
}

/// The args of the request.
pub type Args = DeleteObjectArgs;
/// The object is gone.
pub type Reply = super::args::Done;
