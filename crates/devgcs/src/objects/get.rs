//! Reading an object's metadata.

use std::sync::Arc;

use http::{Response, StatusCode};

use crate::answer;
use crate::call::Call;
use crate::encryption;
use crate::error::Error;
use crate::preconditions;
use crate::resource::Object;
use crate::response_body::ResponseBody;
use crate::service::Service;

/// The object that a request to read names, if its preconditions hold.
pub(crate) fn find(service: &Service, call: &Call, bucket: &str, name: &str) -> Result<Arc<Object>, Error> {
    let generation = call.query.number("generation")?;
    let conditions = preconditions::from_query(&call.query)?;
    let object = service.find(bucket, name, generation)?;
    preconditions::check(&conditions, Some(&object))?;
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
    shown(call, &object)
}

/// The answer that shows an object: with its checksums only if the request has its key.
pub(super) fn shown(call: &Call, object: &Object) -> Result<Response<ResponseBody>, Error> {
    let resource = match encryption::key(&call.headers)? {
        None => object.resource(&call.base),
        key => {
            encryption::unlock(object, key.as_deref())?;
            object.whole_resource(&call.base)
        }
    };
    Ok(answer::json(StatusCode::OK, &resource))
}
