//! The calls of a multipart upload.

use std::sync::Arc;

use http::{HeaderName, Response, StatusCode};

use super::element::Element;
use super::leaves::leaves;
use super::object::{etag, expected, grants, metadata};
use crate::answer::empty;
use crate::call::Call;
use crate::digits::digits;
use crate::encoding::{base64, percent};
use crate::encryption;
use crate::error::Error;
use crate::ingest::Ingest;
use crate::media::set;
use crate::multipart_upload::{MAX_PARTS, MultipartRecord, MultipartUpload, Part};
use crate::names;
use crate::response_body::ResponseBody;
use crate::service::Service;

/// The largest list of parts: 10,000 of them, with room for white space.
const MAX_LIST: usize = 4 * 1024 * 1024;

/// Entries on a page of parts or uploads.
const MAX_PAGE: u64 = 1000;

/// `POST /BUCKET/OBJECT?uploads`.
pub(super) async fn start(
    service: &Arc<Service>,
    call: &Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    service.want_bucket(&bucket).await?;
    let record = MultipartRecord {
        bucket,
        name: names::object(&name)?,
        metadata: metadata(&call.headers)?,
        created: service.now(),
        key_sha256: encryption::key(&call.headers)?,
        acl: grants(&call.headers)?,
    };
    let shared = Arc::clone(service);
    let upload = service.store.run(move || shared.start_multipart(record)).await?;
    let document = Element::in_s3("InitiateMultipartUploadResult")
        .text("Bucket", &upload.record.bucket)
        .text("Key", &upload.record.name)
        .text("UploadId", &upload.id);
    Ok(document.answer(StatusCode::OK))
}

/// `PUT /BUCKET/OBJECT?partNumber=N&uploadId=ID`.
pub(super) async fn upload_part(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: &str,
    name: &str,
) -> Result<Response<ResponseBody>, Error> {
    let upload = find(service, call, bucket, name)?;
    let number = call
        .query
        .number("partNumber")?
        .and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| (1..=MAX_PARTS).contains(number));
    let number =
        number.ok_or_else(|| Error::invalid(format!("A part's number is from 1 to {MAX_PARTS}.")))?;
    if encryption::key(&call.headers)? != upload.record.key_sha256 {
        return Err(encryption::another_key());
    }
    let expected = expected(&call.headers)?;
    let ingest = Ingest::body(service, &mut call.body).await?;
    let part = ingest
        .finish(move |service, content, digests| {
            expected.check(digests.crc32c, digests.md5)?;
            service.store_part(&upload, number, content, digests)
        })
        .await?;
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    set(headers, http::header::ETAG, &part.etag());
    let hash = HeaderName::from_static("x-goog-hash");
    let mut hashes = vec![format!("crc32c={}", gcsd_types::Crc32c(part.crc32c).to_base64())];
    hashes.extend(part.md5.as_ref().map(|md5| format!("md5={}", base64(md5))));
    for value in hashes.iter().filter_map(|hash| hash.parse().ok()) {
        headers.append(hash.clone(), value);
    }
    Ok(response)
}

/// `GET /BUCKET/OBJECT?uploadId=ID`.
pub(super) fn list_parts(
    service: &Service,
    call: &Call,
    bucket: &str,
    name: &str,
) -> Result<Response<ResponseBody>, Error> {
    let upload = find(service, call, bucket, name)?;
    let limit = call
        .query
        .number("max-parts")?
        .unwrap_or(MAX_PAGE)
        .clamp(1, MAX_PAGE);
    let marker = call.query.number("part-number-marker")?.unwrap_or(0);
    let parts = upload.parts()?;
    let mut rest = parts.iter().filter(|(number, _)| u64::from(**number) > marker);
    let page: Vec<(&u32, &Part)> = rest
        .by_ref()
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .collect();
    let more = rest.next().is_some();
    let next = page.last().filter(|_| more).map(|(number, _)| number.to_string());
    let document = Element::in_s3("ListPartsResult")
        .text("Bucket", bucket)
        .text("Key", name)
        .text("UploadId", &upload.id)
        .text(
            "StorageClass",
            upload
                .record
                .metadata
                .storage_class
                .as_deref()
                .unwrap_or("STANDARD"),
        )
        .text("PartNumberMarker", marker.to_string())
        .optional("NextPartNumberMarker", next)
        .text("MaxParts", limit.to_string())
        .text("IsTruncated", if more { "true" } else { "false" })
        .children(page.into_iter().map(|(number, part)| {
            Element::new("Part")
                .text("PartNumber", number.to_string())
                .text("LastModified", part.updated.rfc3339())
                .text("ETag", part.etag())
                .text("Size", part.size.to_string())
        }));
    Ok(document.answer(StatusCode::OK))
}

/// `POST /BUCKET/OBJECT?uploadId=ID`.
pub(super) async fn complete(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: &str,
    name: &str,
) -> Result<Response<ResponseBody>, Error> {
    let upload = find(service, call, bucket, name)?;
    let body = call.body.collect(MAX_LIST).await?;
    let malformed = || Error::invalid("The XML you provided was not well-formed or did not validate.");
    let listed = listed(std::str::from_utf8(&body).map_err(|_| malformed())?).ok_or_else(malformed)?;
    let expected = expected(&call.headers)?;
    let shared = Arc::clone(service);
    let complete = move || shared.complete_multipart(&upload, &listed, &expected);
    let object = service.store.run(complete).await?;
    let document = Element::in_s3("CompleteMultipartUploadResult")
        .text(
            "Location",
            format!("{}/{}/{}", call.base, percent(bucket), percent(name)),
        )
        .text("Bucket", bucket)
        .text("Key", name)
        .text("ETag", etag(&object));
    let mut response = document.answer(StatusCode::OK);
    let headers = response.headers_mut();
    set(
        headers,
        HeaderName::from_static("x-goog-generation"),
        &object.generation.to_string(),
    );
    let hash = format!("crc32c={}", object.crc32c().to_base64());
    set(headers, HeaderName::from_static("x-goog-hash"), &hash);
    Ok(response)
}

/// `DELETE /BUCKET/OBJECT?uploadId=ID`.
pub(super) async fn abort(
    service: &Arc<Service>,
    call: &Call,
    bucket: &str,
    name: &str,
) -> Result<Response<ResponseBody>, Error> {
    let upload = find(service, call, bucket, name)?;
    let shared = Arc::clone(service);
    service.store.run(move || shared.abort_multipart(&upload)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `GET /BUCKET?uploads`.
pub(super) fn list(service: &Service, call: &Call, bucket: &str) -> Result<Response<ResponseBody>, Error> {
    let query = &call.query;
    let prefix = query.get("prefix").unwrap_or_default();
    let limit = query
        .number("max-uploads")?
        .unwrap_or(MAX_PAGE)
        .clamp(1, MAX_PAGE);
    let key_marker = query.get("key-marker").unwrap_or_default();
    let id_marker = query.get("upload-id-marker").unwrap_or_default();
    let mut uploads = service.multiparts(bucket)?;
    uploads.retain(|upload| upload.record.name.starts_with(prefix));
    // The markers name the last upload of the previous page.
    let passed = uploads
        .iter()
        .position(|upload| upload.record.name == key_marker && upload.id == id_marker);
    match passed {
        Some(last) => drop(uploads.drain(..=last)),
        None => uploads.retain(|upload| upload.record.name.as_str() > key_marker),
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = uploads.len() > limit;
    uploads.truncate(limit);
    let last = uploads.last().filter(|_| more);
    let document = Element::in_s3("ListMultipartUploadsResult")
        .text("Bucket", bucket)
        .text("KeyMarker", key_marker)
        .text("UploadIdMarker", id_marker)
        .optional("NextKeyMarker", last.map(|upload| &upload.record.name))
        .optional("NextUploadIdMarker", last.map(|upload| &upload.id))
        .text("MaxUploads", limit.to_string())
        .text("IsTruncated", if more { "true" } else { "false" })
        .children(uploads.iter().map(|upload| {
            Element::new("Upload")
                .text("Key", &upload.record.name)
                .text("UploadId", &upload.id)
                .text("Initiated", upload.record.created.rfc3339())
        }));
    Ok(document.answer(StatusCode::OK))
}

fn find(service: &Service, call: &Call, bucket: &str, name: &str) -> Result<Arc<MultipartUpload>, Error> {
    service.bucket(bucket)?;
    service.multipart(call.query.get("uploadId").unwrap_or_default(), bucket, name)
}

/// The parts that a completion lists: number and entity tag.
fn listed(document: &str) -> Option<Vec<(u32, String)>> {
    let mut parts = Vec::new();
    let mut number = None;
    let mut tag = None;
    for (name, text) in leaves(document)? {
        match name.as_str() {
            "PartNumber" => number = Some(digits(&text)?),
            "ETag" => tag = Some(text),
            _ => {}
        }
        if let (Some(part), Some(text)) = (number, &tag) {
            parts.push((part, text.clone()));
            (number, tag) = (None, None);
        }
    }
    (number.is_none() && tag.is_none()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_parts_are_read_in_either_order() {
        let document = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part>\
                        <Part><ETag>&quot;b&quot;</ETag><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>";
        let parts = listed(document).expect("well-formed");
        assert_eq!(parts, [(1, "\"a\"".to_owned()), (2, "\"b\"".to_owned())]);
        for bad in [
            "",
            "<A><PartNumber>x</PartNumber></A>",
            "<A><PartNumber>1</PartNumber></A>",
        ] {
            assert!(listed(bad).is_none_or(|parts| parts.is_empty()), "{bad}");
        }
    }
}
