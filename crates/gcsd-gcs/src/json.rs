//! Calls of the JSON API
//! (<https://cloud.google.com/storage/docs/json_api/v1>).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;

use super::answer::{Answer, Answered};
use super::client::Gcs;
use super::error::{Call, Error, ErrorKind};
use super::exchange::Exchange;
use super::headers::{JSON, insert_key, insert_source_key};
use super::request::{RequestBody, Target};
use gcsd_types::{Destination, EncryptionKey};

/// The fields of an object resource that every request selects: programs need them.
pub(super) const OBJECT_FIELDS: &str = "generation,metageneration,size,crc32c,md5Hash";

/// Refuses `fields` in a call whose answer has no JSON.
pub(super) fn no_fields(of: &Destination) -> Result<(), Error> {
    match of.fields {
        None => Ok(()),
        Some(_) => Err(Error::new(
            ErrorKind::Invalid,
            "'fields' selects from JSON, and the answer to this call has none",
        )),
    }
}

/// A call of the JSON API, before it is made.
pub(super) struct JsonCall {
    call: Call,
    method: Method,
    target: Target,
    headers: HeaderMap,
    body: Bytes,
    repeatable: bool,
}

impl JsonCall {
    /// A call without a body that may be repeated.
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

    /// Adds a JSON body.
    pub(super) fn body(mut self, body: Bytes) -> Self {
        if !body.is_empty() {
            self.headers.insert(CONTENT_TYPE, JSON);
        }
        self.body = body;
        self
    }

    /// Says whether the call may be repeated: whether making it twice does no more than making it once.
    pub(super) fn repeatable(mut self, repeatable: bool) -> Self {
        self.repeatable = repeatable;
        self
    }

    /// Adds the key that the object is, or will be, encrypted with.
    pub(super) fn key(mut self, key: Option<&EncryptionKey>) -> Self {
        insert_key(&mut self.headers, key);
        self
    }

    /// Adds the key that the source of a copy is encrypted with.
    pub(super) fn source_key(mut self, key: Option<&EncryptionKey>) -> Self {
        insert_source_key(&mut self.headers, key);
        self
    }
}

impl Gcs {
    /// Makes a call that must succeed, and has `read` read its answer.
    pub(super) async fn json<T>(
        &self,
        json: JsonCall,
        read: impl FnOnce(&Answer) -> Result<T, Error>,
    ) -> Result<Answered<T>, Error> {
        let (call, repeatable) = (json.call, json.repeatable);
        let answered = async {
            let (response, exchange) = self.open_json(json).await?;
            let answer = Answer::read(response, exchange).await?;
            // An object's deletion has no content; other servers answer it as they do the rest.
            let done = match call {
                Call::Delete => matches!(answer.status.as_u16(), 200 | 204),
                _ => answer.status == StatusCode::OK,
            };
            if !done {
                return Err(answer.error(call));
            }
            Ok(answer.saying(read(&answer)?))
        };
        answered
            .await
            .map_err(|error: Error| error.during(call).repeatable(repeatable))
    }

    /// Makes a call without reading the body of its answer.
    pub(super) async fn open_json(&self, json: JsonCall) -> Result<(Response<Incoming>, Exchange), Error> {
        let target = json.target.build()?;
        let mut headers = self.authorized().await?;
        headers.extend(json.headers);
        let request = self.request(json.method, target, headers, RequestBody::Full(json.body));
        self.send(json.call, request).await
    }
}
