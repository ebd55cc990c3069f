//! The five calls of a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::progress::{Batch, End, Intake, Phase, Plan};
use super::range::ContentRange;
use super::session::{Intent, Session};
use crate::acl;
use crate::answer;
use crate::call::Call;
use crate::digits::digits;
use crate::encoding::percent;
use crate::encryption;
use crate::error::Error;
use crate::fields::Fields;
use crate::inspect::CallKind;
use crate::json;
use crate::metadata::{Expected, Metadata};
use crate::objects;
use crate::preconditions;
use crate::resource::Object;
use crate::response_body::ResponseBody;
use crate::service::Service;
use crate::{names, random};
use gcsd_types::MAX_OBJECT_SIZE;

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
    metadata.media_type(call.header("x-upload-content-type"))?;
    let mut expected = Expected::default();
    expected.merge_resource(&resource)?;
    expected.merge_headers(&call.headers)?;
    let path = format!(
        "/upload/storage/v1/b/{}/o?uploadType=resumable&name={}&",
        percent(bucket),
        percent(&name)
    );
    let intent = Intent {
        bucket: bucket.to_owned(),
        name,
        metadata,
        expected,
        declared: declared(call)?,
        conditions: preconditions::from_query(&call.query)?,
        created: service.now(),
        key_sha256: encryption::key(&call.headers)?,
        acl: acl::asked(call.query.get("predefinedAcl"), &resource)?,
        fields: call.query.get("fields").map(str::to_owned),
        full: call.query.get("projection") == Some("full"),
    };
    open(service, call, intent, &path, StatusCode::OK).await
}

/// The size that a start declares.
pub(crate) fn declared(call: &Call) -> Result<Option<u64>, Error> {
    let size = |text: &str| digits(text).filter(|size| *size <= MAX_OBJECT_SIZE);
    let declared = call.header("x-upload-content-length");
    declared
        .map(|text| {
            size(text).ok_or_else(|| {
                Error::invalid(format!(
                    "Invalid value '{text}' for the header X-Upload-Content-Length."
                ))
            })
        })
        .transpose()
}

/// Opens a session and answers with its URI, below `path`, which ends in `?` or `&`.
pub(crate) async fn open(
    service: &Arc<Service>,
    call: &Call,
    intent: Intent,
    path: &str,
    status: StatusCode,
) -> Result<Response<ResponseBody>, Error> {
    service.want_bucket(&intent.bucket).await?;
    let live = service.live(&intent.bucket, &intent.name)?;
    if !service.like_testbench {
        preconditions::check(&intent.conditions, live.as_deref())?;
    }
    let id = random::secret()?;
    let location = format!("{}{path}upload_id={id}", call.base);
    let location = HeaderValue::from_str(&location).map_err(|_| Error::invalid("Invalid Host header."))?;
    let named = HeaderValue::from_str(&id).map_err(|_| Error::invalid("Invalid Host header."))?;
    let shared = Arc::clone(service);
    service
        .store
        .run(move || shared.open_session(&id, intent))
        .await?;
    let mut response = answer::empty(status);
    response.headers_mut().insert(LOCATION, location);
    // Google names a start by the id of its session, which is a secret.
    response.headers_mut().insert("x-guploader-uploadid", named);
    Ok(response)
}

/// The kind of a request to a session.
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

/// Whether a request says that the object ends with it.
pub(crate) fn is_last(headers: &HeaderMap) -> bool {
    match content_range(headers) {
        Ok(ContentRange::Part { end, total, .. }) => total == Some(end),
        Ok(ContentRange::Query) | Err(_) => false,
        Ok(ContentRange::Finish { .. } | ContentRange::Rest { .. } | ContentRange::Whole) => true,
    }
}

/// Where a session stands after a request to it.
#[derive(Debug)]
pub(crate) struct Standing {
    phase: Phase,
    persisted: u64,
    fields: Option<String>,
    full: bool,
}

/// Any request to a session of the JSON API.
pub(crate) async fn call(service: &Arc<Service>, call: &mut Call) -> Result<Response<ResponseBody>, Error> {
    let standing = advance(service, call).await?;
    let (fields, full) = (standing.fields.clone(), standing.full);
    // What a start selects is selected from the object that its session becomes.
    let fields = fields
        .as_deref()
        .filter(|fields| !fields.is_empty() && !call.query.has("fields"));
    let fields = fields.map(Fields::parse).transpose()?;
    respond(call, standing, |call, object| {
        let key = encryption::key(&call.headers).ok().flatten();
        let resource = objects::resource(service, &call.base, object, key == object.key_sha256, full);
        let resource = match fields {
            Some(fields) => fields.select(resource),
            None => resource,
        };
        answer::json(StatusCode::OK, &resource)
    })
}

/// Carries out a request to a session; returns where the session stands afterwards.
pub(crate) async fn advance(service: &Arc<Service>, call: &mut Call) -> Result<Standing, Error> {
    let session = service.session(call.query.get("upload_id").unwrap_or_default())?;
    session.requests.fetch_add(1, Ordering::Relaxed);
    let phase = match call.method {
        Method::DELETE => {
            let (shared, session) = (Arc::clone(service), Arc::clone(&session));
            let cancel = move || Ok(shared.cancel_session(&session));
            service.store.run(cancel).await?
        }
        Method::PUT | Method::POST => {
            let before = session.persisted();
            let written = write(service, call, &session).await;
            let fresh = session.persisted() - before;
            if let Some(hidden) = call.injected.hide(service, fresh) {
                session.hide(hidden);
            }
            written?
        }
        _ => return Err(Error::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")),
    };
    let persisted = session.reported();
    if classify(&call.method, &call.headers) == CallKind::QueryUpload {
        session.hide(0);
    }
    Ok(Standing {
        phase,
        persisted,
        fields: session.intent.fields.clone(),
        full: session.intent.full,
    })
}

async fn write(service: &Arc<Service>, call: &mut Call, session: &Arc<Session>) -> Result<Phase, Error> {
    let has_length =
        call.headers.contains_key(CONTENT_LENGTH) || call.headers.contains_key(TRANSFER_ENCODING);
    if !has_length {
        return Err(Error::text(StatusCode::LENGTH_REQUIRED, "Length Required"));
    }
    match session.phase() {
        Phase::Open => {}
        ended => return Ok(ended),
    }
    let range = content_range(&call.headers)?;
    // GCS does not remember the key between requests. Whether a query needs it is not known.
    let key = encryption::key(&call.headers)?;
    if key != session.intent.key_sha256 && (key.is_some() || range != ContentRange::Query) {
        return Err(encryption::another_key());
    }
    session.expect(&call.headers)?;
    let plan = match session.plan(range, call.body.length()) {
        // Google's own system tests expect the same answer to every later request.
        Err(error) if error.is_too_short() => {
            let (shared, session) = (Arc::clone(service), Arc::clone(session));
            let end = move || Ok(shared.end_session(&session, error));
            return service.store.run(end).await;
        }
        plan => plan?,
    };
    match plan {
        Plan::Report => Ok(session.phase()),
        Plan::Finish { total } => finish(service, session, total, Batch::empty(total)).await,
        Plan::Receive(intake) => {
            session.hide(0);
            session.writing.fetch_add(1, Ordering::Relaxed);
            let _counted = Counted(session);
            receive(service, call, session, intake).await
        }
    }
}

/// Counts a request whose body is being read, until it is dropped.
struct Counted<'a>(&'a Session);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.writing.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads the body into the session. If it is dropped midway, what it has persisted stays.
async fn receive(
    service: &Arc<Service>,
    call: &mut Call,
    session: &Arc<Session>,
    mut intake: Intake,
) -> Result<Phase, Error> {
    let mut course = call.injected.course(session.persisted(), intake.known_end());
    course.reached(service, call, intake.start()).await?;
    while let Some(bytes) = call.body.next().await? {
        session.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        intake.push(bytes)?;
        if let Some(batch) = intake.take_whole() {
            let batch = course.keep(service, call, batch);
            let (shared, session) = (Arc::clone(service), Arc::clone(session));
            let append = move || session.append(&shared.store, batch);
            service.store.run(append).await?;
        }
        course.reached(service, call, intake.position()).await?;
    }
    course.ended(service, call).await?;
    match intake.end()? {
        End::Finish { total, tail } if course.may_finish(service, call, total) => {
            finish(service, session, total, tail).await
        }
        End::Report | End::Finish { .. } => Ok(session.phase()),
    }
}

async fn finish(
    service: &Arc<Service>,
    session: &Arc<Session>,
    total: u64,
    tail: Batch,
) -> Result<Phase, Error> {
    let (shared, session) = (Arc::clone(service), Arc::clone(session));
    let finish = move || shared.finish_session(&session, total, tail);
    service.store.run(finish).await
}

/// The answer that says where the session stands; `finished` makes the one that shows the object.
pub(crate) fn respond(
    call: &Call,
    standing: Standing,
    finished: impl FnOnce(&Call, &Object) -> Response<ResponseBody>,
) -> Result<Response<ResponseBody>, Error> {
    match standing.phase {
        Phase::Ended(error) => Err(error),
        Phase::Finished(object) => Ok(finished(call, &object)),
        Phase::Open => Ok(incomplete(call, standing.persisted)),
    }
}

/// 308. Clients whose HTTP stack would follow it ask for a 200 with the 308 in a header.
fn incomplete(call: &Call, persisted: u64) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    if persisted > 0
        && let Ok(range) = HeaderValue::try_from(format!("bytes=0-{}", persisted - 1))
    {
        response.headers_mut().insert(RANGE, range);
    }
    if call
        .header("x-guploader-no-308")
        .is_some_and(|value| value.eq_ignore_ascii_case("yes"))
    {
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
