//! Refusals, in GCS's shapes.

use std::io;

use http::StatusCode;
use serde_json::{Value, json};

/// How the body of a refusal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The JSON API's error object.
    Json,
    /// One line of text: what the upload path and media downloads answer.
    Text,
    /// No body at all.
    Empty,
}

/// A request that was refused: its status, GCS's reason, and a sentence.
#[derive(Debug, Clone)]
pub(crate) struct Error {
    status: StatusCode,
    reason: &'static str,
    message: String,
    shape: Shape,
    location: Option<(&'static str, &'static str)>,
}

impl Error {
    /// A refusal in the JSON API's shape.
    pub(crate) fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            reason,
            message: message.into(),
            shape: Shape::Json,
            location: None,
        }
    }

    /// 400 `invalid`.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// 400 `required`: a parameter is missing.
    pub(crate) fn required(parameter: &'static str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "required",
            format!("Required parameter: {parameter}"),
        )
    }

    /// 501: something that this server does not do, and does not do by halves.
    pub(crate) fn not_implemented(what: &str) -> Self {
        let what: String = what.chars().take(300).collect();
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "notImplemented",
            format!("devgcs does not implement {what}."),
        )
    }

    /// 404 of a bucket.
    pub(crate) fn no_bucket() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "noBucket",
            "The specified bucket does not exist.",
        )
    }

    /// 404 of an object or of one generation of it.
    pub(crate) fn no_object(bucket: &str, name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "notFound",
            format!("No such object: {bucket}/{name}"),
        )
    }

    /// 404 of a bucket's tags.
    pub(crate) fn no_tags() -> Self {
        Self::new(StatusCode::NOT_FOUND, "noTags", "The bucket has no tags.")
    }

    /// 400: the bytes do not have the checksum that the client sent.
    pub(crate) fn wrong_hash(kind: &str, provided: &str, calculated: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "hash",
            format!("Provided {kind} \"{provided}\" doesn't match calculated {kind} \"{calculated}\"."),
        )
    }

    /// 412: a precondition did not hold.
    pub(crate) fn condition_not_met() -> Self {
        Self {
            location: Some(("header", "If-Match")),
            ..Self::new(
                StatusCode::PRECONDITION_FAILED,
                "conditionNotMet",
                "At least one of the pre-conditions you specified did not hold.",
            )
        }
    }

    /// 304: the caller has the current version.
    pub(crate) fn not_modified() -> Self {
        Self {
            shape: Shape::Empty,
            ..Self::new(StatusCode::NOT_MODIFIED, "notModified", "")
        }
    }

    /// One line of text with `status`, as the upload path answers.
    pub(crate) fn text(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            shape: Shape::Text,
            ..Self::new(status, "invalid", message)
        }
    }

    /// The same refusal as one line of text.
    #[must_use]
    pub(crate) fn into_text(self) -> Self {
        Self {
            shape: Shape::Text,
            ..self
        }
    }

    /// The status alone.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            shape: Shape::Empty,
            ..Self::new(status, "", "")
        }
    }

    /// The upload session that a request with too few bytes was sent to cannot be used any more.
    pub(crate) fn too_short(message: String) -> Self {
        Self {
            shape: Shape::Text,
            ..Self::new(StatusCode::BAD_REQUEST, "tooShort", message)
        }
    }

    /// Whether it ends the upload session.
    pub(crate) fn is_too_short(&self) -> bool {
        self.reason == "tooShort"
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// How its body is written.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The XML API's code and sentence for it; `None` if the answer is the same in both APIs.
    pub(crate) fn in_xml(&self) -> Option<(&'static str, &'static str)> {
        if self.shape == Shape::Empty {
            return None;
        }
        Some(match (self.status.as_u16(), self.reason) {
            (404, "noBucket") => ("NoSuchBucket", "The specified bucket does not exist."),
            (404, "noUpload") => ("NoSuchUpload", "The requested upload was not found."),
            (404, "noTags") => ("NoSuchTagSet", "The TagSet does not exist."),
            (404, _) => ("NoSuchKey", "The specified key does not exist."),
            (400, "expiredToken") => ("ExpiredToken", "The provided token has expired."),
            (400, "invalidPart") => (
                "InvalidPart",
                "One or more of the specified parts could not be found.",
            ),
            (400, "partOrder") => (
                "InvalidPartOrder",
                "The list of parts was not in ascending order.",
            ),
            (400, "partSize") => (
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size.",
            ),
            (400, "tooLarge") => (
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size.",
            ),
            (400, "hash") => (
                "BadDigest",
                "The Content-MD5 or checksum value that you specified did not match what the server received.",
            ),
            (400, _) => ("InvalidArgument", "Invalid argument."),
            (403, _) => ("AccessDenied", "Access denied."),
            (405, _) => (
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            ),
            (409, "notEmpty") => ("BucketNotEmpty", "The bucket you tried to delete is not empty."),
            (409, _) => (
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
            ),
            (411, _) => (
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            ),
            (412, _) => (
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold.",
            ),
            (416, _) => ("InvalidRange", "The requested range cannot be satisfied."),
            (413, _) => (
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size.",
            ),
            (501, _) => (
                "NotImplemented",
                "A header or query you provided requested a function that is not implemented.",
            ),
            (503, _) => (
                "ServiceUnavailable",
                "We encountered an internal error. Please try again.",
            ),
            _ => return None,
        })
    }

    /// The reason as the JSON API writes it: it has fewer than the XML API has codes.
    fn json_reason(&self) -> &'static str {
        match self.reason {
            "noBucket" | "noTags" | "noUpload" => "notFound",
            "invalidPart" | "partOrder" | "partSize" | "hash" | "tooShort" | "expiredToken" => "invalid",
            "notEmpty" => "conflict",
            other => other,
        }
    }

    /// Whether the server is to blame, and the same request may succeed later.
    pub(crate) fn is_internal(&self) -> bool {
        self.status.is_server_error()
    }

    /// The JSON API's error object.
    pub(crate) fn json(&self) -> Value {
        let mut detail = json!({
            "domain": "global",
            "reason": self.json_reason(),
            "message": self.message,
        });
        if let Some((kind, location)) = self.location {
            detail["locationType"] = kind.into();
            detail["location"] = location.into();
        }
        json!({ "error": {
            "code": self.status.as_u16(),
            "message": self.message,
            "errors": [detail],
        }})
    }
}

/// A failure of the storage is GCS's `backendError`: worth trying again.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        tracing::warn!(%error, "devgcs: the storage failed");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "backendError",
            "We encountered an internal error. Please try again.",
        )
    }
}
