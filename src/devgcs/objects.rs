//! Objects: metadata.

use http::{Response, StatusCode};

use super::body::ResponseBody;
use super::call::Call;
use super::error::Error;
use super::json;
use super::preconditions::{self, Access};
use super::resource::Object;
use super::service::Service;
use std::sync::Arc;

/// The object that a request to read names, if its preconditions hold.
pub(crate) fn find(service: &Service, call: &Call, bucket: &str, name: &str) -> Result<Arc<Object>, Error> {
    let generation = call.query.number("generation")?;
    let conditions = preconditions::from_query(&call.query, false)?;
    let object = service
        .generation(bucket, name, generation)?
        .ok_or_else(|| Error::no_object(bucket, name))?;
    preconditions::check(&conditions, Some(&object), Access::Read)?;
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
    Ok(json::response(StatusCode::OK, &object.resource(&call.base)))
}
