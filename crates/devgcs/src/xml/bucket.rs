//! Buckets in the XML API.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::element::Element;
use super::leaves::leaves;
use super::object::{conditions, etag};
use crate::acl;
use crate::answer::empty;
use crate::call::Call;
use crate::error::Error;
use crate::json;
use crate::preconditions;
use crate::query::Query;
use crate::resource::{BucketRecord, Object};
use crate::response_body::ResponseBody;
use crate::service::{Cursor, Listing, Service};

/// Objects and prefixes on one page.
const MAX_KEYS: u64 = 1000;

/// `GET /`.
pub(super) fn list_all(service: &Service) -> Response<ResponseBody> {
    let owner = Element::new("Owner").text("ID", "devgcs");
    let buckets = service.buckets();
    let buckets = buckets.iter().map(|record| {
        Element::new("Bucket")
            .text("Name", &record.name)
            .text("CreationDate", record.created.rfc3339())
    });
    let buckets = Element::new("Buckets").children(buckets);
    Element::in_s3("ListAllMyBucketsResult")
        .child(owner)
        .child(buckets)
        .answer(StatusCode::OK)
}

/// Whether a query asks for a part of a bucket's configuration.
pub(super) fn is_configuration(query: &Query) -> bool {
    ["location", "storageClass"].iter().any(|part| query.has(part))
}

/// `HEAD /BUCKET`, and `GET /BUCKET?location` and the like.
pub(super) fn get(service: &Service, call: &Call, bucket: &str) -> Result<Response<ResponseBody>, Error> {
    let record = service.bucket(bucket)?;
    if call.method == http::Method::HEAD {
        return Ok(empty(StatusCode::OK));
    }
    let document = if call.query.has("location") {
        Element::new("LocationConstraint").content(&record.location)
    } else {
        Element::new("StorageClass").content(&record.storage_class)
    };
    Ok(document.answer(StatusCode::OK))
}

/// `PUT /BUCKET`.
pub(super) async fn insert(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
) -> Result<Response<ResponseBody>, Error> {
    let body = call.body.collect(json::MAX_BODY).await?;
    let mut record = BucketRecord::new(bucket, service.now());
    if let Some(name) = call.header("x-goog-acl") {
        record.acl = Some(acl::for_bucket(name)?);
    }
    if let Some(class) = call.header("x-goog-storage-class") {
        record.storage_class = class.to_uppercase();
    }
    let malformed = || Error::invalid("The XML you provided was not well-formed.");
    let text = std::str::from_utf8(&body).map_err(|_| malformed())?;
    for (name, value) in leaves(text).ok_or_else(malformed)? {
        match name.as_str() {
            "LocationConstraint" => record.location = value.to_uppercase(),
            "StorageClass" => record.storage_class = value.to_uppercase(),
            _ => {}
        }
    }
    let shared = Arc::clone(service);
    service.store.run(move || shared.insert_bucket(record)).await?;
    Ok(empty(StatusCode::OK))
}

/// `DELETE /BUCKET`.
pub(super) async fn delete(
    service: &Arc<Service>,
    call: &Call,
    bucket: String,
) -> Result<Response<ResponseBody>, Error> {
    let conditions = conditions(&call.headers)?;
    let shared = Arc::clone(service);
    let delete = move || {
        shared.delete_bucket(&bucket, |record| {
            preconditions::check_metageneration(&conditions, record.metageneration)
        })
    };
    service.store.run(delete).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `GET /BUCKET`: a page of its objects, in the first or the second form of the list.
pub(super) fn list(service: &Service, call: &Call, bucket: &str) -> Result<Response<ResponseBody>, Error> {
    let query = &call.query;
    let second = query.get("list-type") == Some("2");
    let text = |key: &str| query.get(key).filter(|text| !text.is_empty()).map(str::to_owned);
    let limit = query.number("max-keys")?.unwrap_or(MAX_KEYS).clamp(1, MAX_KEYS);
    let after = match text("continuation-token").filter(|_| second) {
        Some(token) => {
            Some(Cursor::from_token(&token).ok_or_else(|| Error::invalid("Invalid continuation-token."))?)
        }
        // A marker is an object's name or a prefix; the page starts after it.
        None => text(if second { "start-after" } else { "marker" }).map(|marker| {
            match query.get("delimiter").filter(|delimiter| !delimiter.is_empty()) {
                Some(delimiter) if marker.ends_with(delimiter) => Cursor::Prefix(marker),
                _ => Cursor::Object(
                    marker,
                    query
                        .number("generation-marker")
                        .ok()
                        .flatten()
                        .unwrap_or(u64::MAX),
                ),
            }
        }),
    };
    let versions = query.has("versions");
    let listing = Listing {
        prefix: text("prefix").unwrap_or_default(),
        delimiter: text("delimiter"),
        versions,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        after,
        ..Listing::default()
    };
    let page = service.list(bucket, &listing)?;
    let root = if versions {
        "ListVersionsResult"
    } else {
        "ListBucketResult"
    };
    let mut document = Element::in_s3(root)
        .text("Name", bucket)
        .text("Prefix", &listing.prefix)
        .optional("Delimiter", listing.delimiter.as_ref());
    let count = page.objects.len() + page.prefixes.len();
    document = if second {
        document
            .text("KeyCount", count.to_string())
            .optional("NextContinuationToken", page.next.as_ref().map(Cursor::to_token))
    } else {
        let (next, generation) = match &page.next {
            None => (None, None),
            Some(Cursor::Prefix(prefix)) => (Some(prefix), None),
            Some(Cursor::Object(name, generation)) => (Some(name), Some(generation.to_string())),
        };
        document
            .text("Marker", query.get("marker").unwrap_or_default())
            .optional("NextMarker", next)
            .optional("NextGenerationMarker", generation.filter(|_| versions))
    };
    document = document
        .text("MaxKeys", limit.to_string())
        .text("IsTruncated", if page.next.is_some() { "true" } else { "false" })
        .children(page.objects.iter().map(|object| entry(object, versions)))
        .children(
            page.prefixes
                .iter()
                .map(|prefix| Element::new("CommonPrefixes").text("Prefix", prefix)),
        );
    Ok(document.answer(StatusCode::OK))
}

fn entry(object: &Object, versions: bool) -> Element {
    let latest = if object.deleted.is_none() { "true" } else { "false" };
    Element::new(if versions { "Version" } else { "Contents" })
        .text("Key", &object.name)
        .text("Generation", object.generation.to_string())
        .text("MetaGeneration", object.metageneration.to_string())
        .optional("IsLatest", versions.then_some(latest))
        .text("LastModified", object.updated.rfc3339())
        .text("ETag", etag(object))
        .text("Size", object.size.to_string())
        .text("StorageClass", object.storage_class())
}
