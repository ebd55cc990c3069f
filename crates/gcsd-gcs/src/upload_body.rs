//! The body of a request whose bytes come from a lent source, as the HTTP connection takes it.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::body::{BodyError, Lending};
use super::link::Link;
use gcsd_types::Crc32c;

/// The body of a write: reads the lent [`Source`](super::Source) as the HTTP connection takes it.
///
/// Dropped before its last byte, it gives the source back to the [`Lease`](super::Lease).
pub struct UploadBody {
    lending: Arc<dyn Lending>,
    /// What the source gives; `None` where only its end tells.
    len: Option<u64>,
    /// What it is still to give.
    missing: Option<u64>,
    /// What goes out in front of the source's bytes.
    before: Bytes,
    /// What goes out behind them, once they are whole.
    after: Option<Closing>,
    /// All of it was handed on.
    ended: bool,
    /// The connection that it goes out on, once there is one.
    link: Option<Arc<Link>>,
}

/// What goes out behind the source's bytes.
struct Closing {
    /// How long it is without a checksum.
    len: u64,
    /// Makes it, given the checksum that the source's end told.
    make: Box<dyn FnOnce(Option<Crc32c>) -> Bytes + Send>,
}

impl UploadBody {
    pub(super) fn new(lending: Arc<dyn Lending>, len: Option<u64>) -> Self {
        Self {
            lending,
            len,
            missing: len,
            before: Bytes::new(),
            after: None,
            ended: len == Some(0),
            link: None,
        }
    }

    /// The same body between `before` and what `after` makes, which is never sent unless the source's bytes are whole.
    ///
    /// `after` is given the checksum that the end of a source of unknown length told; without one it must make
    /// `after_len` bytes.
    pub(super) fn between(
        self,
        before: Bytes,
        after_len: u64,
        after: impl FnOnce(Option<Crc32c>) -> Bytes + Send + 'static,
    ) -> Self {
        let mut body = self;
        body.before = before;
        body.after = Some(Closing {
            len: after_len,
            make: Box::new(after),
        });
        body.ended = false;
        body
    }

    /// How many bytes the source gives; `None` where nobody knows before its end.
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Whether the source is known to give nothing.
    pub fn is_empty(&self) -> bool {
        self.len == Some(0)
    }

    /// A view of what comes from the source, for when the body has gone its way.
    pub fn tally(&self) -> Tally {
        Tally(self.lending.clone())
    }

    /// How many bytes are still to be sent, where that is known.
    pub(super) fn missing(&self) -> Option<u64> {
        let after = self.after.as_ref().map_or(0, |after| after.len);
        self.missing
            .map(|missing| missing + self.before.len() as u64 + after)
    }

    /// Whether all of it was handed on.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn lending(&self) -> Arc<dyn Lending> {
        self.lending.clone()
    }

    /// Tells the body which connection it goes out on.
    pub(super) fn attach(&mut self, link: &Arc<Link>) {
        self.link = Some(link.clone());
    }

    /// The next bytes for the connection; an error cuts it.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // GCS has begun to answer: it will not have the rest. The same task reads that answer, so that no
        // waker is needed to go on after a mere 1xx.
        if self.link.as_ref().is_some_and(|link| link.is_answered()) {
            return Poll::Pending;
        }
        if !self.before.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.before))));
        }
        if self.missing != Some(0) {
            let chunk = ready!(self.lending.poll_chunk(cx));
            match &chunk {
                None => self.missing = Some(0),
                Some(Ok(chunk)) => {
                    self.missing = self.missing.map(|missing| missing - chunk.len() as u64);
                    if self.missing == Some(0) && self.after.is_none() {
                        self.end();
                    }
                }
                Some(Err(_)) => {}
            }
            if chunk.is_some() {
                return Poll::Ready(chunk);
            }
        }
        self.end();
        let after = self
            .after
            .take()
            .map(|after| (after.make)(self.lending.checksum()));
        Poll::Ready(after.map(Ok))
    }

    /// The last byte is about to be handed on.
    fn end(&mut self) {
        self.ended = true;
        self.lending.set_whole();
    }
}

impl Drop for UploadBody {
    fn drop(&mut self) {
        self.lending.stop();
    }
}

impl fmt::Debug for UploadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadBody")
            .field("len", &self.len)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

/// What a body received from its source, and what became of it.
pub struct Tally(Arc<dyn Lending>);

impl Tally {
    /// How many bytes came from the source.
    pub fn received(&self) -> u64 {
        self.0.received().0
    }

    /// Their checksum.
    pub fn crc32c(&self) -> Crc32c {
        self.0.received().1
    }

    /// Whether the last byte of the body was handed on, so that GCS may have it all. If not, GCS makes nothing of it.
    pub fn is_whole(&self) -> bool {
        self.0.is_whole()
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally")
            .field("received", &self.received())
            .field("whole", &self.is_whole())
            .finish()
    }
}
