//! MoveObject: an object gets another name in its bucket (proto-spec.md, "MoveObject").

use super::table::wire_struct;
use gcsd_types::{ObjectName, ObjectRef, Preconditions};

wire_struct! {
    /// What to call how.
    #[derive(Clone, PartialEq, Eq)]
    pub struct MoveObjectArgs: "MoveObject.args"[112], request {
        /// The object that is there; its preconditions are those on the source.
        source: ObjectRef where not(generation = "cannot be chosen: the live one is moved (use if_generation_match)");
        /// Its new name.
        destination: ObjectName;
        pad reserved 2;
        bits destination_present;
        /// The conditions on the object that has this name now, if there is one.
        preconditions: Preconditions, destination_present[0];
        pad reserved2 8;
    }
}

/// The args of the request.
pub type Args = MoveObjectArgs;
/// The object under its new name.
pub type Reply = super::object::Described;
