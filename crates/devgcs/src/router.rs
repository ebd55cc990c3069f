//! Which call a request is, who answers it, and what every answer carries.

use std::sync::Arc;
use std::time::Duration;

use http::header::{EXPECT, HOST, SERVER};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::batch::{Answers, InnerCall};
use super::call::Call;
use super::error::Error;
use super::fields::Fields;
use super::inspect::CallKind;
use super::operation::Operation;
use super::origin::{self, Origin};
use super::request_body::RequestBody;
use super::response_body::ResponseBody;
use super::service::Service;
use super::target::Target;
use super::{acl, answer, batch, bucket, clock, faults, media, objects, projects, random, resumable, xml};

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
    let path = origin::with_bucket(host, head.uri.path());
    let path = path.as_ref();
    let call = Call::new(head.method, head.headers, head.uri.query(), base, body);
    let (mut call, target) = match call.and_then(|call| Ok((call, Target::parse(path)?))) {
        Ok(parsed) => parsed,
        Err(error) => return decorate(answer::refusal(&error)),
    };
    if let Some(answer) = of_the_server(&service, &mut call, path).await {
        return decorate(answer.unwrap_or_else(|error| answer::refusal(&error)));
    }
    if let Some(answer) = faults::serve_retry_tests(&service.faults, &mut call, path).await {
        return decorate(answer.unwrap_or_else(|error| answer::refusal(&error)));
    }
    let response = respond(&service, &mut call, path, target).await;
    finish_body(call.body, &call.headers);
    response
}

/// Answers what is about this server and not about Cloud Storage.
async fn of_the_server(
    service: &Service,
    call: &mut Call,
    path: &str,
) -> Option<Result<Response<ResponseBody>, Error>> {
    match path {
        "/devgcs/clock" => Some(clock::serve(service, call).await),
        "/devgcs/health" | "/_internal/healthcheck" => Some(Ok(answer::empty(StatusCode::OK))),
        _ => None,
    }
}

/// Answers a call.
async fn respond(
    service: &Arc<Service>,
    call: &mut Call,
    path: &str,
    target: Target,
) -> Response<ResponseBody> {
    let is_xml = target.is_xml();
    let translated = match is_xml {
        true => xml::check_expiry(&call.query, service.now()).and_then(|()| xml::translate(call)),
        false => Ok(()),
    };
    let operation = if is_xml {
        Operation::of_xml(xml::classify(&target, call))
    } else {
        Operation::of(&target, call)
    };
    let kind = operation.kind;
    let ticket = service.calls.begin(kind, &call.method, path, &call.headers);
    let admitted = translated.and_then(|()| match is_xml {
        true => xml::admit(&target, call, kind),
        false => operation.admit(call, path),
    });
    let injected = match admitted {
        Ok(()) => inject(service, call, operation).await,
        Err(error) => Err(error),
    };
    let result = match injected {
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
async fn inject(service: &Arc<Service>, call: &mut Call, operation: Operation) -> Result<(), Error> {
    call.injected = service.faults.draw(operation, &call.headers)?;
    faults::before(service, call).await
}

async fn dispatch(
    service: &Arc<Service>,
    call: &mut Call,
    target: Target,
    kind: CallKind,
) -> Result<Response<ResponseBody>, Error> {
    match (target, kind) {
        (Target::Unknown, _) | (_, CallKind::Unknown) => Err(Error::not_implemented("such a request")),
        (Target::Buckets, CallKind::InsertBucket) => bucket::insert(service, call).await,
        (Target::Buckets, _) => bucket::list(service, call),
        (Target::Bucket(bucket), CallKind::GetBucket) => bucket::get(service, call, &bucket),
        (Target::Bucket(bucket), CallKind::DeleteBucket) => bucket::delete(service, call, bucket).await,
        (Target::Bucket(bucket), _) => bucket::change(service, call, bucket).await,
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
        (Target::Restore(bucket, name), _) => objects::restore(service, call, bucket, name).await,
        (Target::Acl(list, entity), _) => acl::call(service, call, list, entity).await,
        (Target::Iam(bucket), _) => bucket::policy(service, call, bucket, None).await,
        (Target::TestIam(bucket), _) => bucket::test_permissions(service, call, &bucket, None),
        (Target::ManagedFolderIam(bucket, folder), _) => {
            bucket::policy(service, call, bucket, Some(folder)).await
        }
        (Target::TestManagedFolderIam(bucket, folder), _) => {
            bucket::test_permissions(service, call, &bucket, Some(&folder))
        }
        (Target::LockRetention(bucket), _) => bucket::lock_retention(service, call, bucket).await,
        (Target::StorageLayout(bucket), _) => bucket::layout(service, &bucket),
        (Target::Notifications(bucket, id), _) => bucket::notifications(service, call, bucket, id).await,
        (Target::Folders(bucket, name), _) => {
            bucket::folders(service, call, bucket::FolderKind::Plain, bucket, name).await
        }
        (Target::ManagedFolders(bucket, name), _) => {
            bucket::folders(service, call, bucket::FolderKind::Managed, bucket, name).await
        }
        (Target::RenameFolder(route), _) => bucket::rename_folder(service, call, route).await,
        (Target::HmacKeys(project, access), _) => {
            projects::hmac_keys(service, call, &project, access.as_deref()).await
        }
        (Target::ServiceAccount(_), _) => Ok(projects::service_account()),
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
    headers
        .entry("x-guploader-uploadid")
        .or_insert(id.unwrap_or(HeaderValue::from_static("devgcs")));
    response
}
