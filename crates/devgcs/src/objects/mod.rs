//! Objects in the JSON API (<https://cloud.google.com/storage/docs/json_api/v1/objects>), their bytes and
//! sessions apart.

mod change;
mod compose;
mod copy;
mod insert;
mod list;

use std::sync::Arc;

use http::{Response, StatusCode};

use super::body::ResponseBody;
use super::call::Call;
use super::encryption;
use super::error::Error;
use super::json;
use super::preconditions;
use super::resource::Object;
use super::service::Service;
pub(crate) use change::{delete, patch, update};
pub(crate) use compose::compose;
pub(crate) use copy::{Route, copy, move_within, rewrite};
pub(crate) use insert::{Upload, insert};
pub(crate) use list::list;

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
    answer(call, &object)
}

/// The answer that shows an object, with its checksums to who brings its key.
fn answer(call: &Call, object: &Object) -> Result<Response<ResponseBody>, Error> {
    let resource = match encryption::key(&call.headers)? {
        None => object.resource(&call.base),
        key => {
            encryption::unlock(object, key.as_deref())?;
            object.whole_resource(&call.base)
        }
    };
    Ok(json::response(StatusCode::OK, &resource))
}
