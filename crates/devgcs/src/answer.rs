//! Answers without the bytes of an object: a JSON document, a refusal, nothing.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::error::{Error, Shape};
use super::response_body::ResponseBody;

/// A JSON document.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response<ResponseBody> {
    full(status, "application/json; charset=UTF-8", value.to_string())
}

/// A refusal, in the shape it has.
pub(crate) fn refusal(error: &Error) -> Response<ResponseBody> {
    match error.shape() {
        Shape::Json => json(error.status(), &error.json()),
        Shape::Text => full(
            error.status(),
            "text/plain; charset=utf-8",
            error.message().to_owned(),
        ),
        Shape::Empty => empty(error.status()),
    }
}

/// No body.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}

/// Text of this content type.
pub(crate) fn full(status: StatusCode, kind: &'static str, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
