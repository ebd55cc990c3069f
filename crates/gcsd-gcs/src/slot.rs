//! The slot that holds a lent source: what the body in the HTTP connection and the [`Lease`](super::Lease) share.
//!
//! What is known of a body is kept here and nowhere else: how many bytes the source has given ([`Lent::received`]), what
//! became of the source ([`BodyState`]), and whether the whole request body was given to the HTTP connection
//! ([`Slot::whole`]). The last two differ: a `multipart/related` body continues after the source's last byte, and a body
//! of unknown length is whole only once its end is written.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::source::{Source, SourceError};
use gcsd_types::Crc32c;

/// What became of a lent source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyState {
    /// The body holds it, and bytes are missing.
    Lent,
    /// It gave every byte.
    Complete,
    /// It ended before the last byte.
    Ended,
    /// It failed.
    Failed(io::ErrorKind),
    /// Its sender aborted the body.
    Aborted,
    /// Its bytes cannot be the body.
    Malformed(&'static str),
    /// Its bytes have another checksum than it gave, or than they must have.
    Damaged,
    /// The lender took it back.
    Taken,
    /// The body needs no more: GCS answered early, or the request was dropped.
    Stopped,
}

/// The error that hyper gets when a body cannot continue; the slot knows why.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut")]
pub(super) struct BodyError;

/// What an exchange sees of the body it sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed {
    pub(super) state: BodyState,
    pub(super) received: u64,
    pub(super) source_pending: bool,
}

/// What a source gives to its body.
pub(super) enum Given {
    /// Bytes, and whether they are known to be the last.
    Chunk { bytes: Bytes, last: bool },
    /// Nothing more: every byte was given before.
    End,
}

/// The slot as the body and the exchange see it, whatever the source's type.
pub(super) trait Lending: Send + Sync {
    fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Result<Given, BodyError>>;
    /// How many bytes the source gives in all; `None` if only its end tells.
    fn len(&self) -> Option<u64>;
    /// How many of them are missing; `None` if only its end tells.
    fn missing(&self) -> Option<u64>;
    /// The state, and whether the source is waited for. Has `waker` woken when the lender takes the source back.
    fn observe(&self, waker: &Waker) -> Observed;
    fn state(&self) -> BodyState;
    /// How many bytes the source gave, and their checksum.
    fn received(&self) -> (u64, Crc32c);
    /// The checksum that the source gave at its end.
    fn checksum(&self) -> Option<Crc32c>;
    /// Requires that all bytes have this checksum.
    fn expect(&self, crc32c: Crc32c);
    /// Notes that the whole request body was given to the HTTP connection.
    fn set_whole(&self);
    fn is_whole(&self) -> bool;
    /// Asks the source for no more.
    fn stop(&self);
}

pub(super) struct Slot<S> {
    /// `None` if the source's end is the body's.
    len: Option<u64>,
    lent: Mutex<Lent<S>>,
    /// The whole request body was given to the HTTP connection, so that GCS may have all of it. Read for each chunk,
    /// and so not under the lock.
    whole: AtomicBool,
}

struct Lent<S> {
    source: Option<S>,
    state: BodyState,
    received: u64,
    crc32c: Crc32c,
    /// The checksum that all bytes must have.
    expected: Option<Crc32c>,
    /// The checksum that the source gave at its end, once it is known to match.
    checksum: Option<Crc32c>,
    /// The source was asked for bytes and had none.
    source_pending: bool,
    /// Wakes the exchange that sends the body.
    driver: Option<Waker>,
    /// Wakes [`Lease::settled`](super::Lease::settled).
    lender: Option<Waker>,
}

impl<S> Slot<S> {
    pub(super) fn new(source: S, len: Option<u64>) -> Self {
        let state = match len {
            Some(0) => BodyState::Complete,
            _ => BodyState::Lent,
        };
        Self {
            len,
            lent: Mutex::new(Lent {
                source: Some(source),
                state,
                received: 0,
                crc32c: Crc32c::default(),
                expected: None,
                checksum: None,
                source_pending: false,
                driver: None,
                lender: None,
            }),
            whole: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lent<S>> {
        // A panic of the source leaves nothing half done in here.
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready with the state once the body needs the source no more.
    pub(super) fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<BodyState> {
        let mut lent = self.lock();
        if lent.state == BodyState::Lent {
            register(&mut lent.lender, cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(lent.state)
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&S) -> T) -> Option<T> {
        self.lock().source.as_ref().map(look)
    }

    /// Takes the source out, whatever the body is doing.
    pub(super) fn take(&self) -> Option<S> {
        let mut lent = self.lock();
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
}

impl<S> Lent<S> {
    /// Whether all bytes must have another checksum.
    fn is_other(&self, crc32c: Crc32c) -> bool {
        self.expected.is_some_and(|expected| expected != crc32c)
    }

    fn settle(&mut self, state: BodyState) {
        self.state = state;
        self.source_pending = false;
        if let Some(waker) = self.lender.take() {
            waker.wake();
        }
    }
}

/// Registers `waker` instead of the one before.
fn register(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        // Nearly always the same: not cloned again.
        Some(registered) => registered.clone_from(waker),
        none => *none = Some(waker.clone()),
    }
}

impl<S: Source> Lending for Slot<S> {
    fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Result<Given, BodyError>> {
        let mut slot = self.lock();
        let lent = &mut *slot;
        match lent.state {
            BodyState::Lent => {}
            BodyState::Complete => return Poll::Ready(Ok(Given::End)),
            // The rest is never sent; the exchange ends.
            BodyState::Stopped => return Poll::Pending,
            BodyState::Ended
            | BodyState::Failed(_)
            | BodyState::Aborted
            | BodyState::Malformed(_)
            | BodyState::Damaged
            | BodyState::Taken => return Poll::Ready(Err(BodyError)),
        }
        let missing = self.len.map_or(u64::MAX, |len| len - lent.received);
        let max = usize::try_from(missing).unwrap_or(usize::MAX);
        let Some(source) = lent.source.as_mut() else {
            lent.settle(BodyState::Taken);
            return Poll::Ready(Err(BodyError));
        };
        let Poll::Ready(chunk) = source.poll_chunk(cx, max) else {
            lent.source_pending = true;
            return Poll::Pending;
        };
        lent.source_pending = false;
        let told = source.checksum();
        let state = match chunk {
            Ok(chunk) if chunk.is_empty() && self.len.is_some() => BodyState::Ended,
            Ok(chunk)
                if chunk.is_empty()
                    && (lent.is_other(lent.crc32c) || told.is_some_and(|told| told != lent.crc32c)) =>
            {
                BodyState::Damaged
            }
            Ok(chunk) if chunk.is_empty() => {
                lent.checksum = told;
                lent.settle(BodyState::Complete);
                return Poll::Ready(Ok(Given::End));
            }
            Ok(chunk) if chunk.len() > max => BodyState::Failed(io::ErrorKind::InvalidData),
            Ok(bytes) => {
                lent.received += bytes.len() as u64;
                lent.crc32c = lent.crc32c.append(&bytes);
                let last = self.len == Some(lent.received);
                // The last chunk is not given away before the checksum of all of them is known: without it, GCS has no whole body.
                if last && lent.is_other(lent.crc32c) {
                    lent.settle(BodyState::Damaged);
                    return Poll::Ready(Err(BodyError));
                }
                if last {
                    lent.settle(BodyState::Complete);
                }
                return Poll::Ready(Ok(Given::Chunk { bytes, last }));
            }
            Err(SourceError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => BodyState::Ended,
            Err(SourceError::Io(error)) => BodyState::Failed(error.kind()),
            Err(SourceError::Aborted) => BodyState::Aborted,
            Err(SourceError::Damaged) => BodyState::Damaged,
            Err(SourceError::Malformed(why)) => BodyState::Malformed(why),
        };
        lent.settle(state);
        Poll::Ready(Err(BodyError))
    }

    fn len(&self) -> Option<u64> {
        self.len
    }

    fn missing(&self) -> Option<u64> {
        self.len.map(|len| len - self.lock().received)
    }

    fn observe(&self, waker: &Waker) -> Observed {
        let mut lent = self.lock();
        register(&mut lent.driver, waker);
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

    fn expect(&self, crc32c: Crc32c) {
        self.lock().expected = Some(crc32c);
    }

    fn set_whole(&self) {
        self.whole.store(true, Ordering::Release);
    }

    fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    fn stop(&self) {
        let mut lent = self.lock();
        lent.driver = None;
        if lent.state == BodyState::Lent {
            lent.settle(BodyState::Stopped);
        }
    }
}
