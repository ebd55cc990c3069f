//! Several calls in one request (<https://cloud.google.com/storage/docs/batch>).

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;

use super::answer;
use super::call::Call;
use super::error::Error;
use super::json;
use super::mime::{self, Parts};
use super::request_body::RequestBody;
use super::response_body::ResponseBody;
use super::target::Target;

/// The most calls in one request.
const MAX_CALLS: usize = 100;

/// The boundary of the answer. No answer contains it: none has bytes of an object.
const BOUNDARY: &str = "batch_devgcs_0123456789";

/// The content type of the answer.
const ANSWER_TYPE: &str = "multipart/mixed; boundary=batch_devgcs_0123456789";

/// A call within the request.
#[derive(Debug)]
pub(crate) struct InnerCall {
    pub(crate) id: String,
    method: Method,
    pub(crate) uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Reads the calls of `POST /batch/storage/v1`.
pub(crate) async fn read(call: &mut Call) -> Result<Vec<InnerCall>, Error> {
    let boundary = call
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| mime::boundary(kind, "multipart/mixed"))
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
    Ok(calls)
}

impl InnerCall {
    /// What it is about. Batches neither upload nor download the bytes of objects.
    pub(crate) fn target(&self) -> Result<Target, Error> {
        let target = match Target::parse(self.uri.path())? {
            Target::Batch | Target::Upload(_) | Target::Media(..) => Target::Unknown,
            target if target.is_xml() => Target::Unknown,
            target => target,
        };
        if self.uri.query().is_some_and(|query| query.contains("alt=media")) {
            return Err(Error::invalid("A batch cannot download."));
        }
        Ok(target)
    }

    /// The call, as if it had come alone to a server at `base`.
    pub(crate) fn call(self, base: &str) -> Result<Call, Error> {
        let pieces = Some(self.body).filter(|body| !body.is_empty());
        let body = RequestBody::ready(pieces.into_iter().collect());
        Call::new(self.method, self.headers, self.uri.query(), base.to_owned(), body)
    }
}

/// The answer to a batch, under construction.
#[derive(Debug, Default)]
pub(crate) struct Answers(String);

impl Answers {
    /// Adds the answer to the call with this id.
    pub(crate) async fn push(&mut self, id: &str, response: Response<ResponseBody>) -> Result<(), Error> {
        let id = id.trim_start_matches('<').trim_end_matches('>');
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        // Writing to a string cannot fail.
        let _ = write!(
            self.0,
            "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <response-{id}>\r\n\r\nHTTP/1.1 {}\r\n",
            head.status
        );
        for (name, value) in &head.headers {
            let _ = write!(self.0, "{name}: {}\r\n", value.to_str().unwrap_or_default());
        }
        let _ = write!(
            self.0,
            "Content-Length: {}\r\n\r\n{}\r\n",
            body.len(),
            String::from_utf8_lossy(&body)
        );
        Ok(())
    }

    /// All of them.
    pub(crate) fn answer(self) -> Response<ResponseBody> {
        answer::full(
            StatusCode::OK,
            ANSWER_TYPE,
            format!("{}--{BOUNDARY}--\r\n", self.0),
        )
    }
}

/// Reads the text of a request.
fn parse(id: String, text: &[u8]) -> Result<InnerCall, Error> {
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
    Ok(InnerCall {
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
