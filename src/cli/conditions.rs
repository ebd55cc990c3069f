//! Which object, and in what state it must be.

use clap::Args;

use super::exit::Failure;
use gcsd_types::{BucketName, ObjectName, ObjectRef, Preconditions};

/// What must hold of the object.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Preconditions")]
pub(super) struct Conditions {
    /// Only if this is the live generation; 0: only if there is no such object.
    #[arg(long, value_name = "N")]
    if_generation_match: Option<u64>,
    /// Only if this is not the live generation.
    #[arg(long, value_name = "N")]
    if_generation_not_match: Option<u64>,
    /// Only if the metadata has this version.
    #[arg(long, value_name = "N")]
    if_metageneration_match: Option<u64>,
    /// Only if the metadata has not this version.
    #[arg(long, value_name = "N")]
    if_metageneration_not_match: Option<u64>,
}

impl From<&Conditions> for Preconditions {
    fn from(from: &Conditions) -> Self {
        Self {
            if_generation_match: from.if_generation_match,
            if_generation_not_match: from.if_generation_not_match,
            if_metageneration_match: from.if_metageneration_match,
            if_metageneration_not_match: from.if_metageneration_not_match,
        }
    }
}

/// Who pays.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Billing")]
pub(super) struct Payer {
    /// The project that pays, for buckets where the requester does.
    #[arg(long, value_name = "PROJECT")]
    pub(super) user_project: Option<String>,
}

/// Which version of an existing object.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Names")]
pub(super) struct Version {
    /// This generation instead of the live one.
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
    #[command(flatten)]
    pub(super) payer: Payer,
    #[command(flatten)]
    conditions: Conditions,
}

impl Version {
    /// The object as the wire names it.
    pub(super) fn of(&self, bucket: BucketName, object: ObjectName) -> ObjectRef {
        ObjectRef {
            generation: self.generation,
            preconditions: (&self.conditions).into(),
            user_project: self.payer.user_project.clone(),
            ..ObjectRef::new(bucket, object)
        }
    }

    /// Whether any will do: such as many objects can have.
    pub(super) fn is_any(&self) -> bool {
        self.generation.is_none() && Preconditions::from(&self.conditions) == Preconditions::default()
    }

    /// That one object is asked for, and several may be meant.
    pub(super) fn several() -> Failure {
        Failure::usage("--generation and preconditions are for one object, and this may be several")
    }
}
