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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    use bytes::Bytes;

    use super::*;

    /// "abc" and "de", in memory.
    fn chunks() -> VecDeque<Bytes> {
        VecDeque::from([Bytes::from_static(b"abc"), Bytes::from_static(b"de")])
    }

    /// What the HTTP connection would get from `body` now; `None` where that is an error.
    fn pull(body: &mut UploadBody) -> Option<Bytes> {
        let mut cx = Context::from_waker(Waker::noop());
        match body.poll_chunk(&mut cx) {
            Poll::Ready(Some(chunk)) => chunk.ok(),
            Poll::Ready(None) => Some(Bytes::new()),
            Poll::Pending => panic!("a list in memory is always ready"),
        }
    }

    fn settled<S: Source>(lease: &Lease<S>) -> Poll<BodyState> {
        let mut cx = Context::from_waker(Waker::noop());
        std::pin::pin!(lease.settled()).poll(&mut cx)
    }

    #[test]
    fn the_lender_follows_what_the_body_receives() {
        let (mut lease, mut body) = lend(chunks(), 5);
        assert_eq!((lease.received(), lease.missing()), (0, Some(5)));
        assert_eq!(lease.crc32c(), Crc32c::default());
        assert_eq!(settled(&lease), Poll::Pending);
        assert_eq!(pull(&mut body), Some(Bytes::from_static(b"abc")));
        assert_eq!((lease.received(), lease.missing()), (3, Some(2)));
        assert_eq!(lease.crc32c(), Crc32c::of(b"abc"));
        assert_eq!(lease.look(VecDeque::len), Some(1));
        assert_eq!((lease.state(), settled(&lease)), (BodyState::Lent, Poll::Pending));
        assert_eq!(pull(&mut body), Some(Bytes::from_static(b"de")));
        assert_eq!((lease.received(), lease.missing()), (5, Some(0)));
        assert_eq!(lease.crc32c(), Crc32c::of(b"abcde"));
        assert_eq!(lease.state(), BodyState::Complete);
        assert_eq!(settled(&lease), Poll::Ready(BodyState::Complete));
        assert_eq!(lease.take(), Some(VecDeque::new()));
        assert_eq!(lease.take(), None);
        assert_eq!(lease.look(VecDeque::len), None);
        assert_eq!(
            lease.state(),
            BodyState::Complete,
            "taken only once it was complete"
        );
    }

    #[test]
    fn a_source_that_is_taken_back_cuts_the_body() {
        let (mut lease, mut body) = lend(chunks(), 5);
        assert_eq!(pull(&mut body), Some(Bytes::from_static(b"abc")));
        let left = lease.take().expect("it was lent");
        assert_eq!(left, [Bytes::from_static(b"de")]);
        assert_eq!(settled(&lease), Poll::Ready(BodyState::Taken));
        assert_eq!(pull(&mut body), None, "the body cannot end as if it were whole");
        assert_eq!((lease.received(), lease.missing()), (3, Some(2)));
    }

    #[test]
    fn a_body_that_is_dropped_gives_the_source_back() {
        let (mut lease, mut body) = lend(chunks(), 5);
        assert_eq!(pull(&mut body), Some(Bytes::from_static(b"abc")));
        drop(body);
        assert_eq!(settled(&lease), Poll::Ready(BodyState::Stopped));
        assert_eq!(lease.take().map(|source| source.len()), Some(1));
    }

    #[test]
    fn without_a_length_the_source_ends_the_body() {
        let (lease, mut body) = lend_all(chunks());
        assert_eq!((lease.missing(), body.len()), (None, None));
        assert_eq!(pull(&mut body), Some(Bytes::from_static(b"abc")));
        assert_eq!(pull(&mut body), Some(Bytes::from_static(b"de")));
        assert_eq!((lease.state(), lease.missing()), (BodyState::Lent, None));
        assert_eq!(pull(&mut body), Some(Bytes::new()));
        assert_eq!((lease.state(), lease.received()), (BodyState::Complete, 5));
    }

    #[test]
    fn nothing_lent_is_complete_at_once() {
        let (lease, body) = lend(chunks(), 0);
        assert_eq!((lease.state(), lease.missing()), (BodyState::Complete, Some(0)));
        assert!(body.is_empty());
    }

    #[test]
    fn the_state_is_shown_and_the_source_is_not() {
        let (lease, _body) = lend(chunks(), 5);
        let shown = format!("{lease:?}");
        assert_eq!(shown, "Lease { state: Lent, received: 0, missing: Some(5), .. }");
    }
}
