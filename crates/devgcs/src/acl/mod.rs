//! Access control lists: kept and shown, and obeyed by nobody, since everybody may do everything here
//! (<https://cloud.google.com/storage/docs/access-control/lists>).

mod handlers;
mod predefined;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::encoding::percent;
use super::error::Error;
use super::resource::{BucketRecord, Object};
pub(crate) use handlers::call;
pub(crate) use predefined::{for_bucket, for_object, new_bucket, new_object};

/// The most entries of a list.
const MAX_GRANTS: usize = 100;

/// Whose list it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Guarded {
    /// A bucket's own.
    Bucket(String),
    /// What a bucket's new objects get.
    Default(String),
    /// An object's.
    Object(String, String),
}

/// An entry: an entity, and its role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) entity: String,
    pub(crate) role: String,
}

/// A list.
pub(crate) type Grants = Vec<Grant>;

impl Grant {
    pub(crate) fn new(entity: &str, role: &str) -> Self {
        Self {
            entity: entity.to_owned(),
            role: role.to_owned(),
        }
    }

    /// Reads an entry of a bucket's list, or of an object's, which nobody can write to.
    pub(crate) fn checked(entity: &str, role: &str, of_bucket: bool) -> Result<Self, Error> {
        let role = role.to_ascii_uppercase();
        let known = matches!(role.as_str(), "READER" | "OWNER") || (of_bucket && role == "WRITER");
        if !known {
            return Err(Error::invalid(format!("Invalid value for role: '{role}'.")));
        }
        if !is_entity(entity) {
            return Err(Error::invalid(format!("Could not parse the entity '{entity}'.")));
        }
        Ok(Self {
            entity: entity.to_owned(),
            role,
        })
    }

    /// Whether it lets everybody in.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self.entity.as_str(), "allUsers" | "allAuthenticatedUsers")
    }

    /// The fields that all lists show.
    fn fields(&self, kind: &str) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("kind".to_owned(), kind.into());
        fields.insert("entity".to_owned(), self.entity.as_str().into());
        fields.insert("role".to_owned(), self.role.as_str().into());
        fields.insert("etag".to_owned(), "CAE=".into());
        match self.entity.split_once('-') {
            Some(("user" | "group", name)) if name.contains('@') => {
                fields.insert("email".to_owned(), name.into());
            }
            Some(("user" | "group", name)) => {
                fields.insert("entityId".to_owned(), name.into());
            }
            Some(("domain", name)) => {
                fields.insert("domain".to_owned(), name.into());
            }
            Some(("project", rest)) => {
                let (team, number) = rest.split_once('-').unwrap_or((rest, ""));
                let team = json!({ "team": team, "projectNumber": number });
                fields.insert("projectTeam".to_owned(), team);
            }
            _ => {}
        }
        fields
    }

    /// The entry as the JSON API shows it in a bucket's list.
    pub(crate) fn of_bucket(&self, bucket: &str, base: &str) -> Value {
        let mut fields = self.fields("storage#bucketAccessControl");
        fields.insert("bucket".to_owned(), bucket.into());
        fields.insert("id".to_owned(), format!("{bucket}/{}", self.entity).into());
        let link = format!(
            "{base}/storage/v1/b/{}/acl/{}",
            percent(bucket),
            percent(&self.entity)
        );
        fields.insert("selfLink".to_owned(), link.into());
        fields.into()
    }

    /// The entry in the list that new objects get.
    pub(crate) fn of_default(&self) -> Value {
        self.fields("storage#objectAccessControl").into()
    }

    /// The entry in an object's list.
    pub(crate) fn of_object(&self, object: &Object, base: &str) -> Value {
        let mut fields = self.fields("storage#objectAccessControl");
        let (bucket, name, generation) = (&object.bucket, &object.name, object.generation);
        let link = format!(
            "{base}/storage/v1/b/{}/o/{}/acl/{}",
            percent(bucket),
            percent(name),
            percent(&self.entity)
        );
        for (key, value) in [
            ("bucket", bucket.clone()),
            ("object", name.clone()),
            ("generation", generation.to_string()),
            ("id", format!("{bucket}/{name}/{generation}/{}", self.entity)),
            ("selfLink", link),
        ] {
            fields.insert(key.to_owned(), value.into());
        }
        fields.into()
    }
}

fn is_entity(text: &str) -> bool {
    match text.split_once('-') {
        None => matches!(text, "allUsers" | "allAuthenticatedUsers"),
        Some(("user" | "group" | "domain", name)) => !name.is_empty(),
        Some(("project", rest)) => rest.split_once('-').is_some_and(|(team, number)| {
            matches!(team, "owners" | "editors" | "viewers") && !number.is_empty()
        }),
        Some(_) => false,
    }
}

/// Reads the list in a resource's field `key`.
pub(crate) fn parse(key: &str, value: &Value, of_bucket: bool) -> Result<Grants, Error> {
    let wrong = || Error::invalid(format!("Invalid value for {key}."));
    let entries = value.as_array().ok_or_else(wrong)?;
    if entries.len() > MAX_GRANTS {
        return Err(too_many());
    }
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    entries
        .iter()
        .map(|entry| {
            let entity = text(entry, "entity").ok_or_else(wrong)?;
            Grant::checked(&entity, &text(entry, "role").ok_or_else(wrong)?, of_bucket)
        })
        .collect()
}

fn too_many() -> Error {
    Error::invalid(format!(
        "An access control list has at most {MAX_GRANTS} entries."
    ))
}

/// Refuses an entry for everybody where the bucket prevents public access.
pub(crate) fn refuse_public(grants: &[Grant], prevented: bool) -> Result<(), Error> {
    if prevented && grants.iter().any(Grant::is_public) {
        return Err(Error::new(
            StatusCode::PRECONDITION_FAILED,
            "conditionNotMet",
            "The member bindings allUsers and allAuthenticatedUsers are not allowed since public access prevention is enforced.",
        ));
    }
    Ok(())
}

/// The list of a new object: what its request says, or what its bucket says.
pub(crate) fn of_new(bucket: &BucketRecord, asked: Option<&Grants>) -> Result<Option<Grants>, Error> {
    let Some(grants) = asked else {
        return Ok(bucket.default_acl.clone());
    };
    refuse_uniform(bucket.is_uniform(), "insert legacy ACL for an object")?;
    refuse_public(grants, bucket.prevents_public_access())?;
    Ok(Some(grants.clone()))
}

/// The list that a request asks for its object: by a predefined list's name, or entry by entry in the resource.
pub(crate) fn asked(name: Option<&str>, resource: &Map<String, Value>) -> Result<Option<Grants>, Error> {
    match (name, resource.get("acl")) {
        (Some(name), _) => for_object(name).map(Some),
        (None, None | Some(Value::Null)) => Ok(None),
        (None, Some(list)) => parse("acl", list, false).map(Some),
    }
}

/// Refuses to use a list where only the bucket's policy counts.
pub(crate) fn refuse_uniform(uniform: bool, what: &str) -> Result<(), Error> {
    if uniform {
        return Err(Error::invalid(format!(
            "Cannot {what} when uniform bucket-level access is enabled. \
             Read more at https://cloud.google.com/storage/docs/uniform-bucket-level-access"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_checked() {
        for (entity, role, of_bucket, good) in [
            ("allUsers", "READER", false, true),
            ("allUsers", "reader", true, true),
            ("allUsers", "WRITER", true, true),
            ("allUsers", "WRITER", false, false),
            ("user-a@b.c", "OWNER", false, true),
            ("project-owners-12", "OWNER", true, true),
            ("project-somebody-12", "OWNER", true, false),
            ("project-owners-", "OWNER", true, false),
            ("user-", "OWNER", true, false),
            ("nobody", "OWNER", true, false),
            ("", "OWNER", true, false),
        ] {
            let read = Grant::checked(entity, role, of_bucket);
            assert_eq!(read.is_ok(), good, "{entity} {role} {of_bucket}");
        }
    }
}
