//! Changing an object's metadata, and deleting it.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::get::shown;
use crate::acl;
use crate::answer;
use crate::call::Call;
use crate::error::Error;
use crate::json;
use crate::metadata::Metadata;
use crate::preconditions;
use crate::response_body::ResponseBody;
use crate::retention;
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
    let acl = acl::asked(call.query.get("predefinedAcl"), &resource)?;
    let overrides = call.query.flag("overrideUnlockedRetention");
    let changed = service
        .change(move |turn| {
            let (record, now) = (turn.service().bucket(&bucket)?, turn.service().now());
            turn.update(&bucket, &name, generation, &conditions, |object| {
                let mut metadata = begin(&object.metadata);
                metadata.merge(&resource)?;
                let (old, new) = (&object.metadata.retention, &metadata.retention);
                if old != new {
                    retention::refuse_change(old.as_ref(), new.as_ref(), overrides, now)?;
                    retention::admit(&record, &metadata, now)?;
                }
                object.metadata = metadata;
                if acl.is_some() {
                    object.acl = acl::of_new(&record, acl.as_ref())?;
                }
                Ok(())
            })
        })
        .await?;
    shown(service, call, &changed)
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

/// `POST /storage/v1/b/BUCKET/o/OBJECT/restore`.
pub(crate) async fn restore(
    service: &Arc<Service>,
    call: &Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    let generation = call.query.number("generation")?;
    let generation = generation.ok_or_else(|| Error::required("generation"))?;
    let conditions = preconditions::from_query(&call.query)?;
    let keeps_acl = call.query.flag("copySourceAcl");
    let object = service
        .change(move |turn| turn.restore(&bucket, &name, generation, &conditions, keeps_acl))
        .await?;
    shown(service, call, &object)
}
