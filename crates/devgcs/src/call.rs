//! One request, as the handlers see it.

use http::{HeaderMap, Method};

use super::error::Error;
use super::faults::Injected;
use super::query::Query;
use super::request_body::RequestBody;

/// A request with its head parsed and its body unread.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Query,
    /// Scheme and authority under which the client reached this server.
    pub(crate) base: String,
    pub(crate) body: RequestBody,
    /// The faults that it meets.
    pub(crate) injected: Injected,
}

impl Call {
    pub(crate) fn new(
        method: Method,
        headers: HeaderMap,
        query: Option<&str>,
        base: String,
        body: RequestBody,
    ) -> Result<Self, Error> {
        Ok(Self {
            method: overridden(method, &headers)?,
            headers,
            query: Query::parse(query.unwrap_or(""))?,
            base,
            body,
            injected: Injected::nothing(),
        })
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The method that a POST stands for: what a client cannot send, it names in a header.
fn overridden(method: Method, headers: &HeaderMap) -> Result<Method, Error> {
    match headers.get("x-http-method-override") {
        Some(name) if method == Method::POST => {
            let named = Method::from_bytes(name.as_bytes());
            named.map_err(|_| Error::invalid("Invalid X-HTTP-Method-Override header."))
        }
        _ => Ok(method),
    }
}
