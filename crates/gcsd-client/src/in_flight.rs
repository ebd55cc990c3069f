//! The requests of a connection that have no reply yet, and whether the connection can still be used.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::error::Error;
use super::lost::Reason;
use gcsd_net::Acknowledgements;
use gcsd_wire::head::CHECKED;
use gcsd_wire::{self, Opcode, RequestHead, WireArgs as _, cancel};

/// How long a daemon may take to close a connection on which nothing is due, or to send its last replies once the socket
/// can no longer be written to.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A whole reply: its args and its body.
pub(super) type Whole = (gcsd_wire::Reply, Bytes);

/// What a reply in several frames consists of, in the order in which it is received.
#[derive(Debug)]
pub(super) enum ReadEvent {
    /// The args of the first frame, if they announce the reply, or of the last one.
    Args(gcsd_wire::Reply),
    Bytes(Bytes),
}

/// The receiver of a reply.
#[derive(Debug)]
pub(super) enum Waiter {
    Whole(oneshot::Sender<Result<Whole, Error>>),
    Read(mpsc::Sender<Result<ReadEvent, Error>>),
    /// Nobody any more; the reply must still be skipped.
    Nobody,
}

/// A request on its way to the sending task.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) sequence: u64,
    /// Head and args.
    pub(super) front: Bytes,
    pub(super) body: Body,
    pub(super) attention: Arc<Attention>,
}

#[derive(Debug)]
struct Pending {
    opcode: Opcode,
    /// Whether the sending task took it: some of its bytes may have left.
    sent: bool,
    waiter: Waiter,
    attention: Arc<Attention>,
    /// A Cancel is on its way to the daemon.
    cancelled: bool,
    /// Held until the reply comes, even if the caller goes away before. A Cancel needs none: the daemon keeps a place for it.
    _permit: Option<OwnedSemaphorePermit>,
}

/// How the caller and the receiving task tell the sending task whether a request is still wanted.
#[derive(Debug, Default)]
pub(super) struct Attention {
    state: AtomicU8,
    changed: Notify,
}

const WAITING: u8 = 0;
/// The reply has come; the daemon reads the rest of the body and discards it.
const ANSWERED: u8 = 1;
/// The reply has come, and says that the daemon reads no more.
const REFUSED: u8 = 2;
/// The caller went away.
const ABANDONED: u8 = 3;

impl Attention {
    pub(super) fn answered(&self, closing: bool) {
        let state = if closing { REFUSED } else { ANSWERED };
        self.state.store(state, Ordering::Release);
        self.changed.notify_one();
    }

    /// The caller went away. `false` if that does not matter, because the reply has come.
    pub(super) fn abandon(&self) -> bool {
        let change = self
            .state
            .compare_exchange(WAITING, ABANDONED, Ordering::AcqRel, Ordering::Acquire);
        if change.is_ok() {
            self.changed.notify_one();
        }
        change.is_ok()
    }

    pub(super) fn abandoned(&self) -> bool {
        self.state.load(Ordering::Acquire) == ABANDONED
    }

    /// The daemon reads no more of the request, nor of any other.
    pub(super) fn refused(&self) -> bool {
        self.state.load(Ordering::Acquire) == REFUSED
    }

    /// The body of the request is no longer wanted: its reply has come, or the caller went away.
    pub(super) fn unwanted(&self) -> bool {
        self.state.load(Ordering::Acquire) != WAITING
    }

    /// Returns once the body is [unwanted](Self::unwanted).
    pub(super) async fn lapse(&self) {
        loop {
            let changed = self.changed.notified();
            if self.unwanted() {
                return;
            }
            changed.await;
        }
    }

    /// Returns once no more bytes of the request should be sent.
    pub(super) async fn stop(&self) {
        loop {
            let changed = self.changed.notified();
            match self.state.load(Ordering::Acquire) {
                REFUSED | ABANDONED => return,
                _ => changed.await,
            }
        }
    }
}

#[derive(Debug)]
struct State {
    next: u64,
    pending: HashMap<u64, Pending>,
    /// Why no further request is taken.
    over: Option<Reason>,
    requests: Option<mpsc::UnboundedSender<Outgoing>>,
}

impl State {
    fn enqueue(
        &mut self,
        opcode: Opcode,
        front: impl FnOnce(u64) -> Bytes,
        body: Body,
        waiter: Waiter,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(u64, Arc<Attention>), Error> {
        let Some(requests) = &self.requests else {
            let reason = self.over.clone().unwrap_or(Reason::ClosedHere);
            return Err(reason.lost(false));
        };
        let attention = Arc::new(Attention::default());
        let sequence = self.next;
        self.next += 1;
        let outgoing = Outgoing {
            sequence,
            front: front(sequence),
            body,
            attention: attention.clone(),
        };
        if requests.send(outgoing).is_err() {
            return Err(Reason::ClosedHere.lost(false));
        }
        let pending = Pending {
            opcode,
            sent: false,
            waiter,
            attention: attention.clone(),
            cancelled: false,
            _permit: permit,
        };
        self.pending.insert(sequence, pending);
        Ok((sequence, attention))
    }
}

/// What callers and the two tasks of a connection share.
#[derive(Debug)]
pub(super) struct InFlight {
    state: Mutex<State>,
    /// Set when no further request is taken.
    pub(super) over: CancellationToken,
    /// Set when nothing is in flight any more and never will be.
    pub(super) ended: CancellationToken,
    /// Wakes the receiving task, so that it asks for [`patience`](Self::patience) again.
    pub(super) news: Notify,
    /// A body was given up before its end.
    pub(super) cut: AtomicBool,
    pub(super) clock: Clock,
}

impl InFlight {
    /// `requests` leads to the sending task. The permits of the requests bound it.
    pub(super) fn new(requests: mpsc::UnboundedSender<Outgoing>) -> Self {
        Self {
            state: Mutex::new(State {
                next: 1,
                pending: HashMap::new(),
                over: None,
                requests: Some(requests),
            }),
            over: CancellationToken::new(),
            ended: CancellationToken::new(),
            news: Notify::new(),
            cut: AtomicBool::new(false),
            clock: Clock::new(),
        }
    }

    /// Gives a request its sequence and hands it to the sending task.
    ///
    /// `front` encodes head and args, given the sequence.
    pub(super) fn enqueue(
        &self,
        opcode: Opcode,
        front: impl FnOnce(u64) -> Bytes,
        body: Body,
        waiter: Waiter,
        permit: OwnedSemaphorePermit,
    ) -> Result<(u64, Arc<Attention>), Error> {
        let mut state = self.lock();
        if state.pending.is_empty() {
            self.clock.touch();
        }
        state.enqueue(opcode, front, body, waiter, Some(permit))
    }

    /// The caller of a request went away. What only looks is cancelled, if it may have reached the daemon.
    pub(super) fn give_up(&self, sequence: u64) {
        let mut state = self.lock();
        let only_looks = |pending: &Pending| {
            matches!(
                pending.opcode,
                Opcode::ReadAt
                    | Opcode::StatObject
                    | Opcode::StatBucket
                    | Opcode::ListObjects
                    | Opcode::ListBuckets
                    | Opcode::ListParts
            )
        };
        let wanted = |pending: &&Pending| pending.sent && only_looks(pending);
        if state.pending.get(&sequence).filter(wanted).is_none() {
            return;
        }
        let args = cancel::Args { target: sequence }.to_bytes();
        let front = |sequence| {
            let head = RequestHead {
                opcode: Opcode::Cancel as u8,
                flags: CHECKED,
                sequence,
                upload: 0,
                args_len: 0,
                body_len: 0,
            };
            head.front(&args)
        };
        let queued = state.enqueue(Opcode::Cancel, front, Body::empty(), Waiter::Nobody, None);
        if let (Ok(_), Some(pending)) = (queued, state.pending.get_mut(&sequence)) {
            pending.cancelled = true;
        }
    }

    /// Whether a Cancel of this request is on its way.
    pub(super) fn is_cancelled(&self, sequence: u64) -> bool {
        let state = self.lock();
        state
            .pending
            .get(&sequence)
            .is_some_and(|pending| pending.cancelled)
    }

    /// The sending task is about to send a request. If `false`, it must not.
    pub(super) fn take(&self, request: &Outgoing) -> bool {
        let mut state = self.lock();
        if request.attention.abandoned() {
            state.pending.remove(&request.sequence);
            return false;
        }
        match state.pending.get_mut(&request.sequence) {
            Some(pending) => {
                pending.sent = true;
                true
            }
            None => false,
        }
    }

    /// The opcode that a frame with this sequence must have.
    pub(super) fn opcode(&self, sequence: u64) -> Option<Opcode> {
        let state = self.lock();
        let pending = state.pending.get(&sequence)?;
        pending.sent.then_some(pending.opcode)
    }

    /// Where the frames of a read go; `None` if nobody waits for them.
    pub(super) fn reader(&self, sequence: u64) -> Option<mpsc::Sender<Result<ReadEvent, Error>>> {
        match &self.lock().pending.get(&sequence)?.waiter {
            Waiter::Read(events) => Some(events.clone()),
            _ => None,
        }
    }

    /// The last frame of a reply has come: forgets the request, and returns who waits for it.
    pub(super) fn answered(&self, sequence: u64, closing: bool) -> Waiter {
        match self.lock().pending.remove(&sequence) {
            Some(pending) => {
                pending.attention.answered(closing);
                pending.waiter
            }
            None => Waiter::Nobody,
        }
    }

    /// The source of a body failed: tells the caller, and takes no further request.
    pub(super) fn source_failed(&self, sequence: u64, error: std::io::Error) {
        self.body_failed(sequence, error);
        self.close(Reason::SourceFailed);
    }

    /// The source of a body failed, and the body was taken back: tells the caller.
    pub(super) fn body_failed(&self, sequence: u64, error: std::io::Error) {
        let waiter = match self.lock().pending.get_mut(&sequence) {
            Some(pending) => std::mem::replace(&mut pending.waiter, Waiter::Nobody),
            None => Waiter::Nobody,
        };
        if let Waiter::Whole(waiter) = waiter {
            // The caller may have gone away.
            let _gone = waiter.send(Err(Error::Source(error.into())));
        }
    }

    /// Takes no further request, and fails those that were not sent. The first reason stays.
    pub(super) fn close(&self, reason: Reason) {
        let mut state = self.lock();
        state.over.get_or_insert(reason.clone());
        state.requests = None;
        let unsent: Vec<u64> = state
            .pending
            .iter()
            .filter(|(_, pending)| !pending.sent)
            .map(|(sequence, _)| *sequence)
            .collect();
        for pending in unsent
            .iter()
            .filter_map(|sequence| state.pending.remove(sequence))
        {
            pending.waiter.fail(reason.clone().lost(false));
        }
        self.over.cancel();
        self.news.notify_one();
    }

    /// Takes no further request; those that were taken are still sent.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        state.over.get_or_insert(Reason::ClosedHere);
        state.requests = None;
        self.news.notify_one();
    }

    /// The connection is over: everything in flight fails. The first reason stays.
    pub(super) fn end(&self, reason: Reason) {
        self.close(reason);
        let mut state = self.lock();
        let reason = state.over.clone().unwrap_or(Reason::Closed);
        for (_, pending) in state.pending.drain() {
            // Releases a body that is being sent.
            pending.attention.answered(true);
            pending.waiter.fail(reason.clone().lost(true));
        }
        self.ended.cancel();
    }

    /// Whether a request was given up before its end, so that what the kernel still holds of it is of no use.
    pub(super) fn is_cut(&self) -> bool {
        let unfinished = self.clock.writing.load(Ordering::Relaxed) || self.cut.load(Ordering::Relaxed);
        unfinished || matches!(self.lock().over, Some(Reason::Stalled(_)))
    }

    /// Why no further request is taken; `None` while the connection can be used.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.lock().over.clone()
    }

    /// How long the daemon may be silent; `None` while nothing is due from it.
    pub(super) fn patience(&self, stall: Duration) -> Option<Duration> {
        if self.clock.held.load(Ordering::Relaxed) {
            return None;
        }
        let state = self.lock();
        let busy = !state.pending.is_empty() || self.clock.writing.load(Ordering::Relaxed);
        match (&state.over, busy) {
            (Some(Reason::Broken(_)), _) | (Some(_), false) => Some(stall.min(LAST_WORDS)),
            (_, true) => Some(stall),
            (None, false) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    fn fail(self, error: Error) {
        match self {
            Self::Whole(waiter) => {
                // The caller may have gone away.
                let _gone = waiter.send(Err(error));
            }
            // The channel may be full. Its end tells the reader, who asks for the reason.
            Self::Read(_) | Self::Nobody => {}
        }
    }
}

/// When something last moved on the connection.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    moved_ms: AtomicU64,
    /// A request is on its way into the socket.
    pub(super) writing: AtomicBool,
    /// This side is slow: the daemon is not to blame.
    pub(super) held: AtomicBool,
    /// What the daemon's kernel has acknowledged: that moves too, long after the last write on a slow link.
    pub(super) acknowledgements: Acknowledgements,
}

impl Clock {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            moved_ms: AtomicU64::new(0),
            writing: AtomicBool::new(false),
            held: AtomicBool::new(false),
            acknowledgements: Acknowledgements::default(),
        }
    }

    /// Something moved.
    pub(super) fn touch(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(now, Ordering::Relaxed);
    }

    /// How long nothing has moved.
    pub(super) fn still(&self) -> Duration {
        self.start
            .elapsed()
            .saturating_sub(Duration::from_millis(self.moved_ms.load(Ordering::Relaxed)))
    }
}
