//! The bytes of an object, whole or in part.

use std::ops::Range;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::body::ResponseBody;
use super::call::Call;
use super::error::Error;
use super::objects;
use super::resource::{Object, base64};
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
    let wanted = match call.headers.get(RANGE).and_then(|range| range.to_str().ok()) {
        Some(text) => wanted(text, object.size),
        None => Wanted::All,
    };
    let (status, range) = match wanted {
        Wanted::All => (StatusCode::OK, 0..object.size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => return Ok(unsatisfiable(object.size)),
    };
    let reader =
        Reader::open(&service.keep, &object.content, range.clone()).map_err(|error| match error.kind() {
            std::io::ErrorKind::Unsupported => Error::text(
                StatusCode::NOT_IMPLEMENTED,
                "This server discards the bytes of objects and keeps their checksums only.",
            ),
            _ => Error::from(error).into_text(),
        })?;
    let mut response = Response::new(ResponseBody::Stored(reader));
    *response.status_mut() = status;
    describe(response.headers_mut(), &object);
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{}", range.start, range.end - 1, object.size);
        set(response.headers_mut(), CONTENT_RANGE, &text);
    }
    Ok(response)
}

/// The headers that go with an object's bytes.
fn describe(headers: &mut HeaderMap, object: &Object) {
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
    set(headers, ACCEPT_RANGES, "bytes");
    set(headers, ETAG, &object.etag());
    set(headers, LAST_MODIFIED, &object.updated.http());
    let stored = |name: &'static str| HeaderName::from_static(name);
    set(
        headers,
        stored("x-goog-generation"),
        &object.generation.to_string(),
    );
    set(
        headers,
        stored("x-goog-metageneration"),
        &object.metageneration.to_string(),
    );
    set(headers, stored("x-goog-storage-class"), object.storage_class());
    set(
        headers,
        stored("x-goog-stored-content-length"),
        &object.size.to_string(),
    );
    let encoding = metadata.content_encoding.as_deref().unwrap_or("identity");
    set(headers, stored("x-goog-stored-content-encoding"), encoding);
    let mut hash = format!("crc32c={}", object.crc32c().to_base64());
    if let Some(md5) = &object.md5 {
        hash = format!("{hash},md5={}", base64(md5));
    }
    set(headers, stored("x-goog-hash"), &hash);
}

/// Metadata is checked when it comes in; what cannot stand in a header all the same is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn unsatisfiable(size: u64) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full("The requested range cannot be satisfied."));
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
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit are far beyond the end.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
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
