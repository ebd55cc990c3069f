//! Buckets (<https://cloud.google.com/storage/docs/json_api/v1/buckets>).

mod folders;
mod iam;
mod notifications;
mod settings;

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde_json::{Value, json as document};

use super::acl;
use super::answer;
use super::call::Call;
use super::entity_tags::{Current, HttpConditions};
use super::error::Error;
use super::json;
use super::preconditions;
use super::resource::BucketRecord;
use super::response_body::ResponseBody;
use super::service::Service;
pub(crate) use folders::{Folders, Kind as FolderKind, call as folders, rename as rename_folder};
pub(crate) use iam::{Policy, call as policy, test as test_permissions};
pub(crate) use notifications::call as notifications;
pub(crate) use settings::merge;

/// The most buckets on one page.
const MAX_PAGE: u64 = 1000;

/// `POST /storage/v1/b`.
pub(crate) async fn insert(service: &Arc<Service>, call: &mut Call) -> Result<Response<ResponseBody>, Error> {
    let resource = json::object(&mut call.body).await?;
    let name = resource.get("name").and_then(Value::as_str);
    let now = service.now();
    let mut record = BucketRecord::new(name.ok_or_else(|| Error::required("name"))?.to_owned(), now);
    if let Some(location) = resource.get("location").and_then(Value::as_str) {
        record.location = location.to_uppercase();
    }
    if call.query.flag("enableObjectRetention") {
        let enabled = document!({ "mode": "Enabled" });
        record.shown.insert("objectRetention".to_owned(), enabled);
    }
    settings::create(&mut record, &resource, now)?;
    predefined(service, call, &mut record)?;
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

/// `PATCH /storage/v1/b/BUCKET` changes the settings that are named; `PUT` replaces all of them.
pub(crate) async fn change(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
) -> Result<Response<ResponseBody>, Error> {
    let resource = json::object(&mut call.body).await?;
    let conditions = preconditions::from_query(&call.query)?;
    let (now, replaces) = (service.now(), call.method == Method::PUT);
    let mut wanted = BucketRecord::new(String::new(), now);
    predefined(service, call, &mut wanted)?;
    let change = move |record: &mut BucketRecord| {
        preconditions::check_metageneration(&conditions, record.metageneration)?;
        if wanted.acl.is_some() {
            record.acl = wanted.acl;
        }
        if wanted.default_acl.is_some() {
            record.default_acl = wanted.default_acl;
        }
        match replaces {
            true => settings::replace(record, &resource, now),
            false => settings::merge(record, &resource, now),
        }
    };
    let (record, ()) = service.change_bucket(bucket, change).await?;
    Ok(shown(call, &record))
}

/// Sets the lists that a request names.
fn predefined(service: &Service, call: &Call, record: &mut BucketRecord) -> Result<(), Error> {
    if let Some(name) = call.query.get("predefinedAcl") {
        record.acl = Some(match acl::for_bucket(name) {
            // Google's test server takes an object's lists, too.
            Err(_) if service.like_testbench => acl::for_object(name)?,
            grants => grants?,
        });
    }
    if let Some(name) = call.query.get("predefinedDefaultObjectAcl") {
        record.default_acl = Some(acl::for_object(name)?);
    }
    Ok(())
}

/// `POST /storage/v1/b/BUCKET/lockRetentionPolicy`.
pub(crate) async fn lock_retention(
    service: &Arc<Service>,
    call: &Call,
    bucket: String,
) -> Result<Response<ResponseBody>, Error> {
    let conditions = preconditions::from_query(&call.query)?;
    if conditions.if_metageneration_match.is_none() {
        return Err(Error::required("ifMetagenerationMatch"));
    }
    let change = move |record: &mut BucketRecord| {
        preconditions::check_metageneration(&conditions, record.metageneration)?;
        record.lock_retention()
    };
    let (record, ()) = service.change_bucket(bucket, change).await?;
    Ok(shown(call, &record))
}

/// `GET /storage/v1/b/BUCKET/storageLayout`.
pub(crate) fn layout(service: &Service, bucket: &str) -> Result<Response<ResponseBody>, Error> {
    let record = service.bucket(bucket)?;
    Ok(answer::json(
        StatusCode::OK,
        &document!({
            "kind": "storage#storageLayout",
            "bucket": record.name,
            "location": record.location,
            "locationType": record.location_type(),
            "hierarchicalNamespace": { "enabled": record.is_hierarchical() },
        }),
    ))
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
        page["items"] = found.iter().map(|record| resource(call, record)).collect();
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
    preconditions::check_metageneration(&conditions, record.metageneration)?;
    let current = Current {
        etag: record.etag(),
        updated: record.updated,
    };
    current.check(&HttpConditions::on_tags(&call.headers))
}

fn shown(call: &Call, record: &BucketRecord) -> Response<ResponseBody> {
    answer::json(StatusCode::OK, &resource(call, record))
}

fn resource(call: &Call, record: &BucketRecord) -> Value {
    let mut shown = record.resource(&call.base);
    if call.query.get("projection") == Some("full") {
        for (key, value) in record.access(&call.base) {
            shown[key] = value;
        }
    }
    shown
}
