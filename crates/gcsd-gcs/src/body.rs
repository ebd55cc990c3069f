//! Lending a byte source to an HTTP request, and taking it back.
//!
//! A body of an upload *is* the client's socket: [`lend`] puts a [`Source`] into a slot that two sides
//! share. The [`UploadBody`] goes with the request and reads the source when the HTTP connection has room
//! for more: no task, no channel, no copy, and a stalled GCS stalls the source. The [`Lease`] stays with the
//! lender, who gets the source back the moment the body needs it no more, or takes it back at once, in
//! which case the request is cut.
//!
//! ```text
//!   Lease ----+                          +---- UploadBody (in the HTTP connection)
//!             v                          v
//!             slot: source, state, received, crc32c
//! ```

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::upload_body::UploadBody;
use gcsd_types::Crc32c;

/// Why a [`Source`] gave no more.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Whoever sends the bytes took them back.
    #[error("the body was taken back by its sender")]
    Aborted,
    /// The bytes do not have the checksum that their sender says.
    #[error("the body has another checksum than its sender says")]
    Damaged,
    /// What it gives cannot be a body, or not the one that was announced.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Where the bytes of an upload come from.
pub trait Source: Send + 'static {
    /// The next bytes: at least one and never more than `max`, which is never 0.
    ///
    /// An empty chunk is the end of the stream. A body of known length asks only while bytes are missing, so that to it
    /// this is the client's disappearance; one of unknown length is whole then, and a source of such a body reports a
    /// disappearance as an [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
    ///
    /// Dropping interest between two calls loses nothing: a call that returns `Pending` has taken nothing.
    fn poll_chunk(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, SourceError>>;

    /// What the checksum of all bytes should be, where the source of a body of unknown length came to know it at
    /// its end. If it is another, the body is cut before GCS can take it for whole.
    fn checksum(&self) -> Option<Crc32c> {
        None
    }
}

/// A list of chunks in memory: each is handed on as it is, whole or split, never copied.
impl Source for std::collections::VecDeque<Bytes> {
    fn poll_chunk(&mut self, _cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, SourceError>> {
        loop {
            match self.front_mut() {
                None => return Poll::Ready(Ok(Bytes::new())),
                Some(chunk) if chunk.len() > max => return Poll::Ready(Ok(chunk.split_to(max))),
                Some(_) => match self.pop_front() {
                    Some(chunk) if chunk.is_empty() => {}
                    chunk => return Poll::Ready(Ok(chunk.unwrap_or_default())),
                },
            }
        }
    }
}

/// Where a lent source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyState {
    /// The body has it, and bytes are missing.
    Lent,
    /// The body received every byte from it.
    Complete,
    /// It ended before the last byte.
    Ended,
    /// It failed.
    Failed(io::ErrorKind),
    /// Its sender took the bytes back.
    Aborted,
    /// What it gave cannot be the body.
    Malformed(&'static str),
    /// The bytes have another checksum than the source says.
    Damaged,
    /// The lender took it back.
    Taken,
    /// The body asks for no more: GCS answered early, or the request was dropped.
    Stopped,
}

/// Lends `source` for the next `len` bytes.
pub fn lend<S: Source>(source: S, len: u64) -> (Lease<S>, UploadBody) {
    lend_for(source, Some(len))
}

/// Lends `source` up to its end, wherever that is.
pub fn lend_all<S: Source>(source: S) -> (Lease<S>, UploadBody) {
    lend_for(source, None)
}

fn lend_for<S: Source>(source: S, len: Option<u64>) -> (Lease<S>, UploadBody) {
    let slot = Arc::new(Slot(Mutex::new(Lent {
        source: Some(source),
        state: if len == Some(0) {
            BodyState::Complete
        } else {
            BodyState::Lent
        },
        len,
        received: 0,
        crc32c: Crc32c::default(),
        checksum: None,
        whole: false,
        source_pending: false,
        driver: None,
        lender: None,
    })));
    let body = UploadBody::new(slot.clone(), len);
    (Lease { slot }, body)
}

/// The slot that lease and body share.
struct Slot<S>(Mutex<Lent<S>>);

struct Lent<S> {
    source: Option<S>,
    state: BodyState,
    /// `None` where the source's end is the body's.
    len: Option<u64>,
    received: u64,
    crc32c: Crc32c,
    /// What the source's end says that its bytes' checksum is; it is.
    checksum: Option<Crc32c>,
    /// The last byte of the body was handed on, so that GCS may come to have all of it.
    whole: bool,
    /// The source was asked for bytes and had none.
    source_pending: bool,
    /// Wakes the exchange that the body belongs to.
    driver: Option<Waker>,
    /// Wakes [`Lease::returned`].
    lender: Option<Waker>,
}

impl<S> Slot<S> {
    fn lock(&self) -> MutexGuard<'_, Lent<S>> {
        // A panic of the source leaves nothing half done in here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Lent<S> {
    fn settle(&mut self, state: BodyState) {
        self.state = state;
        self.source_pending = false;
        if let Some(waker) = self.lender.take() {
            waker.wake();
        }
    }
}

/// What an exchange sees of the body it sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed {
    pub(super) state: BodyState,
    pub(super) received: u64,
    pub(super) source_pending: bool,
}

/// The slot as the body sees it, whatever the source's type.
pub(super) trait Lending: Send + Sync {
    fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>>;
    /// Looks at the state, and has `waker` woken when the lender takes the source back.
    fn observe(&self, waker: &Waker) -> Observed;
    fn state(&self) -> BodyState;
    /// What came from the source.
    fn received(&self) -> (u64, Crc32c);
    /// The checksum that the source's end told.
    fn checksum(&self) -> Option<Crc32c>;
    /// Takes note that the last byte of the body was handed on.
    fn set_whole(&self);
    /// Whether it was.
    fn is_whole(&self) -> bool;
    /// Asks the source for no more, and gives it back. Says whether the body was handed on whole.
    fn stop(&self) -> bool;
}

impl<S: Source> Lending for Slot<S> {
    fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut slot = self.lock();
        let lent = &mut *slot;
        match lent.state {
            BodyState::Lent => {}
            BodyState::Complete => return Poll::Ready(None),
            // The rest is never sent; whoever drives the exchange ends it.
            BodyState::Stopped => return Poll::Pending,
            BodyState::Ended
            | BodyState::Failed(_)
            | BodyState::Aborted
            | BodyState::Malformed(_)
            | BodyState::Damaged
            | BodyState::Taken => {
                return Poll::Ready(Some(Err(BodyError)));
            }
        }
        let missing = lent.len.map_or(u64::MAX, |len| len - lent.received);
        let max = usize::try_from(missing).unwrap_or(usize::MAX);
        let Some(source) = lent.source.as_mut() else {
            lent.settle(BodyState::Taken);
            return Poll::Ready(Some(Err(BodyError)));
        };
        let Poll::Ready(chunk) = source.poll_chunk(cx, max) else {
            lent.source_pending = true;
            return Poll::Pending;
        };
        lent.source_pending = false;
        let expected = source.checksum();
        let state = match chunk {
            Ok(chunk) if chunk.is_empty() && lent.len.is_some() => BodyState::Ended,
            Ok(chunk) if chunk.is_empty() && expected.is_some_and(|expected| expected != lent.crc32c) => {
                BodyState::Damaged
            }
            Ok(chunk) if chunk.is_empty() => {
                lent.checksum = expected;
                lent.settle(BodyState::Complete);
                return Poll::Ready(None);
            }
            Ok(chunk) if chunk.len() > max => BodyState::Failed(io::ErrorKind::InvalidData),
            Ok(chunk) => {
                lent.received += chunk.len() as u64;
                lent.crc32c = lent.crc32c.append(&chunk);
                if lent.len == Some(lent.received) {
                    lent.settle(BodyState::Complete);
                }
                return Poll::Ready(Some(Ok(chunk)));
            }
            Err(SourceError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => BodyState::Ended,
            Err(SourceError::Io(error)) => BodyState::Failed(error.kind()),
            Err(SourceError::Aborted) => BodyState::Aborted,
            Err(SourceError::Damaged) => BodyState::Damaged,
            Err(SourceError::Malformed(why)) => BodyState::Malformed(why),
        };
        lent.settle(state);
        Poll::Ready(Some(Err(BodyError)))
    }

    fn observe(&self, waker: &Waker) -> Observed {
        let mut lent = self.lock();
        match &mut lent.driver {
            Some(driver) => driver.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Observed {
            state: lent.state,
            received: lent.received,
            source_pending: lent.source_pending,
        }
    }

    fn state(&self) -> BodyState {
        self.lock().state
    }

    fn received(&self) -> (u64, Crc32c) {
        let lent = self.lock();
        (lent.received, lent.crc32c)
    }

    fn checksum(&self) -> Option<Crc32c> {
        self.lock().checksum
    }

    fn set_whole(&self) {
        self.lock().whole = true;
    }

    fn is_whole(&self) -> bool {
        self.lock().whole
    }

    fn stop(&self) -> bool {
        let mut lent = self.lock();
        lent.driver = None;
        if lent.state == BodyState::Lent {
            lent.settle(BodyState::Stopped);
        }
        lent.whole
    }
}

/// The lender's side of a lent [`Source`].
///
/// Dropping it does not take the source back: it then lives and dies with the body.
pub struct Lease<S> {
    slot: Arc<Slot<S>>,
}

impl<S: Source> Lease<S> {
    /// Waits until the body needs the source no more, and takes it: every byte was received, the source ended
    /// or failed, GCS answered early, or the request was dropped. GCS may still be thinking: the lender can
    /// read on from the source meanwhile.
    ///
    /// `None` only if it was taken before. Cancel safe.
    pub async fn returned(&mut self) -> Option<S> {
        std::future::poll_fn(|cx| {
            let mut lent = self.slot.lock();
            if lent.state == BodyState::Lent && lent.source.is_some() {
                lent.lender = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(lent.source.take())
        })
        .await
    }

    /// Takes the source back at once, whatever the body is doing. If bytes are missing, the request is cut:
    /// GCS sees the connection end before the body does.
    ///
    /// `None` only if it was taken before.
    pub fn take(&mut self) -> Option<S> {
        let mut lent = self.slot.lock();
        let source = lent.source.take();
        if lent.state == BodyState::Lent {
            lent.settle(BodyState::Taken);
            if let Some(driver) = lent.driver.take() {
                drop(lent);
                driver.wake();
            }
        }
        source
    }

    /// Bytes that the body received from the source.
    pub fn received(&self) -> u64 {
        self.slot.lock().received
    }

    /// The checksum of the bytes that the body received from the source.
    pub fn crc32c(&self) -> Crc32c {
        self.slot.lock().crc32c
    }

    /// Where the source stands.
    pub fn state(&self) -> BodyState {
        self.slot.lock().state
    }
}

impl<S> fmt::Debug for Lease<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lent = self.slot.lock();
        f.debug_struct("Lease")
            .field("state", &lent.state)
            .field("received", &lent.received)
            .field("len", &lent.len)
            .finish_non_exhaustive()
    }
}

/// What hyper is told when a body cannot go on; the slot knows why.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut")]
pub(super) struct BodyError;
