//! Reading GCS's answers, whole and bounded.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::auth::Unauthorized;
use super::error::{Call, Error, ErrorKind};
use super::error_body::ErrorBody;
use super::exchange::Exchange;
use super::one_line::{MAX_MESSAGE, one_line};
use super::reason::meaning;
use super::resource::Object;
use gcsd_types::digits;

/// The largest resource that is read: metadata is at most 8 KiB, but ACLs add up.
const MAX_RESOURCE: usize = 4 << 20;
/// How much of an error's body is read: the start says what matters.
const MAX_ERROR: usize = 64 << 10;

/// What an answer of GCS says, and GCS's name for the request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answered<T> {
    /// What it says.
    pub answer: T,
    /// Its HTTP status.
    pub http_status: u16,
    /// The value of `X-GUploader-UploadID`, for Google's support.
    pub request_id: Option<String>,
    /// When GCS answered, by its own clock (`Date`), in seconds since 1970.
    pub date: Option<u64>,
}

impl<T> Answered<T> {
    /// The same answer with its content converted.
    pub fn map<U>(self, put: impl FnOnce(T) -> U) -> Answered<U> {
        Answered {
            answer: put(self.answer),
            http_status: self.http_status,
            request_id: self.request_id,
            date: self.date,
        }
    }
}

/// A response that has been read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What a 401 means.
    unauthorized: Option<Unauthorized>,
}

impl Answer {
    /// Reads the body of `response`: that of a success must fit, that of an error is cut. All of it must arrive within
    /// the stall timeout, so that a trickle cannot hang the call.
    pub(super) async fn read(response: Response<Incoming>, exchange: Exchange) -> Result<Self, Error> {
        let (parts, incoming) = response.into_parts();
        let limit = if parts.status.is_success() {
            MAX_RESOURCE
        } else {
            MAX_ERROR
        };
        let patience = exchange.patience();
        let mut answer = Self {
            status: parts.status,
            headers: parts.headers,
            body: Bytes::new(),
            unauthorized: parts.extensions.get().copied(),
        };
        let (body, whole) = timeout(patience, collect(incoming, exchange, limit))
            .await
            .unwrap_or_else(|_| {
                let problem = format!("GCS did not complete its answer within {patience:?}");
                Err(Error::new(ErrorKind::GcsStalled, problem).sent(true))
            })?;
        if answer.status.is_success() && !whole {
            return Err(answer.unexpected(format!("the answer is longer than {limit} bytes")));
        }
        answer.body = body;
        Ok(answer)
    }

    pub(super) fn request_id(&self) -> Option<String> {
        request_id(&self.headers)
    }

    /// Forgets the request's id, which goes to logs and clients, if it `is_secret`: for a request on a session, or one that
    /// starts it, GCS gives the session's own id, and anyone who has that can write the object.
    pub(super) fn forget_request_id_if(&mut self, is_secret: impl FnOnce(&str) -> bool) {
        if self.request_id().is_some_and(|id| is_secret(&id)) {
            self.headers.remove(REQUEST_ID);
        }
    }

    /// The object resource in this answer.
    pub(super) fn object(&self) -> Result<Object, Error> {
        Object::parse(&self.body)
            .ok_or_else(|| self.unexpected("the answer holds no object resource that can be read"))
    }

    /// This answer, found to say `answer`.
    pub(super) fn saying<T>(&self, answer: T) -> Answered<T> {
        Answered {
            answer,
            http_status: self.status.as_u16(),
            request_id: self.request_id(),
            date: date(&self.headers),
        }
    }

    /// The error for an answer that the call does not have.
    pub(super) fn unexpected(&self, problem: impl AsRef<str>) -> Error {
        Error::new(ErrorKind::BadResponse, problem)
            .sent(true)
            .status(self.status.as_u16())
            .with_request_id(self.request_id())
    }

    /// The error that this answer reports. A success that the call does not have is none of GCS's answers.
    pub(super) fn error(&self, call: Call) -> Error {
        let status = self.status.as_u16();
        if self.status.is_success() {
            return self.unexpected(format!("{status} is no answer of GCS's to this call"));
        }
        let mut said = ErrorBody::read(&self.headers, &self.body);
        let text = said.message.as_deref().unwrap_or_default();
        let (meaning, named) = meaning(status, &said.reasons, text);
        let on_session = matches!(call, Call::Write | Call::Query | Call::Finish | Call::Cancel);
        let kind = match status {
            404 | 410 if on_session => ErrorKind::SessionLost,
            499 if on_session => ErrorKind::SessionCancelled,
            503 if on_session && said.is_gap => ErrorKind::Gap,
            400 if (on_session || matches!(call, Call::Put | Call::UploadPart))
                && said.is_checksum_mismatch() =>
            {
                ErrorKind::ChecksumMismatch
            }
            _ => ErrorKind::Http,
        };
        let message = match (&said.message, self.headers.contains_key(LOCATION)) {
            (Some(message), _) => format!("GCS answered {status}: {message}"),
            (None, true) => format!("GCS answered {status}: a redirection, which is not followed"),
            (None, false) => {
                let reason = self.status.canonical_reason().unwrap_or("no reason given");
                format!("GCS answered {status}: {reason}")
            }
        };
        let unauthorized = self.unauthorized.filter(|_| meaning.status == 401);
        let hint = meaning.hint.or(unauthorized.map(Unauthorized::hint));
        let (fresh_token, wait) = match unauthorized {
            Some(Unauthorized::Again(wait)) => (true, Some(wait)),
            _ => (false, None),
        };
        let reason = match named {
            Some(named) if named < said.reasons.len() => Some(said.reasons.swap_remove(named)),
            _ => said.reasons.into_iter().next(),
        };
        Error::new(kind, with_hint(&message, hint))
            .sent(true)
            .status(status)
            .meaning(meaning.status)
            .with_fresh_token(fresh_token)
            .after(retry_after(&self.headers).max(wait))
            .with_reason(reason)
            .with_request_id(self.request_id())
    }
}

/// `message` and what to do, of which a long message leaves room for the latter.
pub(super) fn with_hint(message: &str, hint: Option<&str>) -> String {
    let Some(hint) = hint else {
        return message.to_owned();
    };
    let message = one_line(message, MAX_MESSAGE.saturating_sub(hint.len() + 3));
    format!("{message} ({hint})")
}

/// The first `limit` bytes of a body, and whether that is all of it. If not, the rest stays unread and the connection
/// is closed.
async fn collect(mut body: Incoming, mut exchange: Exchange, limit: usize) -> Result<(Bytes, bool), Error> {
    let mut chunks = Chunks::default();
    while let Some(chunk) = exchange.chunk(&mut body).await? {
        chunks.push(chunk);
        if chunks.len() > limit {
            return Ok((chunks.join().split_to(limit), false));
        }
    }
    exchange.finish().await;
    Ok((chunks.join(), true))
}

/// The chunks of a body. A single one is not copied.
#[derive(Default)]
struct Chunks {
    first: Bytes,
    rest: BytesMut,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes) {
        if self.first.is_empty() {
            self.first = chunk;
            return;
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&self.first);
        }
        self.rest.extend_from_slice(&chunk);
    }

    fn len(&self) -> usize {
        self.first.len().max(self.rest.len())
    }

    fn join(self) -> Bytes {
        if self.rest.is_empty() {
            self.first
        } else {
            self.rest.freeze()
        }
    }
}

/// Names a request for Google's support.
const REQUEST_ID: &str = "x-guploader-uploadid";

/// The value of `X-GUploader-UploadID`.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    Some(one_line(id, 256))
}

/// When the answer was given: `Date` (RFC 9110, section 6.6.1).
fn date(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    u64::try_from(date.as_second()).ok()
}

/// `Retry-After` as seconds or as a date (RFC 9110, section 10.2.3), at most a day.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(86_400);
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = match digits(text) {
        Some(seconds) => Duration::from_secs(seconds),
        None => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(date.duration_since(jiff::Timestamp::now())).unwrap_or_default()
        }
    };
    Some(delay.min(DAY))
}

#[cfg(test)]
mod tests {
    use super::super::error::Recovery;
    use super::*;
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    fn answer(status: u16, kind: &'static str, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert("x-guploader-uploadid", HeaderValue::from_static("id-1"));
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers,
            body: Bytes::from_static(body.as_bytes()),
            unauthorized: None,
        }
    }

    #[test]
    fn errors_are_told_apart() {
        let json = r#"{"error":{"code":412,"message":"At least one\nof the pre-conditions",
            "errors":[{"message":"m","domain":"global","reason":"conditionNotMet"}]}}"#;
        let error = answer(412, "application/json; charset=UTF-8", json).error(Call::Write);
        assert_eq!(error.kind(), ErrorKind::Http);
        assert_eq!(error.reason(), Some("conditionNotMet"));
        assert_eq!(
            error.message(),
            "GCS answered 412: At least one of the pre-conditions"
        );
        assert_eq!(error.request_id(), Some("id-1"));
        assert!(error.request_sent());

        let xml = "<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>Not &apos;here&apos;.</Message></Error>";
        let error = answer(404, "application/xml", xml).error(Call::Read);
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Http, Some("NoSuchKey"))
        );
        assert_eq!(error.message(), "GCS answered 404: Not 'here'.");

        let gap = "Invalid request.  According to the Content-Range header, the upload offset is 524288 byte(s), \
                   which exceeds already uploaded size of 262144 byte(s).";
        let error = answer(503, "text/plain; charset=utf-8", gap).error(Call::Write);
        assert_eq!(error.kind(), ErrorKind::Gap);
        assert_eq!(
            answer(503, "text/plain", "busy").error(Call::Write).kind(),
            ErrorKind::Http
        );

        let crc =
            r#"{"error":{"message":"Provided CRC32C \"AAAA\" doesn't match calculated CRC32C \"BBBB\"."}}"#;
        let error = answer(400, "application/json", crc).error(Call::Finish);
        assert_eq!(error.kind(), ErrorKind::ChecksumMismatch);

        assert_eq!(
            answer(410, "text/plain", "").error(Call::Query).kind(),
            ErrorKind::SessionLost
        );
        assert_eq!(
            answer(404, "text/plain", "").error(Call::Start).kind(),
            ErrorKind::Http
        );
        assert_eq!(
            answer(499, "text/plain", "").error(Call::Write).kind(),
            ErrorKind::SessionCancelled
        );
        for status in [202, 204, 206] {
            for call in [Call::Put, Call::Write, Call::Delete] {
                let error = answer(status, "", "").error(call).during(call);
                assert_eq!(error.kind(), ErrorKind::BadResponse, "{status} {call:?}");
                assert_eq!(error.recovery(), Recovery::Query, "{status} {call:?}");
            }
        }
        let error = answer(502, "text/html", "<html>Bad gateway</html>").error(Call::Read);
        assert_eq!(error.message(), "GCS answered 502: Bad Gateway");
    }

    #[test]
    fn the_most_telling_reason_is_named_and_the_hint_follows_the_message() {
        let json = r#"{"error":{"code":403,"message":"Billing is off.","status":"PERMISSION_DENIED",
            "errors":[{"message":"m","domain":"global","reason":"forbidden"}],
            "details":[{"@type":"type.googleapis.com/google.rpc.Help","links":[],"reason":{"not":"a word"}},
                {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"BILLING_DISABLED","domain":"googleapis.com"}]}}"#;
        let error = answer(403, "application/json", json).error(Call::Start);
        assert_eq!(error.reason(), Some("BILLING_DISABLED"));
        assert!(
            error
                .message()
                .starts_with("GCS answered 403: Billing is off. (the project is suspended or"),
            "{error}"
        );
        for (kind, body) in [
            (
                "application/xml",
                "<Error><Code>SlowDown</Code><Message>Slow down.</Message></Error>",
            ),
            ("text/plain", "Rate Limit Exceeded"),
            (
                "application/json",
                r#"{"error":{"errors":[{"domain":"usageLimits","reason":"rateLimitExceeded"}]}}"#,
            ),
        ] {
            let error = answer(403, kind, body).error(Call::Write).during(Call::Write);
            assert_eq!(
                (error.http_status(), error.meant_status()),
                (Some(403), Some(429)),
                "{body}"
            );
            assert_eq!(error.recovery(), Recovery::Query, "{body}");
        }
        let digest = "<Error><Code>BadDigest</Code><Message>It differs.</Message></Error>";
        let error = answer(400, "application/xml", digest).error(Call::UploadPart);
        assert_eq!(error.kind(), ErrorKind::ChecksumMismatch);
    }

    #[test]
    fn an_error_cannot_quote_a_session() {
        let text = "Not found: /upload/storage/v1/b/b/o?uploadType=resumable&upload_id=SECRET";
        let error = answer(404, "text/plain", text).error(Call::Query);
        assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).expect("a value"));
            retry_after(&headers)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("99999999999"), Some(Duration::from_secs(86_400)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(
            after("Fri, 06 Nov 2893 08:49:37 GMT"),
            Some(Duration::from_secs(86_400))
        );
        assert_eq!(after("soon"), None);
    }
}
