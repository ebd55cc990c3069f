//! Which call a request is, who answers it, and what every answer carries.

use std::sync::Arc;
use std::time::Duration;

use http::header::{EXPECT, HOST, SERVER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::batch::{Answers, InnerCall};
use super::call::Call;
use super::error::Error;
use super::fields::Fields;
use super::inspect::CallKind;
use super::origin::Origin;
use super::request_body::RequestBody;
use super::response_body::ResponseBody;
use super::service::Service;
use super::target::Target;
use super::{answer, batch, buckets, faults, media, objects, random, resumable, xml};

/// How much of an unwanted body is read, and for how long, so that a client that sends all of it before
/// it reads gets its answer and keeps its connection.
const DRAIN_LIMIT: u64 = 16 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Answers a request that came over a connection.
pub(crate) async fn handle(
    service: Arc<Service>,
    origin: Origin,
    body_idle_timeout: Duration,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (head, incoming) = request.into_parts();
    let body = RequestBody::new(incoming, service.gate.subscribe(), body_idle_timeout);
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or(head.uri.authority().map(http::uri::Authority::as_str));
    let base = origin.base(host);
    let path = head.uri.path();
    let call = Call::new(head.method, head.headers, head.uri.query(), base, body);
    let (mut call, target) = match call.and_then(|call| Ok((call, Target::parse(path)?))) {
        Ok(parsed) => parsed,
        Err(error) => return decorate(answer::refusal(&error)),
    };
    if let Some(answer) = faults::serve_retry_tests(&service.faults, &mut call, path).await {
        return decorate(answer.unwrap_or_else(|error| answer::refusal(&error)));
    }
    let response = respond(&service, &mut call, path, target).await;
    finish_body(call.body, &call.headers);
    response
}

/// Answers a call.
async fn respond(
    service: &Arc<Service>,
    call: &mut Call,
    path: &str,
    target: Target,
) -> Response<ResponseBody> {
    let is_xml = target.is_xml();
    let kind = if is_xml {
        xml::classify(&target, call)
    } else {
        classify(&target, call)
    };
    let ticket = service.calls.begin(kind, &call.method, path, &call.headers);
    let result = match inject(service, call, kind).await {
        Err(error) => Err(error),
        Ok(()) if is_xml => xml::dispatch(service, call, target, kind).await,
        Ok(()) => dispatch(service, call, target, kind).await,
    };
    let response = match result.and_then(|response| project(call, response)) {
        Ok(response) => response,
        Err(error) if is_xml => xml::refusal(&error, call),
        Err(error) => answer::refusal(&error),
    };
    let response = faults::after(service, call, kind, response).await;
    let status = response.status().as_u16();
    service.calls.answered(ticket, status, call.body.received());
    tracing::debug!(method = %call.method, path, ?kind, status, "devgcs: answered");
    decorate(response)
}

/// Draws the faults of a call, and injects those that come before it.
async fn inject(service: &Arc<Service>, call: &mut Call, kind: CallKind) -> Result<(), Error> {
    call.injected = service.faults.draw(kind, &call.headers)?;
    faults::before(service, call).await
}

fn classify(target: &Target, call: &Call) -> CallKind {
    let wants_media = call.query.get("alt") == Some("media");
    match (target, &call.method) {
        (Target::Buckets, &Method::POST) => CallKind::InsertBucket,
        (Target::Buckets, &Method::GET) => CallKind::ListBuckets,
        (Target::Bucket(_), &Method::GET) => CallKind::GetBucket,
        (Target::Bucket(_), &Method::PATCH | &Method::PUT) => CallKind::PatchBucket,
        (Target::Bucket(_), &Method::DELETE) => CallKind::DeleteBucket,
        (Target::Objects(_), &Method::GET) => CallKind::ListObjects,
        (Target::Object(..), &Method::GET) if wants_media => CallKind::ReadObject,
        (Target::Object(..), &Method::GET) => CallKind::GetObject,
        (Target::Object(..), &Method::PATCH) => CallKind::PatchObject,
        (Target::Object(..), &Method::PUT) => CallKind::UpdateObject,
        (Target::Object(..), &Method::DELETE) => CallKind::DeleteObject,
        (Target::Media(..), &Method::GET) => CallKind::ReadObject,
        (Target::Compose(..), &Method::POST) => CallKind::ComposeObject,
        (Target::Rewrite(_), &Method::POST) => CallKind::RewriteObject,
        (Target::Copy(_), &Method::POST) => CallKind::CopyObject,
        (Target::Move(_), &Method::POST) => CallKind::MoveObject,
        (Target::Upload(_), method) if call.query.has("upload_id") => {
            resumable::classify(method, &call.headers)
        }
        (Target::Upload(_), &Method::POST) if call.query.get("uploadType") == Some("resumable") => {
            CallKind::StartUpload
        }
        (Target::Upload(_), &Method::POST) => CallKind::InsertObject,
        (Target::Batch, &Method::POST) => CallKind::Batch,
        _ => CallKind::Unknown,
    }
}

async fn dispatch(
    service: &Arc<Service>,
    call: &mut Call,
    target: Target,
    kind: CallKind,
) -> Result<Response<ResponseBody>, Error> {
    match (target, kind) {
        (Target::Unknown, _) => Err(Error::new(StatusCode::NOT_FOUND, "notFound", "Not Found")),
        (_, CallKind::Unknown) => Err(Error::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "methodNotAllowed",
            "Method Not Allowed",
        )),
        (Target::Buckets, CallKind::InsertBucket) => buckets::insert(service, call).await,
        (Target::Buckets, _) => buckets::list(service, call),
        (Target::Bucket(bucket), CallKind::GetBucket) => buckets::get(service, call, &bucket),
        (Target::Bucket(bucket), CallKind::DeleteBucket) => buckets::delete(service, call, bucket).await,
        (Target::Bucket(bucket), _) => buckets::change(service, call, bucket).await,
        (Target::Objects(bucket), _) => objects::list(service, call, &bucket),
        (Target::Media(bucket, name), _) | (Target::Object(bucket, name), CallKind::ReadObject) => {
            media::read(service, call, &bucket, &name)
        }
        (Target::Object(bucket, name), CallKind::PatchObject) => {
            objects::patch(service, call, bucket, name).await
        }
        (Target::Object(bucket, name), CallKind::UpdateObject) => {
            objects::update(service, call, bucket, name).await
        }
        (Target::Object(bucket, name), CallKind::DeleteObject) => {
            objects::delete(service, call, bucket, name).await
        }
        (Target::Object(bucket, name), _) => objects::get(service, call, &bucket, &name),
        (Target::Compose(bucket, name), _) => objects::compose(service, call, bucket, name).await,
        (Target::Rewrite(route), _) => objects::rewrite(service, call, route).await,
        (Target::Copy(route), _) => objects::copy(service, call, route).await,
        (Target::Move(route), _) => objects::move_within(service, call, route).await,
        (Target::Upload(bucket), CallKind::StartUpload) => resumable::start(service, call, &bucket).await,
        (Target::Upload(bucket), CallKind::InsertObject) => objects::insert(service, call, &bucket).await,
        (Target::Upload(_), _) => resumable::call(service, call).await,
        (Target::Batch, _) => {
            let mut answers = Answers::default();
            for inner in batch::read(call).await? {
                let (id, base) = (inner.id.clone(), &call.base);
                answers
                    .push(&id, respond_to_inner(service, inner, base).await)
                    .await?;
            }
            Ok(answers.answer())
        }
        (Target::XmlService | Target::XmlBucket(_) | Target::XmlObject(..), kind) => {
            Err(Error::invalid(format!("{kind:?} is of the XML API.")))
        }
    }
}

/// Answers a call of a batch.
async fn respond_to_inner(service: &Arc<Service>, inner: InnerCall, base: &str) -> Response<ResponseBody> {
    let path = inner.uri.path().to_owned();
    let parsed = inner.target().and_then(|target| Ok((target, inner.call(base)?)));
    match parsed {
        // A recursive future has to be boxed.
        Ok((target, mut call)) => Box::pin(respond(service, &mut call, &path, target)).await,
        Err(error) => answer::refusal(&error),
    }
}

/// Keeps what `fields` asks for.
fn project(call: &Call, mut response: Response<ResponseBody>) -> Result<Response<ResponseBody>, Error> {
    if let Some(fields) = call.query.get("fields").filter(|fields| !fields.is_empty())
        && response.status() == StatusCode::OK
        && let ResponseBody::Full(Some(body)) = response.body_mut()
        && let Ok(value) = serde_json::from_slice(body)
    {
        return Ok(answer::json(
            StatusCode::OK,
            &Fields::parse(fields)?.select(value),
        ));
    }
    Ok(response)
}

/// Reads the rest of a body that was answered early, concurrently with the answer.
fn finish_body(mut body: RequestBody, headers: &HeaderMap) {
    // Reading would ask the client for a body that it has offered not to send.
    let offered = headers.contains_key(EXPECT) && body.received() == 0;
    if body.is_ended() || offered {
        return;
    }
    tokio::spawn(async move {
        let limit = body.received() + DRAIN_LIMIT;
        let drain = async { while body.received() < limit && matches!(body.next().await, Ok(Some(_))) {} };
        // The rest is cut off with the connection.
        let _ = tokio::time::timeout(DRAIN_TIME, drain).await;
    });
}

fn decorate(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    let id = random::hex_id()
        .ok()
        .and_then(|id| HeaderValue::from_str(&id).ok());
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("UploadServer"));
    headers.insert(
        "x-guploader-uploadid",
        id.unwrap_or(HeaderValue::from_static("devgcs")),
    );
    response
}
