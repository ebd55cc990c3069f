//! Names from requests, checked against GCS's rules.

use serde_json::{Map, Value};

use super::error::Error;
use super::query::Query;
use gcsd_types::{BucketName, ObjectName};

/// Checks the name of a new bucket.
pub(crate) fn bucket(name: &str) -> Result<String, Error> {
    match BucketName::new(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(error) => Err(Error::invalid(format!("Invalid bucket name: '{name}': {error}."))),
    }
}

/// Checks the name of a new object.
pub(crate) fn object(name: &str) -> Result<String, Error> {
    match ObjectName::new(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(error) => Err(Error::invalid(format!("Invalid object name: {error}."))),
    }
}

/// The name of the object that an upload makes: from the query, else from the resource.
pub(crate) fn object_to_insert(query: &Query, resource: &Map<String, Value>) -> Result<String, Error> {
    let name = query.get("name").or_else(|| resource.get("name")?.as_str());
    match name {
        Some(name) if !name.is_empty() => object(name),
        _ => Err(Error::required("name")),
    }
}
