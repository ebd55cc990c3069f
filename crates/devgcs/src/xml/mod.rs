//! The XML API (<https://cloud.google.com/storage/docs/xml-api/overview>), addressed by path.

mod access;
mod admit;
mod bucket;
mod configuration;
mod element;
mod leaves;
mod multipart;
mod object;
mod several;
mod signed_url;
mod tree;

use std::sync::Arc;

use http::{Method, Response};

use super::answer;
use super::call::Call;
use super::error::Error;
use super::inspect::CallKind;
use super::response_body::ResponseBody;
use super::resumable;
use super::service::Service;
use super::target::Target;
pub(crate) use admit::{admit, translate};
use element::Element;
pub(crate) use signed_url::check_expiry;

/// Which call a request is.
pub(crate) fn classify(target: &Target, call: &Call) -> CallKind {
    let query = &call.query;
    let takes_list = matches!(call.method, Method::GET | Method::PUT);
    match (target, &call.method) {
        (Target::XmlBucket(_) | Target::XmlObject(..), _) if takes_list && query.has("acl") => {
            CallKind::AccessControl
        }
        (Target::XmlBucket(_), method) if configuration::is_about(method, query) => {
            CallKind::BucketConfiguration
        }
        (Target::XmlBucket(_), &Method::POST) if query.has("delete") => CallKind::DeleteObjects,
        (Target::XmlObject(..), &Method::PUT) if query.has("compose") => CallKind::ComposeObject,
        (Target::XmlService, &Method::GET) => CallKind::ListBuckets,
        (Target::XmlBucket(_), &Method::GET) if query.has("uploads") => CallKind::ListMultiparts,
        (Target::XmlBucket(_), &Method::GET) if bucket::is_configuration(query) => CallKind::GetBucket,
        (Target::XmlBucket(_), &Method::GET) => CallKind::ListObjects,
        (Target::XmlBucket(_), &Method::HEAD) => CallKind::GetBucket,
        (Target::XmlBucket(_), &Method::PUT) => CallKind::InsertBucket,
        (Target::XmlBucket(_), &Method::DELETE) => CallKind::DeleteBucket,
        (Target::XmlObject(..), method) if query.has("upload_id") => {
            resumable::classify(method, &call.headers)
        }
        (Target::XmlObject(..), &Method::POST) if call.header("x-goog-resumable") == Some("start") => {
            CallKind::StartUpload
        }
        (Target::XmlObject(..), &Method::POST) if query.has("uploads") => CallKind::StartMultipart,
        (Target::XmlObject(..), &Method::POST) if query.has("uploadId") => CallKind::CompleteMultipart,
        (Target::XmlObject(..), &Method::PUT) if query.has("uploadId") => CallKind::UploadPart,
        (Target::XmlObject(..), &Method::GET) if query.has("uploadId") => CallKind::ListParts,
        (Target::XmlObject(..), &Method::DELETE) if query.has("uploadId") => CallKind::AbortMultipart,
        (Target::XmlObject(..), &Method::PUT) if call.headers.contains_key("x-goog-copy-source") => {
            CallKind::CopyObject
        }
        (Target::XmlObject(..), &Method::PUT) => CallKind::InsertObject,
        (Target::XmlObject(..), &Method::GET) => CallKind::ReadObject,
        (Target::XmlObject(..), &Method::HEAD) => CallKind::GetObject,
        (Target::XmlObject(..), &Method::DELETE) => CallKind::DeleteObject,
        _ => CallKind::Unknown,
    }
}

/// Answers a call.
pub(crate) async fn dispatch(
    service: &Arc<Service>,
    call: &mut Call,
    target: Target,
    kind: CallKind,
) -> Result<Response<ResponseBody>, Error> {
    match (target, kind) {
        (Target::XmlService, CallKind::ListBuckets) => Ok(bucket::list_all(service)),
        (Target::XmlBucket(bucket), CallKind::ListMultiparts) => multipart::list(service, call, &bucket),
        (Target::XmlBucket(bucket), CallKind::GetBucket) => bucket::get(service, call, &bucket),
        (Target::XmlBucket(bucket), CallKind::ListObjects) => bucket::list(service, call, &bucket),
        (Target::XmlBucket(bucket), CallKind::InsertBucket) => bucket::insert(service, call, bucket).await,
        (Target::XmlBucket(bucket), CallKind::DeleteBucket) => bucket::delete(service, call, bucket).await,
        (Target::XmlBucket(bucket), CallKind::AccessControl) => {
            access::call(service, call, bucket, None).await
        }
        (Target::XmlBucket(bucket), CallKind::BucketConfiguration) => {
            configuration::call(service, call, bucket).await
        }
        (Target::XmlBucket(bucket), CallKind::DeleteObjects) => several::delete(service, call, bucket).await,
        (Target::XmlObject(bucket, name), kind) => match kind {
            CallKind::AccessControl => access::call(service, call, bucket, Some(name)).await,
            CallKind::ComposeObject => several::compose(service, call, bucket, name).await,
            CallKind::InsertObject => object::insert(service, call, bucket, name).await,
            CallKind::CopyObject => object::copy(service, call, bucket, name).await,
            CallKind::ReadObject => object::read(service, call, &bucket, &name),
            CallKind::GetObject => object::head(service, call, &bucket, &name),
            CallKind::DeleteObject => object::delete(service, call, bucket, name).await,
            CallKind::StartUpload => object::start_session(service, call, bucket, name).await,
            CallKind::WriteUpload
            | CallKind::QueryUpload
            | CallKind::FinishUpload
            | CallKind::CancelUpload => {
                let phase = resumable::advance(service, call).await?;
                resumable::respond(call, phase, |_, object| object::stored(object))
            }
            CallKind::StartMultipart => multipart::start(service, call, bucket, name).await,
            CallKind::UploadPart => multipart::upload_part(service, call, &bucket, &name).await,
            CallKind::ListParts => multipart::list_parts(service, call, &bucket, &name),
            CallKind::CompleteMultipart => multipart::complete(service, call, &bucket, &name).await,
            CallKind::AbortMultipart => multipart::abort(service, call, &bucket, &name).await,
            _ => Err(Error::not_implemented("such a request in the XML API")),
        },
        _ => Err(Error::not_implemented("such a request in the XML API")),
    }
}

/// A refusal as the XML API writes it. The answer to a HEAD has no body.
pub(crate) fn refusal(error: &Error, call: &Call) -> Response<ResponseBody> {
    let Some((code, message)) = error.in_xml() else {
        return answer::refusal(error);
    };
    if call.method == Method::HEAD {
        return answer::empty(error.status());
    }
    Element::new("Error")
        .text("Code", code)
        .text("Message", message)
        .text("Details", error.message())
        .answer(error.status())
}
