//! Preconditions: read from a request, held against an object.

use super::error::Error;
use super::query::Query;
use super::resource::Object;
use crate::types::Preconditions;

/// What a failed "not match" means: a reader is told that nothing changed, a writer that it may not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// The request changes nothing.
    Read,
    /// The request changes something.
    Write,
}

/// Reads the four parameters; `source` reads those of a source object (`ifSourceGenerationMatch` ...).
pub(crate) fn from_query(query: &Query, source: bool) -> Result<Preconditions, Error> {
    let prefix = if source { "ifSource" } else { "if" };
    let number = |name: &str| query.number(&format!("{prefix}{name}"));
    Ok(Preconditions {
        if_generation_match: number("GenerationMatch")?,
        if_generation_not_match: number("GenerationNotMatch")?,
        if_metageneration_match: number("MetagenerationMatch")?,
        if_metageneration_not_match: number("MetagenerationNotMatch")?,
    })
}

/// Holds `conditions` against what is there.
///
/// A generation of 0 stands for "no object"; an object that is not there has no metageneration, and so
/// fails every condition on one.
pub(crate) fn check(
    conditions: &Preconditions,
    object: Option<&Object>,
    access: Access,
) -> Result<(), Error> {
    let generation = object.map_or(0, |object| object.generation);
    let metageneration = object.map(|object| object.metageneration);
    if conditions
        .if_generation_match
        .is_some_and(|wanted| wanted != generation)
        || conditions
            .if_metageneration_match
            .is_some_and(|wanted| Some(wanted) != metageneration)
    {
        return Err(Error::condition_not_met());
    }
    if conditions.if_generation_not_match == Some(generation)
        || conditions
            .if_metageneration_not_match
            .is_some_and(|unwanted| metageneration.is_none_or(|found| found == unwanted))
    {
        return Err(match access {
            Access::Read => Error::not_modified(),
            Access::Write => Error::condition_not_met(),
        });
    }
    Ok(())
}
