//! The five calls of a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::progress::{Batch, End, Intake, Phase, Plan};
use super::range::ContentRange;
use super::session::{Intent, Session};
use crate::devgcs::body::ResponseBody;
use crate::devgcs::call::Call;
use crate::devgcs::error::Error;
use crate::devgcs::inspect::CallKind;
use crate::devgcs::json;
use crate::devgcs::metadata::{Expected, Metadata};
use crate::devgcs::preconditions::{self, Access};
use crate::devgcs::resource::{Object, encode};
use crate::devgcs::service::Service;
use crate::devgcs::time::Time;
use crate::devgcs::{names, random};
use crate::types::MAX_OBJECT_SIZE;

/// `POST /upload/storage/v1/b/BUCKET/o?uploadType=resumable`: starts a session.
pub(crate) async fn start(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: &str,
) -> Result<Response<ResponseBody>, Error> {
    let resource = json::object(&mut call.body).await?;
    let name = names::object_to_insert(&call.query, &resource)?;
    let mut metadata = Metadata::default();
    metadata.merge(&resource)?;
    if metadata.content_type.is_none() {
        metadata.content_type = header(&call.headers, "x-upload-content-type").map(str::to_owned);
    }
    let declared = match header(&call.headers, "x-upload-content-length") {
        None => None,
        Some(text) => Some(
            text.parse()
                .ok()
                .filter(|size| *size <= MAX_OBJECT_SIZE)
                .ok_or_else(|| {
                    Error::invalid(format!(
                        "Invalid value '{text}' for the header X-Upload-Content-Length."
                    ))
                })?,
        ),
    };
    let mut expected = Expected::default();
    expected.merge_resource(&resource)?;
    expected.merge_headers(&call.headers)?;
    let conditions = preconditions::from_query(&call.query, false)?;
    service.want_bucket(bucket).await?;
    let live = service.live(bucket, &name)?;
    preconditions::check(&conditions, live.as_deref(), Access::Write)?;

    let id = random::secret()?;
    let location = format!(
        "{}/upload/storage/v1/b/{}/o?uploadType=resumable&name={}&upload_id={id}",
        call.base,
        encode(bucket),
        encode(&name),
    );
    let intent = Intent {
        bucket: bucket.to_owned(),
        name,
        metadata,
        expected,
        declared,
        conditions,
        created: Time::now(),
    };
    let opener = Arc::clone(service);
    service.keep.run(move || opener.open_session(&id, intent)).await?;
    let mut response = Response::new(ResponseBody::empty());
    let location = HeaderValue::from_str(&location).map_err(|_| Error::invalid("Invalid Host header."))?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// Which call a request to a session is.
pub(crate) fn classify(method: &Method, headers: &HeaderMap) -> CallKind {
    if *method == Method::DELETE {
        return CallKind::CancelUpload;
    }
    match content_range(headers) {
        Ok(ContentRange::Query) => CallKind::QueryUpload,
        Ok(ContentRange::Finish { .. }) => CallKind::FinishUpload,
        _ => CallKind::WriteUpload,
    }
}

/// Any request to the session `id`.
pub(crate) async fn call(
    service: &Arc<Service>,
    call: &mut Call,
    id: &str,
) -> Result<Response<ResponseBody>, Error> {
    let session = service.session(id)?;
    if call.method == Method::DELETE {
        return cancel(service, call, session).await;
    }
    if call.method != Method::PUT && call.method != Method::POST {
        return Err(Error::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"));
    }
    let has_length =
        call.headers.contains_key(CONTENT_LENGTH) || call.headers.contains_key(TRANSFER_ENCODING);
    if !has_length {
        return Err(Error::text(StatusCode::LENGTH_REQUIRED, "Length Required"));
    }
    match session.phase() {
        Phase::Open => {}
        ended => return answer(call, &session, ended),
    }
    let range = content_range(&call.headers)?;
    session.expect(&call.headers)?;
    let phase = match session.plan(range, call.body.length())? {
        Plan::Report => session.phase(),
        Plan::Finish { total } => finish(service, &session, total, Batch::empty(total)).await?,
        Plan::Receive(intake) => {
            session.writing.fetch_add(1, Ordering::Relaxed);
            let _counted = Counted(&session);
            receive(service, call, &session, intake).await?
        }
    };
    answer(call, &session, phase)
}

/// A request whose body is being read; one that ends in any way stops counting.
struct Counted<'a>(&'a Session);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.writing.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads the body into the session. What is dropped midway has persisted what it persisted.
async fn receive(
    service: &Arc<Service>,
    call: &mut Call,
    session: &Arc<Session>,
    mut intake: Intake,
) -> Result<Phase, Error> {
    while let Some(bytes) = call.body.next().await? {
        session.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        intake.push(bytes)?;
        if let Some(batch) = intake.take_whole() {
            let (keeper, session) = (Arc::clone(service), Arc::clone(session));
            service.keep.run(move || session.append(&keeper, batch)).await?;
        }
    }
    match intake.end()? {
        End::Report => Ok(session.phase()),
        End::Finish { total, tail } => finish(service, session, total, tail).await,
    }
}

async fn finish(
    service: &Arc<Service>,
    session: &Arc<Session>,
    total: u64,
    tail: Batch,
) -> Result<Phase, Error> {
    let (keeper, session) = (Arc::clone(service), Arc::clone(session));
    service
        .keep
        .run(move || session.finish(&keeper, total, tail))
        .await
}

async fn cancel(
    service: &Arc<Service>,
    call: &Call,
    session: Arc<Session>,
) -> Result<Response<ResponseBody>, Error> {
    let (keeper, cancelled) = (Arc::clone(service), Arc::clone(&session));
    let phase = service.keep.run(move || Ok(cancelled.cancel(&keeper))).await?;
    answer(call, &session, phase)
}

/// The answer that says where the session stands.
fn answer(call: &Call, session: &Session, phase: Phase) -> Result<Response<ResponseBody>, Error> {
    match phase {
        Phase::Ended(error) => Err(error),
        Phase::Finished(object) => Ok(finished(call, &object)),
        Phase::Open => Ok(incomplete(&call.headers, session.persisted())),
    }
}

fn finished(call: &Call, object: &Object) -> Response<ResponseBody> {
    json::response(StatusCode::OK, &object.resource(&call.base))
}

/// 308, which some HTTP stacks would follow: those ask for a 200 that says 308 in a header.
fn incomplete(headers: &HeaderMap, persisted: u64) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    if persisted > 0
        && let Ok(range) = HeaderValue::try_from(format!("bytes=0-{}", persisted - 1))
    {
        response.headers_mut().insert(RANGE, range);
    }
    if header(headers, "x-guploader-no-308").is_some_and(|value| value.eq_ignore_ascii_case("yes")) {
        let code = HeaderValue::from_static("308");
        response.headers_mut().insert("x-http-status-code-override", code);
    } else {
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    }
    response
}

fn content_range(headers: &HeaderMap) -> Result<ContentRange, Error> {
    match headers.get(CONTENT_RANGE) {
        None => Ok(ContentRange::Whole),
        Some(value) => value.to_str().ok().and_then(ContentRange::parse).ok_or_else(|| {
            Error::text(
                StatusCode::BAD_REQUEST,
                "Invalid request.  Failed to parse Content-Range header.",
            )
        }),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
