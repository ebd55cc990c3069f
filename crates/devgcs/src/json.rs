//! JSON in requests.

use http::StatusCode;
use serde_json::{Map, Value};

use super::error::Error;
use super::request_body::RequestBody;

/// The largest JSON body that is read.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// Reads a body that is a JSON object, or empty.
pub(crate) async fn object(body: &mut RequestBody) -> Result<Map<String, Value>, Error> {
    parse(&body.collect(MAX_BODY).await?)
}

/// Reads a JSON object. An empty text is an empty object, and so is `null`, which rclone's rewrites send.
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
