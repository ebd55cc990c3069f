//! The body of a request whose bytes come from a lent source, as the HTTP connection takes it.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::link::Link;
use super::slot::{BodyError, Given, Lending};
use gcsd_types::Crc32c;

/// The body of a write: reads the lent [`Source`](super::Source) as the HTTP connection takes it.
///
/// Dropped before its last byte, it gives the source back to the [`Lease`](super::Lease).
pub struct UploadBody {
    lending: Arc<dyn Lending>,
    /// What goes out in front of the source's bytes.
    before: Bytes,
    /// What goes out behind them, once they are complete.
    after: Option<Closing>,
    /// The connection that it goes out on, once there is one.
    link: Option<Arc<Link>>,
}

/// What goes out behind the source's bytes.
struct Closing {
    /// How long it is without a checksum.
    len: u64,
    /// Makes it, given the checksum that the source gave at its end.
    make: Box<dyn FnOnce(Option<Crc32c>) -> Bytes + Send>,
}

impl UploadBody {
    pub(super) fn new(lending: Arc<dyn Lending>) -> Self {
        Self {
            lending,
            before: Bytes::new(),
            after: None,
            link: None,
        }
    }

    /// The same body, which must have the checksum `crc32c`: its end is withheld otherwise, so that GCS never has all of it. A
    /// body of no bytes, which has no end of its own, is the caller's to compare.
    #[must_use]
    pub fn expecting(self, crc32c: Option<Crc32c>) -> Self {
        if let Some(crc32c) = crc32c {
            self.lending.expect(crc32c);
        }
        self
    }

    /// The same body between `before` and what `after` makes, which is never sent unless the source's bytes are complete.
    ///
    /// `after` is given the checksum that a source of unknown length gave at its end; without one it must make
    /// `after_len` bytes.
    pub(super) fn between(
        mut self,
        before: Bytes,
        after_len: u64,
        after: impl FnOnce(Option<Crc32c>) -> Bytes + Send + 'static,
    ) -> Self {
        self.before = before;
        self.after = Some(Closing {
            len: after_len,
            make: Box::new(after),
        });
        self
    }

    /// How many bytes the source gives; `None` if only its end tells.
    pub fn len(&self) -> Option<u64> {
        self.lending.len()
    }

    /// Whether the source is known to give nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// A view of what the source gives, for when the body has been sent.
    pub fn tally(&self) -> Tally {
        Tally(self.lending.clone())
    }

    /// How many bytes are still to be sent, where that is known.
    pub(super) fn unsent(&self) -> Option<u64> {
        let after = self.after.as_ref().map_or(0, |after| after.len);
        self.lending
            .missing()
            .map(|missing| missing + self.before.len() as u64 + after)
    }

    /// Whether the HTTP connection has all of it.
    pub(super) fn is_whole(&self) -> bool {
        self.lending.is_whole()
    }

    pub(super) fn lending(&self) -> Arc<dyn Lending> {
        self.lending.clone()
    }

    /// Tells the body which connection it goes out on.
    pub(super) fn attach(&mut self, link: &Arc<Link>) {
        self.link = Some(link.clone());
        // A body without bytes is never asked for them.
        if self.is_empty() && self.after.is_none() {
            self.lending.set_whole();
        }
    }

    /// The next bytes for the connection; an error cuts it.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.is_whole() {
            return Poll::Ready(None);
        }
        // GCS has begun to answer, and will not take the rest. The same task reads that answer, so that no
        // waker is needed to continue after a mere 1xx.
        if self.link.as_ref().is_some_and(|link| link.is_answered()) {
            return Poll::Pending;
        }
        if !self.before.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.before))));
        }
        match ready!(self.lending.poll_chunk(cx)) {
            Ok(Given::Chunk { bytes, last }) => {
                // With nothing behind the source's bytes, the last one is the body's.
                if last && self.after.is_none() {
                    self.lending.set_whole();
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Ok(Given::End) => {
                self.lending.set_whole();
                let after = self.after.take();
                Poll::Ready(after.map(|after| Ok((after.make)(self.lending.checksum()))))
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
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
            .field("len", &self.len())
            .field("unsent", &self.unsent())
            .finish_non_exhaustive()
    }
}

/// What a body received from its source, and whether it was sent whole. Clones tell of the same body.
#[derive(Clone)]
pub struct Tally(Arc<dyn Lending>);

impl Tally {
    /// How many bytes the source gave.
    pub fn received(&self) -> u64 {
        self.0.received().0
    }

    /// Their checksum.
    pub fn crc32c(&self) -> Crc32c {
        self.0.received().1
    }

    /// Whether the HTTP connection was given the last byte of the body, so that GCS may have all of it. If not, GCS
    /// makes nothing of it.
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
