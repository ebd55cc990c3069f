//! A writer that survives nothing: one request, one answer.
//!
//! There are two: over a [`Connection`](super::Connection) to a daemon, and straight to GCS. They behave the
//! same, so that whatever recovers ([`ReliableWriter`](super::ReliableWriter)) does not know which it has.

use std::fmt;
use std::future::Future;

use bytes::Bytes;

use super::{Body, Error, Sight};
use gcsd_types::{Crc32c, ObjectInfo};
use gcsd_wire::{cancel_upload, progress};

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

/// What GCS holds of an upload after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that GCS reported as persisted, from the object's start; the size once finished.
    pub committed: u64,
    /// Bytes of this request's body that were received, by the daemon or by GCS; 0 where the request has none.
    pub received: u64,
    /// The checksum of those bytes.
    pub received_crc32c: Crc32c,
    /// The object, once it is finished.
    pub object: Option<ObjectInfo>,
}

impl Progress {
    /// Of an upload that is unfinished, by a request that had no body.
    pub fn of(committed: u64) -> Self {
        Self {
            committed,
            received: 0,
            received_crc32c: Crc32c::default(),
            object: None,
        }
    }

    /// By a request of whose body this was received.
    #[must_use]
    pub fn with_received(mut self, len: u64, crc32c: Crc32c) -> Self {
        (self.received, self.received_crc32c) = (len, crc32c);
        self
    }

    /// Of an upload that is finished: `committed` is the object's size.
    #[must_use]
    pub fn with_object(mut self, object: ObjectInfo) -> Self {
        (self.committed, self.object) = (object.size, Some(object));
        self
    }
}

impl From<progress::Progress> for Progress {
    fn from(reply: progress::Progress) -> Self {
        Self {
            committed: reply.committed,
            received: reply.received,
            received_crc32c: reply.received_crc32c,
            object: reply.object,
        }
    }
}

/// How a cancelled upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// GCS cancelled it (499): there is no object of it, and there will be none.
    Cancelled,
    /// It was finished before: the object stands.
    Finished {
        /// The object's generation, or 0 where GCS did not say.
        generation: u64,
    },
    /// GCS does not know the upload (any more): it was cancelled, finished, or has expired.
    Unknown,
}

impl From<cancel_upload::CancelUploadReply> for Cancelled {
    fn from(reply: cancel_upload::CancelUploadReply) -> Self {
        match reply {
            cancel_upload::CancelUploadReply::Cancelled => Self::Cancelled,
            cancel_upload::CancelUploadReply::Finished { generation } => Self::Finished { generation },
            cancel_upload::CancelUploadReply::Unknown => Self::Unknown,
        }
    }
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
    ) -> impl Future<Output = Result<Progress, Error>> + Send;

    /// Asks GCS what it holds: a lower bound, which can still grow.
    fn query(&mut self) -> impl Future<Output = Result<Progress, Error>> + Send;

    /// Makes the object of what is committed.
    fn finish(&mut self, last: Last) -> impl Future<Output = Result<Progress, Error>> + Send;

    /// Throws away what is committed.
    fn cancel(&mut self) -> impl Future<Output = Result<Cancelled, Error>> + Send;

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
    fn start(&mut self) -> impl Future<Output = Result<(Self::Writer, Token), Error>> + Send;

    /// Comes back to an upload. What is committed of it must be queried before anything is written.
    fn attach(&mut self, token: &Token) -> impl Future<Output = Result<Self::Writer, Error>> + Send;

    /// Looks at what is where the upload makes its object: an answer was lost, and the upload with it. Where nothing can be
    /// there that a repeat would harm, there is nothing.
    fn look(&mut self) -> impl Future<Output = Result<Sight, Error>> + Send;
}
