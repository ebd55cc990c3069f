//! Reading an object's metadata.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::Value;

use crate::answer;
use crate::call::Call;
use crate::encryption;
use crate::entity_tags::{Current, HttpConditions};
use crate::error::Error;
use crate::preconditions;
use crate::resource::Object;
use crate::response_body::ResponseBody;
use crate::retention;
use crate::service::Service;

/// The object that a request to read names, if its preconditions hold.
pub(crate) fn find(service: &Service, call: &Call, bucket: &str, name: &str) -> Result<Arc<Object>, Error> {
    let generation = call.query.number("generation")?;
    let conditions = preconditions::from_query(&call.query)?;
    let object = match generation {
        Some(generation) if call.query.flag("softDeleted") => {
            service.find_soft_deleted(bucket, name, generation)?
        }
        None if call.query.flag("softDeleted") => return Err(Error::required("generation")),
        generation => service.find(bucket, name, generation)?,
    };
    preconditions::check(&conditions, Some(&object))?;
    let current = Current {
        etag: object.etag(),
        updated: object.updated,
    };
    current.check(&HttpConditions::on_tags(&call.headers))?;
    Ok(object)
}

/// `GET /storage/v1/b/BUCKET/o/OBJECT`.
pub(crate) fn get(
    service: &Service,
    call: &Call,
    bucket: &str,
    name: &str,
) -> Result<Response<ResponseBody>, Error> {
    let object = find(service, call, bucket, name)?;
    shown(service, call, &object)
}

/// The answer that shows an object: with its checksums only if the request has its key.
pub(super) fn shown(
    service: &Service,
    call: &Call,
    object: &Object,
) -> Result<Response<ResponseBody>, Error> {
    let key = encryption::key(&call.headers)?;
    if key.is_some() {
        encryption::unlock(object, key.as_deref())?;
    }
    let full = call.query.get("projection") == Some("full");
    let resource = resource(service, &call.base, object, key.is_some(), full);
    Ok(answer::json(StatusCode::OK, &resource))
}

/// The object resource: with the checksums of an encrypted object if the client has its `key`, and with who may do what if
/// it asks for `full`.
pub(crate) fn resource(service: &Service, base: &str, object: &Object, key: bool, full: bool) -> Value {
    let mut resource = match key {
        true => object.whole_resource(base),
        false => object.resource(base),
    };
    let bucket = service.bucket(&object.bucket).ok();
    if let Some(until) = bucket.and_then(|bucket| retention::expiration(&bucket, object)) {
        resource["retentionExpirationTime"] = until.rfc3339().into();
    }
    if full {
        for (key, value) in object.access(base) {
            resource[key] = value;
        }
    }
    resource
}
