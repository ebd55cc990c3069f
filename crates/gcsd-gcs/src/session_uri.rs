//! The session URI: GCS's resumable URL, a credential.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use http::uri::PathAndQuery;

use super::endpoint::{Endpoint, EndpointError};
use gcsd_types::EncryptionKey;

/// GCS's URL of one resumable upload.
///
/// Anyone who has it can write the object, with no other credential
/// (<https://cloud.google.com/storage/docs/resumable-uploads#session-uris>): it has no `Display`, its
/// `Debug` shows nothing of it, and only [`expose`](Self::expose) gives it away. Cheap to clone.
///
/// With it goes the key that the object will be encrypted with, where its owner keeps that: GCS forgets it after
/// each request. Two with the same URI are equal, whatever their keys.
#[derive(Clone)]
pub struct SessionUri {
    parts: Arc<Parts>,
    key: Option<Arc<EncryptionKey>>,
}

struct Parts {
    text: Box<str>,
    path: PathAndQuery,
}

impl SessionUri {
    /// Parses a session URI that GCS returned.
    ///
    /// Only its path and query are used, on the endpoint that all calls go to: GCS names a host of its own choice, and
    /// whoever reaches GCS by a private endpoint or a forwarder must do so for the data, too.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let (_, uri) = Endpoint::split(text)?;
        let path = uri.path_and_query().cloned().ok_or(EndpointError::Malformed)?;
        let parts = Arc::new(Parts {
            text: text.into(),
            path,
        });
        Ok(Self { parts, key: None })
    }

    /// The same session with the key that each request on it must carry.
    #[must_use]
    pub fn with_key(mut self, key: Option<EncryptionKey>) -> Self {
        self.key = key.map(Arc::new);
        self
    }

    /// Parses a `Location` header, which may omit scheme and host
    /// (RFC 9110, section 10.2.2).
    pub(super) fn from_location(text: &str, endpoint: &Endpoint) -> Result<Self, EndpointError> {
        if text.starts_with('/') && !text.starts_with("//") {
            Self::parse(&format!("{endpoint}{text}"))
        } else {
            Self::parse(text)
        }
    }

    /// The URI itself, to be kept where nobody else reads it.
    pub fn expose(&self) -> &str {
        &self.parts.text
    }

    pub(super) fn key(&self) -> Option<&EncryptionKey> {
        self.key.as_deref()
    }

    pub(super) fn path(&self) -> &PathAndQuery {
        &self.parts.path
    }
}

impl PartialEq for SessionUri {
    fn eq(&self, other: &Self) -> bool {
        self.parts.text == other.parts.text
    }
}

impl Eq for SessionUri {}

impl Hash for SessionUri {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts.text.hash(state);
    }
}

impl fmt::Debug for SessionUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionUri(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "https://storage.googleapis.com/upload/storage/v1/b/b/o?uploadType=resumable&upload_id=secret";

    #[test]
    fn a_session_uri_is_kept_verbatim_and_never_shown() {
        let uri = SessionUri::parse(TEXT).expect("a session URI");
        assert_eq!(uri.expose(), TEXT);
        assert_eq!(uri.path().as_str(), TEXT.split_at(30).1);
        assert_eq!(format!("{uri:?}"), "SessionUri(redacted)");
    }

    #[test]
    fn a_location_may_be_relative() {
        let endpoint = Endpoint::parse("http://127.0.0.1:9").expect("an endpoint");
        let uri = SessionUri::from_location("/upload?upload_id=1", &endpoint).expect("relative");
        assert_eq!(uri.expose(), "http://127.0.0.1:9/upload?upload_id=1");
        assert!(SessionUri::from_location("//evil/upload", &endpoint).is_err());
        let other = SessionUri::from_location(TEXT, &endpoint).expect("absolute");
        assert_eq!(other.expose(), TEXT);
    }
}
