//! JSON in requests and answers.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value};

use super::body::{RequestBody, ResponseBody};
use super::error::Error;

/// The largest JSON body that is read.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// Reads a body that is a JSON object, or empty.
pub(crate) async fn object(body: &mut RequestBody) -> Result<Map<String, Value>, Error> {
    parse(&body.collect(MAX_BODY).await?)
}

/// Reads a JSON object; nothing at all is an empty one, and so is `null` (rclone's rewrites have that).
pub(crate) fn parse(text: &[u8]) -> Result<Map<String, Value>, Error> {
    if text.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        _ => Err(Error::new(StatusCode::BAD_REQUEST, "parseError", "Parse Error")),
    }
}

/// An answer that is a JSON document.
pub(crate) fn response(status: StatusCode, value: &Value) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(value.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
