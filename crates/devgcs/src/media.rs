//! The bytes of an object, whole or in part.

use std::io::ErrorKind;
use std::ops::Range;

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, RANGE, WARNING,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::call::Call;
use super::encoding::base64;
use super::encryption;
use super::error::Error;
use super::gunzip::Gunzip;
use super::objects;
use super::resource::Object;
use super::response_body::ResponseBody;
use super::service::Service;
use super::storage::Reader;

/// `GET ...?alt=media`.
pub(crate) fn read(
    service: &Service,
    call: &Call,
    bucket: &str,
    name: &str,
) -> Result<Response<ResponseBody>, Error> {
    let object = objects::find(service, call, bucket, name).map_err(Error::into_text)?;
    let mut response = bytes(service, &call.headers, &object).map_err(Error::into_text)?;
    if response.status().is_success() {
        set(response.headers_mut(), ETAG, &object.etag());
    }
    Ok(response)
}

/// The bytes that a request's headers ask for, with the headers that both APIs send along.
pub(crate) fn bytes(
    service: &Service,
    headers: &HeaderMap,
    object: &Object,
) -> Result<Response<ResponseBody>, Error> {
    encryption::unlock(object, encryption::key(headers)?.as_deref())?;
    let says_gzip = object.metadata.is_gzip() && !takes_gzip(headers) && !keeps_as_it_is(object);
    // What says that it is gzip and is not is served as stored.
    let inflate = says_gzip && begins_as_gzip(service, object);
    let wanted = match headers.get(RANGE).and_then(|range| range.to_str().ok()) {
        // A range of the stored bytes is not a range of the content.
        Some(text) if !inflate => wanted(text, object.size),
        _ => Wanted::All,
    };
    let (status, range) = match wanted {
        Wanted::All => (StatusCode::OK, 0..object.size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => return Ok(unsatisfiable(object.size)),
    };
    let reader =
        Reader::open(&service.store, &object.content, range.clone()).map_err(|error| match error.kind() {
            ErrorKind::Unsupported => Error::text(
                StatusCode::NOT_IMPLEMENTED,
                "This server discards the bytes of objects and keeps their checksums only.",
            ),
            // It was deleted after it was found.
            ErrorKind::NotFound => Error::no_object(&object.bucket, &object.name).into_text(),
            _ => Error::from(error).into_text(),
        })?;
    let mut response = Response::new(if inflate {
        ResponseBody::Inflated(Box::new(Gunzip::new(reader)))
    } else {
        ResponseBody::Stored(reader)
    });
    *response.status_mut() = status;
    describe(response.headers_mut(), object);
    if inflate {
        response.headers_mut().remove(CONTENT_ENCODING);
        set(response.headers_mut(), WARNING, "214 UploadServer gunzipped");
    } else {
        set(response.headers_mut(), ACCEPT_RANGES, "bytes");
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{}", range.start, range.end - 1, object.size);
        set(response.headers_mut(), CONTENT_RANGE, &text);
    }
    Ok(response)
}

fn begins_as_gzip(service: &Service, object: &Object) -> bool {
    const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
    let reader = Reader::open(&service.store, &object.content, 0..object.size.min(3));
    reader.is_ok_and(|reader| reader.begins_with(&MAGIC))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut values = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.any(|value| value.split([',', ';', ' ']).any(|coding| coding == "gzip"))
}

fn keeps_as_it_is(object: &Object) -> bool {
    let control = object.metadata.cache_control.as_deref().unwrap_or_default();
    control
        .split(',')
        .any(|directive| directive.trim().eq_ignore_ascii_case("no-transform"))
}

/// The headers that go with an object's bytes.
pub(crate) fn describe(headers: &mut HeaderMap, object: &Object) {
    let metadata = &object.metadata;
    set(headers, CONTENT_TYPE, metadata.content_type());
    for (name, value) in [
        (CONTENT_ENCODING, &metadata.content_encoding),
        (CONTENT_LANGUAGE, &metadata.content_language),
        (CONTENT_DISPOSITION, &metadata.content_disposition),
        (CACHE_CONTROL, &metadata.cache_control),
    ] {
        if let Some(value) = value {
            set(headers, name, value);
        }
    }
    set(headers, LAST_MODIFIED, &object.updated.http());
    let encoding = metadata.content_encoding.as_deref().unwrap_or("identity");
    let mut hash = format!("crc32c={}", object.crc32c().to_base64());
    if let Some(md5) = &object.md5 {
        hash = format!("{hash},md5={}", base64(md5));
    }
    for (name, value) in [
        ("x-goog-generation", object.generation.to_string().as_str()),
        ("x-goog-metageneration", &object.metageneration.to_string()),
        ("x-goog-storage-class", object.storage_class()),
        ("x-goog-stored-content-length", &object.size.to_string()),
        ("x-goog-stored-content-encoding", encoding),
        ("x-goog-hash", &hash),
    ] {
        set(headers, HeaderName::from_static(name), value);
    }
}

/// Sets a header, unless the value cannot be in one; metadata is checked when it is received.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn unsatisfiable(size: u64) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full("Request range not satisfiable"));
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    set(response.headers_mut(), CONTENT_TYPE, "text/plain; charset=utf-8");
    set(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<u64>),
    /// The range is well-formed and touches no byte.
    Nothing,
}

/// Reads a `Range` header. One that is malformed, or names several ranges, asks for everything.
fn wanted(text: &str, size: u64) -> Wanted {
    let number = |text: &str| -> Option<u64> {
        let only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit are far beyond the end.
        only.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let Some((first, last)) = text
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Wanted::All,
        (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => Wanted::Nothing,
        (Some(first), Some(last)) => Wanted::Part(first..last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => Wanted::Part(first..size),
        (None, Some(0)) if first.is_empty() => Wanted::Nothing,
        (None, Some(suffix)) if first.is_empty() => match size {
            0 => Wanted::Nothing,
            size => Wanted::Part(size.saturating_sub(suffix)..size),
        },
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (text, wanted_range) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=2-99", Wanted::Part(2..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-12", Wanted::Nothing),
            ("bytes=99999999999999999999-", Wanted::Nothing),
            ("bytes=5-2", Wanted::All),
            ("bytes=0-1,4-5", Wanted::All),
            ("bytes=", Wanted::All),
            ("bytes=-", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(wanted(text, 10), wanted_range, "{text}");
        }
        assert_eq!(wanted("bytes=-5", 0), Wanted::Nothing);
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
    }
}
