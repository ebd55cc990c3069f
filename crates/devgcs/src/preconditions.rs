//! Preconditions: read from a request, checked against an object.

use super::error::Error;
use super::query::Query;
use super::resource::Object;
use gcsd_types::Preconditions;

/// Reads the four parameters.
pub(crate) fn from_query(query: &Query) -> Result<Preconditions, Error> {
    read(query, "if")
}

/// Reads those of a source object: `ifSourceGenerationMatch` and so on.
pub(crate) fn of_source(query: &Query) -> Result<Preconditions, Error> {
    read(query, "ifSource")
}

/// No condition at all.
pub(crate) fn none() -> Preconditions {
    Preconditions::default()
}

fn read(query: &Query, prefix: &str) -> Result<Preconditions, Error> {
    let number = |name: &str| query.number(&format!("{prefix}{name}"));
    Ok(Preconditions {
        if_generation_match: number("GenerationMatch")?,
        if_generation_not_match: number("GenerationNotMatch")?,
        if_metageneration_match: number("MetagenerationMatch")?,
        if_metageneration_not_match: number("MetagenerationNotMatch")?,
    })
}

/// Checks `conditions` against the object, if there is one: 412 for a failed match, 304 for a failed "not match",
/// whether the request reads or writes.
///
/// A missing object has the generation 0, which a match may ask for, and fails every other
/// condition.
pub(crate) fn check(conditions: &Preconditions, object: Option<&Object>) -> Result<(), Error> {
    let found = object.map(|object| (object.generation, object.metageneration));
    let generation = found.map(|found| found.0);
    let metageneration = found.map(|found| found.1);
    let matches = conditions
        .if_generation_match
        .is_none_or(|wanted| wanted == generation.unwrap_or(0))
        && conditions
            .if_metageneration_match
            .is_none_or(|wanted| metageneration == Some(wanted));
    if !matches {
        return Err(Error::condition_not_met());
    }
    let differs = |unwanted: Option<u64>, found: Option<u64>| {
        unwanted.is_none_or(|unwanted| found.is_some_and(|found| found != unwanted))
    };
    if differs(conditions.if_generation_not_match, generation)
        && differs(conditions.if_metageneration_not_match, metageneration)
    {
        Ok(())
    } else {
        Err(Error::not_modified())
    }
}

/// Checks the `conditions` on a metageneration against that of a bucket.
pub(crate) fn check_metageneration(conditions: &Preconditions, metageneration: u64) -> Result<(), Error> {
    if conditions
        .if_metageneration_match
        .is_some_and(|wanted| wanted != metageneration)
    {
        return Err(Error::condition_not_met());
    }
    if conditions.if_metageneration_not_match == Some(metageneration) {
        return Err(Error::not_modified());
    }
    Ok(())
}
