//! Buckets: insert, get, list, delete.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json as document};

use super::body::ResponseBody;
use super::call::Call;
use super::error::Error;
use super::json;
use super::resource::BucketRecord;
use super::service::Service;

/// The most buckets on one page.
const MAX_PAGE: u64 = 1000;

pub(crate) async fn insert(service: &Arc<Service>, call: &mut Call) -> Result<Response<ResponseBody>, Error> {
    let resource = json::object(&mut call.body).await?;
    let name = resource
        .get("name")
        .and_then(Value::as_str)
        .ok_or_else(|| Error::required("name"))?;
    let mut record = BucketRecord::new(name.to_owned());
    let text = |key: &str| resource.get(key).and_then(Value::as_str).map(str::to_uppercase);
    record.location = text("location").unwrap_or(record.location);
    record.storage_class = text("storageClass").unwrap_or(record.storage_class);
    record.versioning = resource
        .get("versioning")
        .and_then(|versioning| versioning.get("enabled"))
        .and_then(Value::as_bool)
        .unwrap_or(false);
    if let Some(Value::Object(labels)) = resource.get("labels") {
        let pairs = labels
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        record.labels = pairs.collect();
    }
    let keeper = Arc::clone(service);
    let record = service.keep.run(move || keeper.insert_bucket(record)).await?;
    Ok(json::response(StatusCode::OK, &record.resource(&call.base)))
}

pub(crate) fn get(service: &Service, call: &Call, bucket: &str) -> Result<Response<ResponseBody>, Error> {
    let record = service.bucket(bucket)?;
    Ok(json::response(StatusCode::OK, &record.resource(&call.base)))
}

pub(crate) fn list(service: &Service, call: &Call) -> Result<Response<ResponseBody>, Error> {
    let prefix = call.query.get("prefix").unwrap_or("");
    let after = call.query.get("pageToken").unwrap_or("");
    let page = call
        .query
        .number("maxResults")?
        .unwrap_or(MAX_PAGE)
        .clamp(1, MAX_PAGE);
    let mut items = Vec::new();
    let mut next = None;
    let all = service.buckets();
    for record in all
        .iter()
        .filter(|record| record.name.starts_with(prefix) && record.name.as_str() > after)
    {
        if items.len() as u64 == page {
            next = Some(after);
            break;
        }
        items.push(record.resource(&call.base));
    }
    let mut answer = document!({ "kind": "storage#buckets" });
    if next.is_some()
        && let Some(last) = items.last()
    {
        answer["nextPageToken"] = last["name"].clone();
    }
    if !items.is_empty() {
        answer["items"] = items.into();
    }
    Ok(json::response(StatusCode::OK, &answer))
}

pub(crate) async fn delete(
    service: &Arc<Service>,
    _call: &Call,
    bucket: String,
) -> Result<Response<ResponseBody>, Error> {
    let keeper = Arc::clone(service);
    service.keep.run(move || keeper.delete_bucket(&bucket)).await?;
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
