//! StatObject: what GCS says of an object (proto-spec.md, "StatObject").

use super::table::wire_struct;
use gcsd_types::ObjectRef;

wire_struct! {
    /// Which object.
    #[derive(Clone, PartialEq, Eq)]
    pub struct StatObjectArgs: "StatObject.args"[64], request {
        /// The object.
        of: ObjectRef;
    }
}

/// The args of the request.
pub type Args = StatObjectArgs;
/// The object's fields.
pub type Reply = super::object::Described;
