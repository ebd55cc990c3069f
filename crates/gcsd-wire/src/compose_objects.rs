//! ComposeObjects: one object of up to 32 (proto-spec.md, "ComposeObjects").

use super::args::ArgsError;
use super::table::wire_struct;
use gcsd_types::{ComposeSource, Destination, ObjectName};

/// Why two of the preconditions are refused.
const UNKNOWN: &str = "is a precondition that GCS does not know of a composition";

wire_struct! {
    /// What to compose of what.
    #[derive(Clone, PartialEq, Eq)]
    pub struct ComposeObjectsArgs: "ComposeObjects.args"[80], request, checked by ComposeObjectsArgs::check {
        /// The object that is made. A key encrypts it, and all sources are encrypted with it.
        destination: Destination where not(if_generation_not_match = UNKNOWN, if_metageneration_not_match = UNKNOWN);
        /// What it is made of, in this order: 1 to 32 objects of the same bucket, else `bad_args`.
        sources: Vec<ComposeSource>;
        pad reserved 4;
        pad reserved2 8;
    }
}

wire_struct! {
    /// An object that another one is made of.
    impl ComposeSource: "Source"[24], part {
        /// Its name.
        object: ObjectName;
        pad reserved 2;
        bits present;
        /// This version rather than the live one.
        generation: Option<u64>, present[0];
        /// The condition that this generation is the live one.
        if_generation_match: Option<u64>, present[1];
    }
}

impl ComposeObjectsArgs {
    fn check(&self) -> Result<(), ArgsError> {
        match (1..=ComposeSource::MAX).contains(&self.sources.len()) {
            true => Ok(()),
            false => Err(ArgsError::value("source_count", "is not 1 to 32")),
        }
    }
}

/// The args of the request.
pub type Args = ComposeObjectsArgs;
/// The object that was made.
pub type Reply = super::object::Described;
