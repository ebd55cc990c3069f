//! Several calls in one request (<https://cloud.google.com/storage/docs/batch>).

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri};
use http_body_util::BodyExt as _;

use super::body::{RequestBody, ResponseBody};
use super::call::Call;
use super::error::Error;
use super::json;
use super::multipart::{self, Parts};
use super::router;
use super::service::Service;
use super::target::Target;

/// The most calls in one request.
const MAX_CALLS: usize = 100;

/// The boundary of the answer: no answer holds it, since none holds bytes of an object.
const BOUNDARY: &str = "batch_devgcs_0123456789";

/// A call within the request.
struct Inner {
    id: String,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// `POST /batch/storage/v1`.
pub(crate) async fn batch(service: &Arc<Service>, call: &mut Call) -> Result<Response<ResponseBody>, Error> {
    let boundary = call
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| multipart::boundary(kind, "multipart/mixed"))
        .ok_or_else(|| Error::invalid("The Content-Type of a batch is multipart/mixed with a boundary."))?;
    let mut calls = Vec::new();
    let mut parts = Parts::new(&mut call.body, &boundary);
    while let Some(head) = parts.next().await? {
        if calls.len() == MAX_CALLS {
            return Err(Error::invalid(format!("A batch has at most {MAX_CALLS} calls.")));
        }
        let id = head.into_iter().find(|(name, _)| name == "content-id");
        let text = parts.whole(json::MAX_BODY).await?;
        calls.push(parse(id.map(|(_, id)| id).unwrap_or_default(), &text)?);
    }
    let mut answer = String::new();
    for inner in calls {
        let id = inner.id.trim_start_matches('<').trim_end_matches('>').to_owned();
        let response = one(service, &call.base, inner).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        // Writing to a string cannot fail.
        let _ = write!(
            answer,
            "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <response-{id}>\r\n\r\nHTTP/1.1 {}\r\n",
            head.status
        );
        for (name, value) in &head.headers {
            let _ = write!(answer, "{name}: {}\r\n", value.to_str().unwrap_or_default());
        }
        let _ = write!(
            answer,
            "Content-Length: {}\r\n\r\n{}\r\n",
            body.len(),
            String::from_utf8_lossy(&body)
        );
    }
    let _ = write!(answer, "--{BOUNDARY}--\r\n");
    let mut response = Response::new(ResponseBody::full(answer));
    let kind = HeaderValue::try_from(format!("multipart/mixed; boundary={BOUNDARY}"));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, kind.map_err(|_| Error::invalid("boundary"))?);
    Ok(response)
}

/// Answers one of the calls. The bytes of objects do not come in batches: neither up nor down.
async fn one(service: &Arc<Service>, base: &str, inner: Inner) -> Response<ResponseBody> {
    let target = match Target::parse(inner.uri.path()) {
        Ok(Target::Batch | Target::Upload(_) | Target::Media(..)) => Target::Unknown,
        Ok(target) if target.is_xml() => Target::Unknown,
        Ok(target) => target,
        Err(error) => return error.response(),
    };
    if inner.uri.query().is_some_and(|query| query.contains("alt=media")) {
        return Error::invalid("A batch cannot download.").response();
    }
    let body = if inner.body.is_empty() {
        Vec::new()
    } else {
        vec![inner.body]
    };
    let body = RequestBody::ready(body.into());
    let call = Call::new(
        inner.method,
        inner.headers,
        inner.uri.query(),
        base.to_owned(),
        body,
    );
    // A future that holds itself needs a place on the heap.
    match call {
        Ok(mut call) => Box::pin(router::answer(service, &mut call, inner.uri.path(), target)).await,
        Err(error) => error.response(),
    }
}

/// Reads a request in text.
fn parse(id: String, text: &[u8]) -> Result<Inner, Error> {
    let malformed = || Error::invalid("A call in the batch is malformed.");
    let text = text.strip_prefix(b"\r\n").unwrap_or(text);
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let mut used = 0;
    let mut line = || {
        let line = lines.next().unwrap_or_default();
        used += line.len();
        (String::from_utf8_lossy(line).trim_end().to_owned(), used)
    };
    let (first, _) = line();
    let mut words = first.split(' ');
    let method = words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(malformed)?;
    let uri: Uri = words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(malformed)?;
    let mut headers = HeaderMap::new();
    let body = loop {
        let (line, used) = line();
        if line.is_empty() {
            break &text[used.min(text.len())..];
        }
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        let name: HeaderName = name.trim().parse().map_err(|_| malformed())?;
        headers.insert(
            name,
            HeaderValue::from_str(value.trim()).map_err(|_| malformed())?,
        );
    };
    Ok(Inner {
        id,
        method,
        uri,
        headers,
        body: Bytes::copy_from_slice(body.trim_ascii_end()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_either_line_end() {
        for end in ["\r\n", "\n"] {
            let text = [
                "PATCH /storage/v1/b/bk/o/a%20b?x=y HTTP/1.1",
                "Content-Length: 2",
                "",
                "{}",
                "",
            ]
            .join(end);
            let inner = parse("<1>".to_owned(), text.as_bytes()).expect("well-formed");
            assert_eq!(inner.method, Method::PATCH);
            assert_eq!(inner.uri.path(), "/storage/v1/b/bk/o/a%20b");
            assert_eq!(&inner.body[..], b"{}");
        }
        for bad in ["", "GET", "GET /x HTTP/1.1\nno colon\n\n"] {
            assert!(parse(String::new(), bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(
            parse(String::new(), b"DELETE /x HTTP/1.1\n")
                .expect("no headers")
                .body
                .is_empty()
        );
    }
}
