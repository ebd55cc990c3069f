//! The body of an answer that fails while it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, SizeHint};
use tokio::time::{Sleep, sleep};

/// How long an endless stall lasts before the connection is closed: a client that is gone is not noticed
/// while nothing is read.
pub(super) const LONGEST_STALL: Duration = Duration::from_secs(3600);

/// A body that breaks, stalls, or flips a bit. The head stays as it is.
#[derive(Debug)]
pub(crate) struct FaultyBody<B> {
    inner: B,
    /// How many bytes still pass before the body breaks.
    break_after: Option<u64>,
    /// How many bytes still pass before the body stalls.
    stall_after: Option<(u64, Option<Duration>)>,
    pause: Option<Pin<Box<Sleep>>>,
    corrupt: bool,
    /// The rest of the last piece.
    rest: Bytes,
    /// The bytes before the break have had a chance to be sent.
    flushed: bool,
}

impl<B: Body<Data = Bytes, Error = io::Error> + Unpin> FaultyBody<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self {
            inner,
            break_after: None,
            stall_after: None,
            pause: None,
            corrupt: false,
            rest: Bytes::new(),
            flushed: false,
        }
    }

    pub(super) fn break_after(&mut self, bytes: u64) {
        self.break_after = Some(bytes);
    }

    pub(super) fn stall_after(&mut self, bytes: u64, duration: Option<Duration>) {
        self.stall_after = Some((bytes, duration));
    }

    pub(super) fn corrupt(&mut self) {
        self.corrupt = true;
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        if self.break_after == Some(0) {
            if !self.flushed {
                self.flushed = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if let Some((0, duration)) = self.stall_after {
            self.stall_after = None;
            self.pause = Some(Box::pin(sleep(duration.unwrap_or(LONGEST_STALL))));
            if duration.is_none() {
                self.break_after = Some(0);
            }
            return self.poll_next(context);
        }
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let stall_after = self.stall_after.map(|(bytes, _)| bytes);
        let room = [self.break_after, stall_after].into_iter().flatten().min();
        let room = room.and_then(|room| usize::try_from(room).ok());
        let count = self.rest.len().min(room.unwrap_or(usize::MAX));
        let mut piece = self.rest.split_to(count);
        if let Some(bytes) = &mut self.break_after {
            *bytes -= count as u64;
        }
        if let Some((bytes, _)) = &mut self.stall_after {
            *bytes -= count as u64;
        }
        if self.corrupt && !piece.is_empty() {
            self.corrupt = false;
            let mut changed = piece.to_vec();
            changed[count / 2] ^= 1;
            piece = changed.into();
        }
        Poll::Ready(Some(Ok(piece)))
    }

    /// False until the fault has happened.
    pub(crate) fn is_ended(&self) -> bool {
        self.rest.is_empty()
            && self.break_after.is_none()
            && self.stall_after.is_none()
            && self.inner.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
