//! Changing an object's metadata, and deleting it.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::get::shown;
use crate::answer;
use crate::call::Call;
use crate::error::Error;
use crate::json;
use crate::metadata::Metadata;
use crate::preconditions;
use crate::response_body::ResponseBody;
use crate::service::Service;

/// `PATCH /storage/v1/b/BUCKET/o/OBJECT`: changes the fields that are named.
pub(crate) async fn patch(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    change(service, call, bucket, name, Clone::clone).await
}

/// `PUT /storage/v1/b/BUCKET/o/OBJECT`: replaces all fields except the storage class, which only a
/// rewrite changes.
pub(crate) async fn update(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    change(service, call, bucket, name, |old| Metadata {
        storage_class: old.storage_class.clone(),
        ..Metadata::default()
    })
    .await
}

async fn change(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    name: String,
    begin: fn(&Metadata) -> Metadata,
) -> Result<Response<ResponseBody>, Error> {
    let mut resource = json::object(&mut call.body).await?;
    resource.remove("storageClass");
    let generation = call.query.number("generation")?;
    let conditions = preconditions::from_query(&call.query)?;
    let changed = service
        .change(move |turn| {
            turn.update(&bucket, &name, generation, &conditions, |metadata| {
                *metadata = begin(metadata);
                metadata.merge(&resource)
            })
        })
        .await?;
    shown(call, &changed)
}

/// `DELETE /storage/v1/b/BUCKET/o/OBJECT`.
pub(crate) async fn delete(
    service: &Arc<Service>,
    call: &Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    let generation = call.query.number("generation")?;
    let conditions = preconditions::from_query(&call.query)?;
    service
        .change(move |turn| turn.delete(&bucket, &name, generation, &conditions))
        .await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
