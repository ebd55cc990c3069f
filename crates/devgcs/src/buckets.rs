//! Buckets (<https://cloud.google.com/storage/docs/json_api/v1/buckets>).

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Map, Value, json as document};

use super::answer;
use super::call::Call;
use super::error::Error;
use super::json;
use super::preconditions;
use super::resource::BucketRecord;
use super::response_body::ResponseBody;
use super::service::Service;

/// The most buckets on one page.
const MAX_PAGE: u64 = 1000;

/// `POST /storage/v1/b`.
pub(crate) async fn insert(service: &Arc<Service>, call: &mut Call) -> Result<Response<ResponseBody>, Error> {
    let resource = json::object(&mut call.body).await?;
    let name = resource.get("name").and_then(Value::as_str);
    let mut record = BucketRecord::new(name.ok_or_else(|| Error::required("name"))?.to_owned());
    if let Some(location) = resource.get("location").and_then(Value::as_str) {
        record.location = location.to_uppercase();
    }
    merge(&mut record, &resource)?;
    let shared = Arc::clone(service);
    let record = service.store.run(move || shared.insert_bucket(record)).await?;
    Ok(shown(call, &record))
}

/// `GET /storage/v1/b/BUCKET`.
pub(crate) fn get(service: &Service, call: &Call, bucket: &str) -> Result<Response<ResponseBody>, Error> {
    let record = service.bucket(bucket)?;
    check(call, &record)?;
    Ok(shown(call, &record))
}

/// `PATCH` and `PUT /storage/v1/b/BUCKET`: both change the fields that are named.
pub(crate) async fn change(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
) -> Result<Response<ResponseBody>, Error> {
    let resource = json::object(&mut call.body).await?;
    let conditions = preconditions::from_query(&call.query)?;
    let shared = Arc::clone(service);
    let change = move || {
        shared.update_bucket(&bucket, |record| {
            preconditions::check_metageneration(&conditions, record.metageneration)?;
            merge(record, &resource)
        })
    };
    let record = service.store.run(change).await?;
    Ok(shown(call, &record))
}

/// `GET /storage/v1/b`.
pub(crate) fn list(service: &Service, call: &Call) -> Result<Response<ResponseBody>, Error> {
    let prefix = call.query.get("prefix").unwrap_or("");
    let after = call.query.get("pageToken").unwrap_or("");
    let limit = call
        .query
        .number("maxResults")?
        .unwrap_or(MAX_PAGE)
        .clamp(1, MAX_PAGE);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = service.buckets();
    found.retain(|record| record.name.starts_with(prefix) && record.name.as_str() > after);
    let more = found.len() > limit;
    found.truncate(limit);
    let mut page = document!({ "kind": "storage#buckets" });
    if more && let Some(last) = found.last() {
        page["nextPageToken"] = last.name.clone().into();
    }
    if !found.is_empty() {
        page["items"] = found.iter().map(|record| record.resource(&call.base)).collect();
    }
    Ok(answer::json(StatusCode::OK, &page))
}

/// `DELETE /storage/v1/b/BUCKET`.
pub(crate) async fn delete(
    service: &Arc<Service>,
    call: &Call,
    bucket: String,
) -> Result<Response<ResponseBody>, Error> {
    let conditions = preconditions::from_query(&call.query)?;
    let shared = Arc::clone(service);
    let delete = move || {
        shared.delete_bucket(&bucket, |record| {
            preconditions::check_metageneration(&conditions, record.metageneration)
        })
    };
    service.store.run(delete).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

fn check(call: &Call, record: &BucketRecord) -> Result<(), Error> {
    let conditions = preconditions::from_query(&call.query)?;
    preconditions::check_metageneration(&conditions, record.metageneration)
}

fn shown(call: &Call, record: &BucketRecord) -> Response<ResponseBody> {
    answer::json(StatusCode::OK, &record.resource(&call.base))
}

/// Sets the fields that this server knows. It obeys `versioning` and only shows the others.
fn merge(record: &mut BucketRecord, resource: &Map<String, Value>) -> Result<(), Error> {
    let wrong = |key: &str| Error::invalid(format!("Invalid value for {key}."));
    for (key, value) in resource {
        match (key.as_str(), value) {
            ("storageClass", Value::String(class)) => record.storage_class = class.to_uppercase(),
            ("versioning", Value::Null) => record.versioning = false,
            ("versioning", value) => {
                let enabled = value.get("enabled").and_then(Value::as_bool);
                record.versioning = enabled.ok_or_else(|| wrong(key))?;
            }
            ("labels", Value::Null) => record.labels.clear(),
            ("labels", Value::Object(labels)) => {
                for (label, value) in labels {
                    match value {
                        Value::Null => drop(record.labels.remove(label)),
                        Value::String(text) => drop(record.labels.insert(label.clone(), text.clone())),
                        _ => return Err(wrong(key)),
                    }
                }
            }
            (
                "cors"
                | "lifecycle"
                | "website"
                | "logging"
                | "encryption"
                | "billing"
                | "iamConfiguration"
                | "autoclass"
                | "softDeletePolicy"
                | "defaultEventBasedHold"
                | "rpo",
                value,
            ) => {
                if value.is_null() {
                    record.shown.remove(key);
                } else {
                    record.shown.insert(key.clone(), value.clone());
                }
            }
            ("storageClass" | "labels", _) => return Err(wrong(key)),
            _ => {}
        }
    }
    Ok(())
}
