//! A writer that survives nothing: one request, one answer.
//!
//! There are two: over a [`Connection`](super::Connection) to a daemon, and straight to GCS. They behave the
//! same, so that whatever recovers ([`ReliableWriter`](super::ReliableWriter)) does not know which it has.

use std::fmt;
use std::future::Future;

use bytes::Bytes;

use super::{Body, Failure};
use gcsd_types::Crc32c;
pub use gcsd_wire::cancel_upload::Reply as Cancelled;
pub use gcsd_wire::progress::Progress;
pub use gcsd_wire::start_upload::Args as NewObject;

/// What brings an upload back, on any connection and in any process: a credential.
///
/// Through a daemon it is the daemon's sealed token, straight to GCS it is GCS's session URI. Only
/// [`expose`](Self::expose) gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as it was given or kept.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to be kept where nobody else reads it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

/// That a range is the object's last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// The object's size.
    pub total: u64,
    /// The checksum of the whole object: GCS makes no object that differs.
    pub crc32c: Crc32c,
}

/// Requests on one upload, one after the other, with nothing sent twice.
///
/// A request whose future is dropped leaves the writer in an unknown state: drop it too, and attach again.
pub trait UnreliableWriter: Send {
    /// Sends `body` to `offset`. Unless it is the `last`, it must end on a multiple of 256 KiB.
    ///
    /// Success means that all of it is committed, and with `last` that the object is finished. Lists of
    /// [`Bytes`](bytes::Bytes) go to the socket as they lie in memory. A body [without a length](Body::streamed) is
    /// the last range, whatever `last` says, and goes through a daemon only.
    fn write_at(
        &mut self,
        offset: u64,
        body: Body,
        last: Option<Last>,
    ) -> impl Future<Output = Result<Progress, Failure>> + Send;

    /// Asks GCS what it holds: a lower bound, which can still grow.
    fn query(&mut self) -> impl Future<Output = Result<Progress, Failure>> + Send;

    /// Makes the object of what is committed.
    fn finish(&mut self, last: Last) -> impl Future<Output = Result<Progress, Failure>> + Send;

    /// Throws away what is committed.
    fn cancel(&mut self) -> impl Future<Output = Result<Cancelled, Failure>> + Send;

    /// GCS's JSON resource of the object, as it came with the answer that said that it is finished; `None` before that,
    /// and where the writer keeps none.
    fn resource(&self) -> Option<Bytes> {
        None
    }
}

/// Where unreliable writers come from.
pub trait OpenUpload: Send + 'static {
    /// The writers.
    type Writer: UnreliableWriter + 'static;

    /// The object's size, where it was told to GCS: GCS finishes an upload that has that many bytes.
    fn size(&self) -> Option<u64>;

    /// Whether all bytes go in one request, the last, of which nothing is persisted where it fails.
    fn single_request(&self) -> bool {
        false
    }

    /// Starts an upload.
    fn start(&mut self) -> impl Future<Output = Result<(Self::Writer, Token), Failure>> + Send;

    /// Comes back to an upload. What is committed of it must be queried before anything is written.
    fn attach(&mut self, token: &Token) -> impl Future<Output = Result<Self::Writer, Failure>> + Send;
}
