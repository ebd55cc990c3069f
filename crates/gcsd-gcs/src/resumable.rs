//! Resumable uploads: start, write, query, finish, cancel
//! (<https://cloud.google.com/storage/docs/performing-resumable-uploads>).
//!
//! The session URI is the credential of the four calls that use it. They carry no access token: a late or refused token
//! cannot hold up the data path. Like all calls they go to the endpoint, whatever host the URI names.

use bytes::Bytes;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE};
use http::{Method, Request};

use super::answer::{Answer, Answered};
use super::client::Gcs;
use super::error::{Call, Error, ErrorKind};
use super::headers::{JSON, insert_crc32c, insert_key};
use super::json::no_fields;
use super::metadata;
use super::request::{RequestBody, Target};
use super::resource::Object;
use super::session_uri::SessionUri;
use super::upload::{CancelOutcome, SessionStatus, WriteRange};
use super::upload_body::UploadBody;
use gcsd_types::digits;
use gcsd_types::{Crc32c, Destination};

const X_UPLOAD_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-upload-content-length");

impl Gcs {
    /// Starts an upload of `destination`: `POST .../o?uploadType=resumable`. The session URI is what the other four
    /// calls need. GCS checks the preconditions again when the upload finishes.
    ///
    /// With a `size`, GCS finishes the upload as soon as it has that many bytes.
    pub async fn start_upload(
        &self,
        destination: &Destination,
        size: Option<u64>,
    ) -> Result<Answered<SessionUri>, Error> {
        let started = self.start(destination, size).await;
        started.map_err(|error| error.during(Call::Start))
    }

    async fn start(
        &self,
        destination: &Destination,
        size: Option<u64>,
    ) -> Result<Answered<SessionUri>, Error> {
        no_fields(destination)?;
        let metadata = metadata::checked(destination)?;
        let mut target = Target::new("/upload/storage/v1/b/");
        target.segment(destination.bucket.as_str());
        target.literal("/o");
        target.query("uploadType", Some("resumable"));
        target.query("name", Some(destination.object.as_str()));
        target.preconditions(&destination.preconditions);
        target.query("kmsKeyName", destination.kms_key_name.as_deref());
        target.query("predefinedAcl", destination.predefined_acl.as_deref());
        target.query("userProject", self.paying(destination.user_project.as_deref()));
        let target = target.build()?;
        let mut headers = self.authorized().await?;
        if metadata.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        insert_key(&mut headers, destination.key.as_ref());
        if let Some(size) = size {
            headers.insert(X_UPLOAD_CONTENT_LENGTH, HeaderValue::from(size));
        }
        let body = RequestBody::Full(metadata.cloned().unwrap_or_default());
        let request = self.request(Method::POST, target, headers, body);
        let mut answer = self.call(Call::Start, request).await?;
        if answer.status.is_success() {
            // Whatever else is wrong with the answer: there is a session now, and this is its id.
            answer.forget_request_id_if(|_| true);
        }
        if !matches!(answer.status.as_u16(), 200 | 201) {
            return Err(answer.error(Call::Start));
        }
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| answer.unexpected("the answer has no Location"))?;
        let session = SessionUri::from_location(location, self.endpoint())
            .map_err(|error| answer.unexpected(format!("the answer's Location: {error}")))?;
        Ok(answer.saying(session.with_key(destination.key.clone())))
    }

    /// Writes a range of bytes: `PUT` with `Content-Range`. Dropping the future cuts the request.
    ///
    /// GCS answers when it has the bytes, or early: then the rest of the body is not sent. A range of no bytes is the same
    /// as [`finish`](Self::finish) if it has a total, and as [`query`](Self::query) if not. A range without a length is
    /// sent in chunks, as google-cloud-rust does it, and its end is the end of the object; GCS does not take a cut body for
    /// a complete one.
    pub async fn write(
        &self,
        session: &SessionUri,
        range: WriteRange,
        body: UploadBody,
    ) -> Result<Answered<SessionStatus>, Error> {
        let written = async {
            let content_range = content_range(&range, body.len())?;
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, content_range);
            insert_crc32c(&mut headers, range.object_crc32c);
            let body = if body.is_empty() {
                RequestBody::Full(Bytes::new())
            } else {
                RequestBody::Upload(body)
            };
            self.put(session, headers, body, Call::Write).await
        };
        written.await.map_err(|error| error.during(Call::Write))
    }

    /// Queries the status of a session: `PUT` with `Content-Range: bytes */*`. The answer is a lower bound: bytes in flight
    /// may still be persisted after it (google-cloud-cpp#9750).
    pub async fn query(&self, session: &SessionUri) -> Result<Answered<SessionStatus>, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_RANGE, HeaderValue::from_static("bytes */*"));
        self.put(session, headers, RequestBody::Full(Bytes::new()), Call::Query)
            .await
            .map_err(|error| error.during(Call::Query))
    }

    /// Finishes an upload without sending bytes: `PUT` with `Content-Range: bytes */TOTAL`. Unless exactly `total` bytes
    /// are persisted, the session stays active.
    pub async fn finish(
        &self,
        session: &SessionUri,
        total: u64,
        object_crc32c: Option<Crc32c>,
    ) -> Result<Answered<SessionStatus>, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_RANGE, ascii(format!("bytes */{total}"))?);
        insert_crc32c(&mut headers, object_crc32c);
        self.put(session, headers, RequestBody::Full(Bytes::new()), Call::Finish)
            .await
            .map_err(|error| error.during(Call::Finish))
    }

    /// Cancels an upload: `DELETE`, which GCS answers with 499.
    pub async fn cancel(&self, session: &SessionUri) -> Result<Answered<CancelOutcome>, Error> {
        let cancelled = async {
            let answer = self
                .session_call(
                    Call::Cancel,
                    session,
                    Method::DELETE,
                    HeaderMap::new(),
                    RequestBody::Full(Bytes::new()),
                )
                .await?;
            let outcome = match answer.status.as_u16() {
                499 => CancelOutcome::Cancelled,
                404 | 410 => CancelOutcome::Unknown,
                200 | 201 | 204 => match Object::parse(&answer.body) {
                    Some(object) => CancelOutcome::Finished(object),
                    // Emulators answer so. A server that says more did not understand the request.
                    None if answer.body.is_empty() => CancelOutcome::Cancelled,
                    None => {
                        return Err(
                            answer.unexpected("neither a cancelled upload nor an object that can be read")
                        );
                    }
                },
                _ => return Err(answer.error(Call::Cancel)),
            };
            Ok(answer.saying(outcome))
        };
        cancelled.await.map_err(|error: Error| error.during(Call::Cancel))
    }

    async fn put(
        &self,
        session: &SessionUri,
        headers: HeaderMap,
        body: RequestBody,
        call: Call,
    ) -> Result<Answered<SessionStatus>, Error> {
        let answer = self
            .session_call(call, session, Method::PUT, headers, body)
            .await?;
        let status = match answer.status.as_u16() {
            308 => SessionStatus::Active {
                committed: committed(&answer)?,
            },
            200 | 201 => SessionStatus::Finished(answer.object()?),
            _ => return Err(answer.error(call)),
        };
        Ok(answer.saying(status))
    }

    async fn session_call(
        &self,
        call: Call,
        session: &SessionUri,
        method: Method,
        mut headers: HeaderMap,
        body: RequestBody,
    ) -> Result<Answer, Error> {
        insert_key(&mut headers, session.key());
        let request: Request<RequestBody> = self.request(method, session.path().clone(), headers, body);
        let mut answer = self.call(call, request).await?;
        answer.forget_request_id_if(|id| session.path().as_str().contains(id));
        Ok(answer)
    }
}

/// The `Content-Range` of a write.
fn content_range(range: &WriteRange, body_len: Option<u64>) -> Result<HeaderValue, Error> {
    let invalid = |problem| Err(Error::new(ErrorKind::Invalid, problem));
    let WriteRange { offset, total, .. } = *range;
    if body_len != range.len {
        return invalid("the body is not as long as the range");
    }
    let Some(len) = range.len else {
        return ascii(format!("bytes {offset}-*/*"));
    };
    let Some(end) = offset.checked_add(len) else {
        return invalid("the range ends beyond 2^64");
    };
    if total.is_some_and(|total| total != end) {
        return invalid("the last range must end where the object does");
    }
    let total = total.map_or("*".to_owned(), |total| total.to_string());
    ascii(match len {
        0 => format!("bytes */{total}"),
        _ => format!("bytes {offset}-{}/{total}", end - 1),
    })
}

fn ascii(text: String) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(text).map_err(|_| Error::new(ErrorKind::Invalid, "not a header value"))
}

/// How many bytes are persisted according to a 308: `Range: bytes=0-LAST`.
fn committed(answer: &Answer) -> Result<Option<u64>, Error> {
    let Some(range) = answer.headers.get(RANGE) else {
        return Ok(None);
    };
    let last = range
        .to_str()
        .ok()
        .and_then(|range| {
            range
                .strip_prefix("bytes=0-")
                .or_else(|| range.strip_prefix("bytes 0-"))
        })
        .and_then(digits::<u64>)
        .and_then(|last| last.checked_add(1));
    match last {
        Some(size) => Ok(Some(size)),
        None => Err(answer.unexpected("the answer's Range is not of the form bytes=0-LAST")),
    }
}
