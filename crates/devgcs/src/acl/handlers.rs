//! The calls to lists: `bucketAccessControls`, `defaultObjectAccessControls`, `objectAccessControls`.

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::too_many;
use super::{Grant, Grants, Guarded, MAX_GRANTS, new_bucket, new_object, refuse_public, refuse_uniform};
use crate::answer;
use crate::call::Call;
use crate::error::Error;
use crate::json as document;
use crate::preconditions;
use crate::resource::Object;
use crate::response_body::ResponseBody;
use crate::service::Service;

/// What a call does to a list.
enum Change {
    /// Adds an entry, or replaces that of its entity.
    Insert(Grant),
    /// Sets the role of an entity that is there.
    Set(String, Option<String>),
    /// Removes the entry of an entity.
    Remove(String),
}

/// Any call to a list, or to one entry of it.
pub(crate) async fn call(
    service: &Arc<Service>,
    call: &mut Call,
    list: Guarded,
    entity: Option<String>,
) -> Result<Response<ResponseBody>, Error> {
    let of_bucket = matches!(list, Guarded::Bucket(_));
    let (Guarded::Bucket(bucket) | Guarded::Default(bucket) | Guarded::Object(bucket, _)) = &list;
    let record = service.bucket(bucket)?;
    refuse_uniform(record.is_uniform(), "use the ACL API")?;
    let body = document::object(&mut call.body).await?;
    let text = |key: &'static str| -> Result<&str, Error> {
        let value = body.get(key).and_then(Value::as_str);
        value.ok_or_else(|| Error::required(key))
    };
    let change = match (&call.method, entity) {
        (&Method::GET, entity) => {
            let generation = call.query.number("generation")?;
            let shown = List::read(service, &list, generation)?;
            return shown.answer(call, entity.as_deref());
        }
        (&Method::POST, _) => Change::Insert(Grant::checked(text("entity")?, text("role")?, of_bucket)?),
        (&Method::DELETE, Some(entity)) => Change::Remove(entity),
        (&Method::PUT, Some(entity)) => Change::Set(entity, Some(text("role")?.to_owned())),
        (_, Some(entity)) => Change::Set(entity, role(&body)),
        (_, None) => return Err(Error::required("entity")),
    };
    if let Change::Insert(grant) = &change {
        refuse_public(std::slice::from_ref(grant), record.prevents_public_access())?;
    }
    let entity = match &change {
        Change::Insert(grant) => Some(grant.entity.clone()),
        Change::Set(entity, _) => Some(entity.clone()),
        Change::Remove(_) => None,
    };
    let generation = call.query.number("generation")?;
    let shown = apply(service, list, generation, change).await?;
    match entity {
        Some(entity) => shown.answer(call, Some(&entity)),
        None => Ok(answer::empty(StatusCode::NO_CONTENT)),
    }
}

fn role(body: &Map<String, Value>) -> Option<String> {
    body.get("role").and_then(Value::as_str).map(str::to_owned)
}

impl Change {
    fn apply(self, grants: &mut Grants, of_bucket: bool) -> Result<(), Error> {
        match self {
            Self::Insert(grant) => {
                grants.retain(|known| known.entity != grant.entity);
                grants.push(grant);
                if grants.len() > MAX_GRANTS {
                    return Err(too_many());
                }
            }
            Self::Set(entity, role) => {
                let known = grants.iter_mut().find(|known| known.entity == entity);
                let known = known.ok_or_else(|| missing(&entity))?;
                if let Some(role) = role {
                    *known = Grant::checked(&entity, &role, of_bucket)?;
                }
            }
            Self::Remove(entity) => {
                let before = grants.len();
                grants.retain(|known| known.entity != entity);
                if grants.len() == before {
                    return Err(missing(&entity));
                }
            }
        }
        Ok(())
    }
}

async fn apply(
    service: &Arc<Service>,
    list: Guarded,
    generation: Option<u64>,
    change: Change,
) -> Result<List, Error> {
    match list {
        Guarded::Bucket(bucket) => {
            let (record, ()) = service
                .change_bucket(bucket, move |record| {
                    let grants = record.acl.get_or_insert_with(new_bucket);
                    change.apply(grants, true)
                })
                .await?;
            Ok(List::Bucket(record.name.clone(), record.grants()))
        }
        Guarded::Default(bucket) => {
            let (record, ()) = service
                .change_bucket(bucket, move |record| {
                    let grants = record.default_acl.get_or_insert_with(new_object);
                    change.apply(grants, false)
                })
                .await?;
            Ok(List::Default(record.default_grants()))
        }
        Guarded::Object(bucket, name) => {
            let conditions = preconditions::none();
            let object = service
                .change(move |turn| {
                    turn.update(&bucket, &name, generation, &conditions, |object| {
                        change.apply(object.acl.get_or_insert_with(new_object), false)
                    })
                })
                .await?;
            Ok(List::Object(object))
        }
    }
}

/// A list as it is.
enum List {
    Bucket(String, Grants),
    Default(Grants),
    Object(Arc<Object>),
}

impl List {
    fn read(service: &Service, list: &Guarded, generation: Option<u64>) -> Result<Self, Error> {
        Ok(match list {
            Guarded::Bucket(bucket) => Self::Bucket(bucket.clone(), service.bucket(bucket)?.grants()),
            Guarded::Default(bucket) => Self::Default(service.bucket(bucket)?.default_grants()),
            Guarded::Object(bucket, name) => Self::Object(service.find(bucket, name, generation)?),
        })
    }

    fn grants(&self) -> Grants {
        match self {
            Self::Bucket(_, grants) | Self::Default(grants) => grants.clone(),
            Self::Object(object) => object.grants(),
        }
    }

    fn show(&self, grant: &Grant, base: &str) -> Value {
        match self {
            Self::Bucket(bucket, _) => grant.of_bucket(bucket, base),
            Self::Default(_) => grant.of_default(),
            Self::Object(object) => grant.of_object(object, base),
        }
    }

    /// The entry of `entity`, or all of them.
    fn answer(&self, call: &Call, entity: Option<&str>) -> Result<Response<ResponseBody>, Error> {
        let grants = self.grants();
        let value = match entity {
            Some(entity) => {
                let found = grants.iter().find(|grant| grant.entity == entity);
                self.show(found.ok_or_else(|| missing(entity))?, &call.base)
            }
            None => {
                let kind = match self {
                    Self::Bucket(..) => "storage#bucketAccessControls",
                    Self::Default(_) | Self::Object(_) => "storage#objectAccessControls",
                };
                let items: Vec<Value> = grants.iter().map(|grant| self.show(grant, &call.base)).collect();
                json!({ "kind": kind, "items": items })
            }
        };
        Ok(answer::json(StatusCode::OK, &value))
    }
}

fn missing(entity: &str) -> Error {
    Error::new(
        StatusCode::NOT_FOUND,
        "notFound",
        format!("The specified ACL entity does not exist: {entity}"),
    )
}
