//! What a client of GCS tells of its work, for metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::{Call, ErrorKind};

/// An [`Observer`] that connections and calls share.
pub type SharedObserver = Arc<dyn Observer>;

/// Is told of every call to GCS, every connection that is dialed and every access token
/// ([`Config::observer`](crate::Config::observer)).
///
/// Called where the work is done, once per call and never per chunk of a body: it counts, and does not wait.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A call has got the head of its answer, with this HTTP status, or failed before it. `took` is the time since its request
    /// was begun: for a call that sends a body, that includes the body. A call that was dropped is not told.
    fn called(&self, call: Call, outcome: Result<u16, ErrorKind>, took: Duration);

    /// A connection was dialed, TLS included, or could not be.
    fn dialed(&self, outcome: Result<(), ErrorKind>, took: Duration);

    /// A call was answered on a connection that had been kept.
    fn reused(&self);

    /// Something became of an access token.
    fn token(&self, token: Token);
}

/// What became of an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Token {
    /// Another one is sent from now on.
    Fetched,
    /// GCS refused a call with 401.
    Refused,
    /// A call found none.
    Failed(ErrorKind),
}
