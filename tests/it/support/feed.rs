//! A body's source that a test feeds by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gcsd_gcs::{Source, SourceError};
use gcsd_types::Crc32c;
use tokio::sync::mpsc;

/// A source that gives what [`Feeder`] sends, and ends when that is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    chunks: mpsc::UnboundedReceiver<Result<Bytes, SourceError>>,
    rest: Bytes,
    /// What it says of its checksum.
    pub(crate) checksum: Option<Crc32c>,
}

/// The other end of a [`Feed`].
pub(crate) type Feeder = mpsc::UnboundedSender<Result<Bytes, SourceError>>;

/// Makes both ends.
pub(crate) fn feed() -> (Feeder, Feed) {
    let (sender, chunks) = mpsc::unbounded_channel();
    let feed = Feed {
        chunks,
        rest: Bytes::new(),
        checksum: None,
    };
    (sender, feed)
}

impl Source for Feed {
    fn poll_chunk(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, SourceError>> {
        if self.rest.is_empty() {
            match ready!(self.chunks.poll_recv(cx)) {
                None => return Poll::Ready(Ok(Bytes::new())),
                Some(chunk) => self.rest = chunk?,
            }
        }
        let len = self.rest.len().min(max);
        Poll::Ready(Ok(self.rest.split_to(len)))
    }

    fn checksum(&self) -> Option<Crc32c> {
        self.checksum
    }
}

/// A source that always has more, and counts what it gave.
#[derive(Debug, Clone)]
pub(crate) struct Endless {
    chunk: Bytes,
    given: Arc<AtomicU64>,
}

impl Endless {
    pub(crate) fn new() -> Self {
        Self {
            chunk: Bytes::from(vec![7; 256 * 1024]),
            given: Arc::default(),
        }
    }

    pub(crate) fn given(&self) -> u64 {
        self.given.load(Relaxed)
    }
}

impl Source for Endless {
    fn poll_chunk(&mut self, _cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, SourceError>> {
        let chunk = self.chunk.slice(..self.chunk.len().min(max));
        self.given.fetch_add(chunk.len() as u64, Relaxed);
        Poll::Ready(Ok(chunk))
    }
}
