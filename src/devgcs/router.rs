//! Which call a request is, and what every answer carries.

use std::sync::Arc;
use std::time::Duration;

use http::header::{EXPECT, HOST, SERVER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use super::body::{RequestBody, ResponseBody};
use super::call::Call;
use super::error::Error;
use super::inspect::CallKind;
use super::query::Query;
use super::service::Service;
use super::{buckets, media, objects, random, resumable};

/// Of a body that nobody wants, this much is read, for this long: so a client that sends it all before
/// it reads gets its answer and keeps its connection.
const DRAIN_LIMIT: u64 = 16 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// What a path names, decoded.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Buckets,
    Bucket(String),
    Object {
        bucket: String,
        name: String,
    },
    /// `/download/...`: always the bytes.
    Media {
        bucket: String,
        name: String,
    },
    Upload {
        bucket: String,
    },
    Unknown,
}

/// Answers a request.
pub(crate) async fn handle(
    service: Arc<Service>,
    scheme: &str,
    body_idle: Duration,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (head, incoming) = request.into_parts();
    let body = RequestBody::new(incoming, service.gate.subscribe(), body_idle);
    let host = head
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or(head.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("localhost");
    let base = format!("{scheme}://{host}");
    let parsed =
        Query::parse(head.uri.query().unwrap_or("")).and_then(|query| Ok((query, target(head.uri.path())?)));
    let (query, target, refusal) = match parsed {
        Ok((query, target)) => (query, target, None),
        Err(error) => (Query::default(), Target::Unknown, Some(error)),
    };
    let mut call = Call {
        method: head.method,
        headers: head.headers,
        query,
        base,
        body,
    };
    let kind = classify(&target, &call);
    let ticket = service
        .calls
        .begin(kind, &call.method, head.uri.path(), &call.headers);
    let result = match refusal {
        Some(error) => Err(error),
        None => dispatch(&service, &mut call, target, kind).await,
    };
    let mut response = result.unwrap_or_else(|error| error.response());
    let status = response.status().as_u16();
    service.calls.answered(ticket, status, call.body.received());
    tracing::debug!(method = %call.method, path = head.uri.path(), ?kind, status, "devgcs: answered");
    finish_body(call.body, &call.headers);
    decorate(response.headers_mut());
    response
}

async fn dispatch(
    service: &Arc<Service>,
    call: &mut Call,
    target: Target,
    kind: CallKind,
) -> Result<Response<ResponseBody>, Error> {
    match (kind, target) {
        (CallKind::InsertBucket, _) => buckets::insert(service, call).await,
        (CallKind::ListBuckets, _) => buckets::list(service, call),
        (CallKind::GetBucket, Target::Bucket(bucket)) => buckets::get(service, call, &bucket),
        (CallKind::DeleteBucket, Target::Bucket(bucket)) => buckets::delete(service, call, bucket).await,
        (CallKind::GetObject, Target::Object { bucket, name }) => objects::get(service, call, &bucket, &name),
        (CallKind::ReadObject, Target::Object { bucket, name } | Target::Media { bucket, name }) => {
            media::read(service, call, &bucket, &name)
        }
        (CallKind::StartUpload, Target::Upload { bucket }) => resumable::start(service, call, &bucket).await,
        (
            CallKind::WriteUpload | CallKind::QueryUpload | CallKind::FinishUpload | CallKind::CancelUpload,
            Target::Upload { .. },
        ) => {
            let id = call.query.get("upload_id").unwrap_or_default().to_owned();
            resumable::call(service, call, &id).await
        }
        (_, Target::Unknown) => Err(Error::new(StatusCode::NOT_FOUND, "notFound", "Not Found")),
        _ => Err(Error::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "methodNotAllowed",
            "Method Not Allowed",
        )),
    }
}

fn classify(target: &Target, call: &Call) -> CallKind {
    let wants_media = call.query.get("alt") == Some("media");
    match (target, &call.method) {
        (Target::Buckets, &Method::POST) => CallKind::InsertBucket,
        (Target::Buckets, &Method::GET) => CallKind::ListBuckets,
        (Target::Bucket(_), &Method::GET) => CallKind::GetBucket,
        (Target::Bucket(_), &Method::DELETE) => CallKind::DeleteBucket,
        (Target::Object { .. }, &Method::GET) if wants_media => CallKind::ReadObject,
        (Target::Object { .. }, &Method::GET) => CallKind::GetObject,
        (Target::Media { .. }, &Method::GET) => CallKind::ReadObject,
        (Target::Upload { .. }, method) if call.query.get("upload_id").is_some() => {
            resumable::classify(method, &call.headers)
        }
        (Target::Upload { .. }, &Method::POST) if call.query.get("uploadType") == Some("resumable") => {
            CallKind::StartUpload
        }
        _ => CallKind::Unknown,
    }
}

fn target(path: &str) -> Result<Target, Error> {
    let segment = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .map(String::from)
            .map_err(|_| Error::invalid("The path is not UTF-8."))
    };
    let path = path.strip_prefix("/resumable").unwrap_or(path);
    let (root, rest) = if let Some(rest) = path.strip_prefix("/upload/storage/v1/") {
        ("upload", rest)
    } else if let Some(rest) = path.strip_prefix("/download/storage/v1/") {
        ("download", rest)
    } else if let Some(rest) = path.strip_prefix("/storage/v1/") {
        ("", rest)
    } else {
        return Ok(Target::Unknown);
    };
    let segments: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
    Ok(match (root, segments.as_slice()) {
        ("", ["b"]) => Target::Buckets,
        ("", ["b", bucket]) => Target::Bucket(segment(bucket)?),
        ("", ["b", bucket, "o", name]) => Target::Object {
            bucket: segment(bucket)?,
            name: segment(name)?,
        },
        ("download", ["b", bucket, "o", name]) => Target::Media {
            bucket: segment(bucket)?,
            name: segment(name)?,
        },
        ("upload", ["b", bucket, "o"]) => Target::Upload {
            bucket: segment(bucket)?,
        },
        _ => Target::Unknown,
    })
}

/// Reads on in a body that was answered early, beside the answer.
fn finish_body(mut body: RequestBody, headers: &HeaderMap) {
    // Reading would ask a client for the body that it offers to leave away.
    let offered = headers.contains_key(EXPECT) && body.received() == 0;
    if body.is_ended() || offered {
        return;
    }
    tokio::spawn(async move {
        let limit = body.received() + DRAIN_LIMIT;
        let drain = async { while body.received() < limit && matches!(body.next().await, Ok(Some(_))) {} };
        // What is left after that is cut off with the connection.
        let _ = tokio::time::timeout(DRAIN_TIME, drain).await;
    });
}

fn decorate(headers: &mut HeaderMap) {
    headers.insert(SERVER, HeaderValue::from_static("UploadServer"));
    let id = random::hex_id()
        .ok()
        .and_then(|id| HeaderValue::from_str(&id).ok());
    headers.insert(
        "x-guploader-uploadid",
        id.unwrap_or(HeaderValue::from_static("devgcs")),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_what_they_name() {
        let object = |bucket: &str, name: &str| Target::Object {
            bucket: bucket.to_owned(),
            name: name.to_owned(),
        };
        for (path, wanted) in [
            ("/storage/v1/b", Target::Buckets),
            ("/storage/v1/b/", Target::Buckets),
            ("/storage/v1/b/bk", Target::Bucket("bk".to_owned())),
            ("/storage/v1/b/bk/o/a%2Fb%23c", object("bk", "a/b#c")),
            ("/storage/v1/b/bk/o/a/b", Target::Unknown),
            ("/storage/v2/b", Target::Unknown),
            ("/", Target::Unknown),
        ] {
            assert_eq!(target(path).expect("UTF-8"), wanted, "{path}");
        }
        assert!(target("/storage/v1/b/bk/o/%ff").is_err());
    }
}
