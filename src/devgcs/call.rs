//! One request, as the handlers see it.

use http::{HeaderMap, Method};

use super::body::RequestBody;
use super::query::Query;

/// A request: its head taken apart, its body unread.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Query,
    /// Scheme and authority under which the client reached this server.
    pub(crate) base: String,
    pub(crate) body: RequestBody,
}
