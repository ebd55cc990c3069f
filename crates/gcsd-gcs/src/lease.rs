//! Lending a byte source to an HTTP request, and taking it back.
//!
//! A body of an upload *is* the client's socket: [`lend`] puts a [`Source`] into a slot that two sides
//! share. The [`UploadBody`] goes with the request and reads the source when the HTTP connection has room
//! for more: no task, no channel, no copy, and a stalled GCS stalls the source. The [`Lease`] stays with the
//! lender, who takes the source back once the body needs it no more, or at any time before, which cuts the request.
//!
//! ```text
//!   Lease ----+                +---- UploadBody (in the HTTP connection)
//!             v                v
//!             slot: source, state, received, whole
//! ```

use std::fmt;
use std::sync::Arc;

use super::slot::{BodyState, Lending as _, Slot};
use super::source::Source;
use super::upload_body::UploadBody;
use gcsd_types::Crc32c;

/// Lends `source` for the next `len` bytes.
pub fn lend<S: Source>(source: S, len: u64) -> (Lease<S>, UploadBody) {
    lend_for(source, Some(len))
}

/// Lends `source` up to its end, wherever that is.
pub fn lend_all<S: Source>(source: S) -> (Lease<S>, UploadBody) {
    lend_for(source, None)
}

fn lend_for<S: Source>(source: S, len: Option<u64>) -> (Lease<S>, UploadBody) {
    let slot = Arc::new(Slot::new(source, len));
    let body = UploadBody::new(slot.clone());
    (Lease { slot }, body)
}

/// The lender's side of a lent [`Source`].
///
/// Dropping it does not take the source back: it then lives and dies with the body.
pub struct Lease<S> {
    slot: Arc<Slot<S>>,
}

impl<S: Source> Lease<S> {
    /// Waits until the body needs the source no more, and says why: it gave every byte, ended or failed, GCS
    /// answered early, or the request was dropped. GCS may not have answered yet: the lender can [`take`](Self::take)
    /// the source and read on from it meanwhile.
    ///
    /// Cancel safe.
    pub async fn settled(&self) -> BodyState {
        std::future::poll_fn(|cx| self.slot.poll_settled(cx)).await
    }

    /// Takes the source back now, whatever the body is doing. If bytes are missing, the request is cut:
    /// GCS sees the connection end before the body does.
    ///
    /// `None` only if it was taken before.
    pub fn take(&mut self) -> Option<S> {
        self.slot.take()
    }

    /// How many bytes the body is still to receive from the source; `None` if only the source's end tells.
    pub fn missing(&self) -> Option<u64> {
        self.slot.missing()
    }

    /// How many bytes the body received from the source.
    pub fn received(&self) -> u64 {
        self.slot.received().0
    }

    /// The checksum of the bytes that the body received from the source.
    pub fn crc32c(&self) -> Crc32c {
        self.slot.received().1
    }

    /// Looks at the source, wherever it is; `None` once it was taken.
    pub fn look<T>(&self, look: impl FnOnce(&S) -> T) -> Option<T> {
        self.slot.look(look)
    }

    /// What became of the source.
    pub fn state(&self) -> BodyState {
        self.slot.state()
    }
}

impl<S: Source> fmt::Debug for Lease<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("state", &self.state())
            .field("received", &self.received())
            .field("missing", &self.missing())
            .finish_non_exhaustive()
    }
}
