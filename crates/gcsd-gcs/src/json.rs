//! Calls of the JSON API that are one request and one answer
//! (<https://cloud.google.com/storage/docs/json_api/v1>).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response};
use hyper::body::Incoming;
use serde::Deserialize;

use super::answer::Answer;
use super::error::{Call, Error, ErrorKind};
use super::exchange::Exchange;
use super::request::{RequestBody, Target};
use super::{Answered, Gcs};
use gcsd_types::{BucketName, EncryptionKey, ObjectName};

/// The content type of a resource.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");

/// The fields of an object resource that are always asked for: programs need them.
pub(super) const OBJECT_FIELDS: &str = "generation,metageneration,size,crc32c,md5Hash";

/// A call to be made.
pub(super) struct JsonCall {
    call: Call,
    method: Method,
    target: Target,
    headers: HeaderMap,
    body: Bytes,
    repeatable: bool,
}

impl JsonCall {
    /// A call without a body, which can be made twice without harm.
    pub(super) fn new(call: Call, method: Method, target: Target) -> Self {
        Self {
            call,
            method,
            target,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            repeatable: true,
        }
    }

    /// The same call with a JSON body.
    pub(super) fn body(mut self, body: Bytes) -> Self {
        if !body.is_empty() {
            self.headers.insert(CONTENT_TYPE, JSON);
        }
        self.body = body;
        self
    }

    /// The same call; if not `repeatable`, making it a second time may do more than making it once.
    pub(super) fn repeatable(mut self, repeatable: bool) -> Self {
        self.repeatable = repeatable;
        self
    }

    /// The same call with the key that the object is, or will be, encrypted with.
    pub(super) fn key(mut self, key: Option<&EncryptionKey>) -> Self {
        insert_key(&mut self.headers, key);
        self
    }

    /// The same call with the key that the object which it copies is encrypted with.
    pub(super) fn source_key(mut self, key: Option<&EncryptionKey>) -> Self {
        const ALGORITHM: HeaderName = HeaderName::from_static("x-goog-copy-source-encryption-algorithm");
        const KEY: HeaderName = HeaderName::from_static("x-goog-copy-source-encryption-key");
        const HASH: HeaderName = HeaderName::from_static("x-goog-copy-source-encryption-key-sha256");
        insert_key_as(&mut self.headers, key, [ALGORITHM, KEY, HASH]);
        self
    }
}

impl Gcs {
    /// Makes a call, and reads the whole answer, which must be a success, by `read`.
    pub(super) async fn json<T>(
        &self,
        json: JsonCall,
        read: impl FnOnce(&Answer) -> Result<T, Error>,
    ) -> Result<Answered<T>, Error> {
        let (call, repeatable) = (json.call, json.repeatable);
        let answered = async {
            let (response, exchange) = self.open_json(json).await?;
            let answer = Answer::read(response, exchange).await?;
            if !answer.status.is_success() {
                return Err(answer.error(call));
            }
            Ok(answer.saying(read(&answer)?))
        };
        answered
            .await
            .map_err(|error: Error| error.during(call).repeatable(repeatable))
    }

    /// Makes a call, and leaves its answer to be read.
    pub(super) async fn open_json(&self, json: JsonCall) -> Result<(Response<Incoming>, Exchange), Error> {
        let target = json.target.build()?;
        let mut headers = self.authorized().await?;
        headers.extend(json.headers);
        let request = self.request(json.method, target, headers, RequestBody::Full(json.body));
        self.send(&self.0.endpoint, request).await
    }
}

/// Adds the three headers that name a key
/// (<https://cloud.google.com/storage/docs/encryption/customer-supplied-keys#headers>).
pub(super) fn insert_key(headers: &mut HeaderMap, key: Option<&EncryptionKey>) {
    const ALGORITHM: HeaderName = HeaderName::from_static("x-goog-encryption-algorithm");
    const KEY: HeaderName = HeaderName::from_static("x-goog-encryption-key");
    const HASH: HeaderName = HeaderName::from_static("x-goog-encryption-key-sha256");
    insert_key_as(headers, key, [ALGORITHM, KEY, HASH]);
}

fn insert_key_as(headers: &mut HeaderMap, key: Option<&EncryptionKey>, names: [HeaderName; 3]) {
    let Some(key) = key else {
        return;
    };
    let [algorithm, name, hash] = names;
    let sha256 = BASE64.encode(digest(&SHA256, key.expose()));
    headers.insert(algorithm, HeaderValue::from_static("AES256"));
    for (name, text) in [(name, BASE64.encode(key.expose())), (hash, sha256)] {
        // Base64 can stand in a header.
        if let Ok(mut value) = HeaderValue::try_from(text) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
}

/// An object resource, in the fields that must agree with the request.
#[derive(Deserialize)]
struct Resource {
    name: Option<String>,
    bucket: Option<String>,
}

/// Checks that `metadata` is an object resource that does not speak of another object.
pub(super) fn check_metadata(metadata: &[u8], bucket: &BucketName, object: &ObjectName) -> Result<(), Error> {
    let invalid = |problem: &str| Err(Error::new(ErrorKind::Invalid, problem));
    // A list of strings would do for serde, and not for GCS.
    if metadata.trim_ascii_start().first() != Some(&b'{') {
        return invalid("the metadata must be a JSON object");
    }
    let named: Resource = match serde_json::from_slice(metadata) {
        Ok(named) => named,
        Err(error) => return invalid(&format!("the metadata must be a JSON object: {error}")),
    };
    if named.name.is_some_and(|name| name != object.as_str()) {
        return invalid("the metadata names another object");
    }
    if named.bucket.is_some_and(|name| name != bucket.as_str()) {
        return invalid("the metadata names another bucket");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_three_headers_that_are_not_shown() {
        let mut headers = HeaderMap::new();
        insert_key(&mut headers, None);
        assert!(headers.is_empty());
        insert_key(&mut headers, Some(&EncryptionKey::new([0; 32])));
        assert_eq!(headers["x-goog-encryption-algorithm"], "AES256");
        assert_eq!(
            headers["x-goog-encryption-key"],
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        );
        // SHA-256 of 32 zeros.
        assert_eq!(
            headers["x-goog-encryption-key-sha256"],
            "Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU="
        );
        assert!(!format!("{headers:?}").contains("AAAA"));
    }
}
