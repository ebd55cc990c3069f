//! Predefined lists (<https://cloud.google.com/storage/docs/access-control/lists#predefined-acl>).
//!
//! Nobody is known by name here: where a list would name the uploader, it names the project's owners.

use super::{Grant, Grants};
use crate::error::Error;

const OWNERS: &str = "project-owners-0";
const EDITORS: &str = "project-editors-0";
const VIEWERS: &str = "project-viewers-0";

fn owned_and(rest: &[(&str, &str)]) -> Grants {
    let owner = [(OWNERS, "OWNER")];
    owner
        .iter()
        .chain(rest)
        .map(|(entity, role)| Grant::new(entity, role))
        .collect()
}

fn project_private() -> Grants {
    owned_and(&[(EDITORS, "OWNER"), (VIEWERS, "READER")])
}

/// What a bucket has from the start.
pub(crate) fn new_bucket() -> Grants {
    project_private()
}

/// What an object has from the start, unless its bucket says otherwise.
pub(crate) fn new_object() -> Grants {
    project_private()
}

/// The bucket's list of this name, as the JSON API (`publicRead`) or the XML API (`public-read`) writes it.
pub(crate) fn for_bucket(name: &str) -> Result<Grants, Error> {
    Ok(match name {
        "authenticatedRead" | "authenticated-read" => owned_and(&[("allAuthenticatedUsers", "READER")]),
        "private" => owned_and(&[]),
        "projectPrivate" | "project-private" => project_private(),
        "publicRead" | "public-read" => owned_and(&[("allUsers", "READER")]),
        "publicReadWrite" | "public-read-write" => owned_and(&[("allUsers", "WRITER")]),
        other => return Err(unknown(other)),
    })
}

/// The object's list of this name, as either API writes it.
pub(crate) fn for_object(name: &str) -> Result<Grants, Error> {
    Ok(match name {
        "authenticatedRead" | "authenticated-read" => owned_and(&[("allAuthenticatedUsers", "READER")]),
        "bucketOwnerFullControl" | "bucket-owner-full-control" | "private" => owned_and(&[]),
        "bucketOwnerRead" | "bucket-owner-read" => owned_and(&[]),
        "projectPrivate" | "project-private" => project_private(),
        "publicRead" | "public-read" => owned_and(&[("allUsers", "READER")]),
        other => return Err(unknown(other)),
    })
}

fn unknown(name: &str) -> Error {
    Error::invalid(format!("There is no predefined access control list '{name}'."))
}
