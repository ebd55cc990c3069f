//! Objects in the XML API: PUT, GET, HEAD, DELETE, copy, and the start of a session.

use std::sync::Arc;

use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE,
    ETAG, HeaderName,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::admit::is_signed_by_amazon;
use super::element::Element;
use crate::acl::{self, Grants};
use crate::answer::empty;
use crate::call::Call;
use crate::digits::digits;
use crate::encoding::{base64, hex, percent};
use crate::encryption;
use crate::entity_tags::{Current, HttpConditions};
use crate::error::Error;
use crate::ingest::Ingest;
use crate::media::{self, set};
use crate::metadata::{Expected, Metadata};
use crate::names;
use crate::objects::Upload;
use crate::preconditions;
use crate::resource::{Draft, Object};
use crate::response_body::ResponseBody;
use crate::resumable;
use crate::service::Service;
use gcsd_types::Preconditions;

/// The prefix of the client's own metadata.
const CUSTOM: &str = "x-goog-meta-";

/// `PUT /BUCKET/OBJECT`.
pub(super) async fn insert(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    service.want_bucket(&bucket).await?;
    check_length(call)?;
    let upload = Upload {
        key_sha256: encryption::key(&call.headers)?,
        bucket,
        name: names::object(&name)?,
        metadata: metadata(&call.headers)?,
        expected: expected(&call.headers)?,
        conditions: conditions(&call.headers)?,
        acl: grants(&call.headers)?,
    };
    upload.admit(service)?;
    let ingest = Ingest::body(service, &mut call.body).await?;
    Ok(stored(&*upload.publish(ingest).await?))
}

/// Checks the length against `x-goog-content-length-range`, which signed URLs carry.
fn check_length(call: &Call) -> Result<(), Error> {
    let Some(range) = call.header("x-goog-content-length-range") else {
        return Ok(());
    };
    let number = |text: &str| digits::<u64>(text.trim());
    let range = range
        .split_once(',')
        .and_then(|(min, max)| Some(number(min)?..=number(max)?));
    let range = range.ok_or_else(|| Error::invalid("Invalid x-goog-content-length-range header."))?;
    let length = call.body.length();
    let length = length.ok_or_else(|| Error::text(StatusCode::LENGTH_REQUIRED, "Length Required"))?;
    if length < *range.start() {
        return Err(Error::new(
            StatusCode::BAD_REQUEST,
            "partSize",
            format!("{length} bytes are too few."),
        ));
    }
    if length > *range.end() {
        return Err(Error::new(
            StatusCode::BAD_REQUEST,
            "tooLarge",
            format!("{length} bytes are too many."),
        ));
    }
    Ok(())
}

/// `PUT /BUCKET/OBJECT` with `x-goog-copy-source`.
pub(super) async fn copy(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    let invalid = || Error::invalid("Invalid x-goog-copy-source header.");
    let source = call.header("x-goog-copy-source").ok_or_else(invalid)?;
    let source = percent_decode_str(source.trim_start_matches('/'))
        .decode_utf8()
        .map_err(|_| invalid())?;
    let (from_bucket, from_name) = source.split_once('/').ok_or_else(invalid)?;
    let (from_bucket, from_name) = (from_bucket.to_owned(), from_name.to_owned());
    let generation = number(&call.headers, "x-goog-copy-source-generation")?;
    let replaced = match call.header("x-goog-metadata-directive") {
        Some("REPLACE") => Some(metadata(&call.headers)?),
        None | Some("COPY") => None,
        Some(_) => return Err(Error::invalid("The metadata directive is COPY or REPLACE.")),
    };
    let (key, acl) = (encryption::key(&call.headers)?, grants(&call.headers)?);
    let source_key = encryption::source_key(&call.headers)?;
    let http_conditions = HttpConditions::of_copy_source(&call.headers);
    let source_conditions = Preconditions {
        if_generation_match: number(&call.headers, "x-goog-copy-source-if-generation-match")?,
        if_metageneration_match: number(&call.headers, "x-goog-copy-source-if-metageneration-match")?,
        ..Preconditions::default()
    };
    let conditions = conditions(&call.headers)?;
    names::object(&name)?;
    let object = service
        .change(move |turn| {
            let source = turn.service().find(&from_bucket, &from_name, generation)?;
            preconditions::check(&source_conditions, Some(&source))?;
            current(&source).check(&http_conditions)?;
            encryption::unlock(&source, source_key.as_deref())?;
            let mut draft = Draft {
                bucket,
                name,
                key_sha256: key,
                acl,
                ..Draft::copy_of(&source, turn.service().store.duplicate(&source.content)?)
            };
            if let Some(metadata) = replaced {
                draft.metadata = metadata;
            }
            turn.publish(&draft, &conditions)
                .inspect_err(|_| turn.service().store.remove(&draft.content))
        })
        .await?;
    let document = Element::new("CopyObjectResult")
        .text("LastModified", object.updated.rfc3339())
        .text("ETag", etag(&object));
    let mut response = document.answer(StatusCode::OK);
    identify(response.headers_mut(), &object);
    Ok(response)
}

/// `GET /BUCKET/OBJECT`.
pub(super) fn read(
    service: &Service,
    call: &Call,
    bucket: &str,
    name: &str,
) -> Result<Response<ResponseBody>, Error> {
    let object = find(service, call, bucket, name)?;
    let mut response = media::bytes(service, &call.headers, &object)?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        let range = call.header("range").unwrap_or_default();
        return Err(Error::text(StatusCode::RANGE_NOT_SATISFIABLE, range));
    }
    if response.status().is_success() {
        describe(response.headers_mut(), &object);
        also_for_amazon(call, response.headers_mut());
        for (parameter, header) in [
            ("response-content-type", CONTENT_TYPE),
            ("response-content-disposition", CONTENT_DISPOSITION),
        ] {
            if let Some(value) = call.query.get(parameter) {
                set(response.headers_mut(), header, value);
            }
        }
    }
    Ok(response)
}

/// `HEAD /BUCKET/OBJECT`.
pub(super) fn head(
    service: &Service,
    call: &Call,
    bucket: &str,
    name: &str,
) -> Result<Response<ResponseBody>, Error> {
    let object = find(service, call, bucket, name)?;
    let mut response = empty(StatusCode::OK);
    media::describe(response.headers_mut(), &object);
    describe(response.headers_mut(), &object);
    also_for_amazon(call, response.headers_mut());
    set(response.headers_mut(), CONTENT_LENGTH, &object.size.to_string());
    Ok(response)
}

/// `DELETE /BUCKET/OBJECT`.
pub(super) async fn delete(
    service: &Arc<Service>,
    call: &Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    let generation = call.query.number("generation")?;
    let conditions = conditions(&call.headers)?;
    service
        .change(move |turn| turn.delete(&bucket, &name, generation, &conditions))
        .await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `POST /BUCKET/OBJECT` with `x-goog-resumable: start`.
pub(super) async fn start_session(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    name: String,
) -> Result<Response<ResponseBody>, Error> {
    let path = format!("/{}/{}?", percent(&bucket), percent(&name));
    let intent = resumable::Intent {
        key_sha256: encryption::key(&call.headers)?,
        bucket,
        name: names::object(&name)?,
        metadata: metadata(&call.headers)?,
        expected: expected(&call.headers)?,
        declared: resumable::declared(call)?,
        conditions: conditions(&call.headers)?,
        created: service.now(),
        acl: grants(&call.headers)?,
        fields: None,
        full: false,
    };
    resumable::open(service, call, intent, &path, StatusCode::CREATED).await
}

/// The answer to a request that stored an object.
pub(super) fn stored(object: &Object) -> Response<ResponseBody> {
    let mut response = empty(StatusCode::OK);
    identify(response.headers_mut(), object);
    response
}

fn find(service: &Service, call: &Call, bucket: &str, name: &str) -> Result<Arc<Object>, Error> {
    let object = service.find(bucket, name, call.query.number("generation")?)?;
    preconditions::check(&conditions(&call.headers)?, Some(&object))?;
    current(&object).check(&HttpConditions::of(&call.headers))?;
    Ok(object)
}

fn current(object: &Object) -> Current {
    Current {
        etag: etag(object),
        updated: object.updated,
    }
}

/// The entity tag of the XML API: the MD5 where there is one.
pub(super) fn etag(object: &Object) -> String {
    match &object.md5 {
        Some(md5) => format!("\"{}\"", hex(md5)),
        None => format!("\"-{}\"", object.etag()),
    }
}

/// The headers of every answer about an object.
fn identify(headers: &mut HeaderMap, object: &Object) {
    set(headers, ETAG, &etag(object));
    headers.remove("x-goog-hash");
    let mut hashes = vec![format!("crc32c={}", object.crc32c().to_base64())];
    hashes.extend(object.md5.as_ref().map(|md5| format!("md5={}", base64(md5))));
    for hash in hashes {
        if let Ok(value) = hash.parse() {
            headers.append(HeaderName::from_static("x-goog-hash"), value);
        }
    }
    for (name, value) in [
        ("x-goog-generation", object.generation.to_string()),
        ("x-goog-metageneration", object.metageneration.to_string()),
        ("x-goog-stored-content-length", object.size.to_string()),
    ] {
        set(headers, HeaderName::from_static(name), &value);
    }
    let encoding = object.metadata.content_encoding.as_deref().unwrap_or("identity");
    set(
        headers,
        HeaderName::from_static("x-goog-stored-content-encoding"),
        encoding,
    );
}

fn describe(headers: &mut HeaderMap, object: &Object) {
    identify(headers, object);
    if let Some(count) = object.component_count {
        set(
            headers,
            HeaderName::from_static("x-goog-component-count"),
            &count.to_string(),
        );
    }
    for (key, value) in &object.metadata.custom {
        if let Ok(name) = HeaderName::try_from(format!("{CUSTOM}{key}")) {
            set(headers, name, value);
        }
    }
}

/// Who signs as Amazon does reads the client's own metadata under Amazon's names.
fn also_for_amazon(call: &Call, headers: &mut HeaderMap) {
    if !is_signed_by_amazon(call) {
        return;
    }
    let custom: Vec<(HeaderName, HeaderValue)> = headers
        .iter()
        .filter_map(|(name, value)| {
            let key = name.as_str().strip_prefix(CUSTOM)?;
            Some((
                HeaderName::try_from(format!("x-amz-meta-{key}")).ok()?,
                value.clone(),
            ))
        })
        .collect();
    headers.extend(custom);
}

/// The access control list that a request's headers give the object.
pub(super) fn grants(headers: &HeaderMap) -> Result<Option<Grants>, Error> {
    let name = headers.get("x-goog-acl").and_then(|name| name.to_str().ok());
    name.map(acl::for_object).transpose()
}

/// The metadata that a request's headers give the object.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Metadata, Error> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut resource = Map::new();
    for (key, header) in [
        ("contentType", CONTENT_TYPE.as_str()),
        ("contentEncoding", CONTENT_ENCODING.as_str()),
        ("contentDisposition", CONTENT_DISPOSITION.as_str()),
        ("contentLanguage", CONTENT_LANGUAGE.as_str()),
        ("cacheControl", CACHE_CONTROL.as_str()),
        ("storageClass", "x-goog-storage-class"),
        ("customTime", "x-goog-custom-time"),
    ] {
        // Amazon's framing of a body is not part of the object.
        let value = text(header).map(|value| value.trim_start_matches("aws-chunked").trim_start_matches(','));
        if let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) {
            resource.insert(key.to_owned(), value.into());
        }
    }
    let custom: Map<String, Value> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix(CUSTOM)?, value.to_str().ok()?)))
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    if !custom.is_empty() {
        resource.insert("metadata".to_owned(), custom.into());
    }
    let mut metadata = Metadata::default();
    metadata.merge(&resource)?;
    Ok(metadata)
}

/// The checksums that a request's headers state.
pub(super) fn expected(headers: &HeaderMap) -> Result<Expected, Error> {
    let mut expected = Expected::default();
    expected.merge_headers(headers)?;
    expected.merge_content_md5(headers)?;
    Ok(expected)
}

/// The preconditions that a request's headers state.
pub(super) fn conditions(headers: &HeaderMap) -> Result<Preconditions, Error> {
    Ok(Preconditions {
        if_generation_match: number(headers, "x-goog-if-generation-match")?,
        if_metageneration_match: number(headers, "x-goog-if-metageneration-match")?,
        ..Preconditions::default()
    })
}

fn number(headers: &HeaderMap, name: &str) -> Result<Option<u64>, Error> {
    let value = headers.get(name);
    value
        .map(|value| {
            let number = value.to_str().ok().and_then(|text| digits(text.trim()));
            number.ok_or_else(|| Error::invalid(format!("Invalid value for the header {name}.")))
        })
        .transpose()
}
