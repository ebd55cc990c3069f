//! The task that reads replies from the socket and hands them to their callers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio_util::codec::Decoder as _;

use super::error::Error;
use super::in_flight::{InFlight, ReadEvent, Waiter};
use super::lost::Reason;
use super::status_error::StatusError;
use gcsd_net::Acknowledgements;
use gcsd_wire::codec::FrameError;
use gcsd_wire::{ErrorReply, Reply, ReplyCodec, ReplyFrame, ReplyHead, WireArgs as _, hello, page, read_at};

/// The room for one read of the socket, in bytes.
const READ_LEN: usize = 256 * 1024;

/// The largest args of a reply that are accepted, in bytes: tokens and names are far smaller.
const MAX_ARGS: u32 = 1024 * 1024;

/// The largest body of a reply that is held in memory, in bytes: the JSON resource of an object.
const MAX_BODY: u64 = 4 * 1024 * 1024;

/// The most bytes of an abandoned read that are skipped to keep the connection, if it cannot be cancelled.
const SKIPPED: u64 = 1024 * 1024;

/// The most bytes that come of a read behind its Cancel: what waits in the daemon and in both kernels (section 4.3 of the
/// specification), several times over.
const ON_THE_WAY: u64 = 64 * 1024 * 1024;

/// Hands out replies until the connection is over, then fails the requests still in flight.
pub(super) async fn run<R: AsyncRead + Unpin>(half: R, in_flight: Arc<InFlight>, stall: Duration) {
    let mut receiver = Receiver {
        socket: Socket {
            half,
            buffer: BytesMut::new(),
            in_flight,
            stall,
        },
        codec: ReplyCodec { max_args: MAX_ARGS },
        reads: HashMap::new(),
        agreed: false,
    };
    let Err(reason) = receiver.replies().await;
    // Before the readers of `reads` are dropped: they ask why.
    receiver.socket.in_flight.end(reason);
}

struct Receiver<R> {
    socket: Socket<R>,
    codec: ReplyCodec,
    /// Replies in several frames, of which the first has been received.
    reads: HashMap<u64, Read>,
    /// The daemon has agreed that every frame is checked, also one that answers no request.
    agreed: bool,
}

/// A reply in several frames.
struct Read {
    /// Where it goes; `None` once the caller went away.
    events: Option<mpsc::Sender<Result<ReadEvent, Error>>>,
    /// Bytes that are still to come, if the daemon said how many.
    rest: Option<u64>,
    /// Bytes received.
    received: u64,
    /// Those of them that nobody wanted.
    skipped: u64,
}

impl<R: AsyncRead + Unpin> Receiver<R> {
    async fn replies(&mut self) -> Result<Infallible, Reason> {
        loop {
            let frame = self.frame().await?;
            let head = frame.head;
            if head.sequence == 0 {
                // The daemon still answers earlier requests, then closes.
                let error = Box::new(status_error(&frame)?);
                self.socket.skip(head.body_len).await?;
                self.socket.in_flight.close(Reason::NotUnderstood(error));
                continue;
            }
            let Some(opcode) = self.socket.in_flight.opcode(head.sequence) else {
                return Err(protocol("a reply to a request that was not made"));
            };
            if head.opcode != opcode as u8 {
                return Err(protocol("a reply with another opcode than its request"));
            }
            if head.closing() && !head.more() {
                // Before the caller has its answer, and sends the next request on this connection.
                self.socket.in_flight.close(Reason::Closing(head.status));
            }
            if !head.status.is_ok() {
                let error = Error::from(status_error(&frame)?);
                self.failed(&frame, error).await?;
            } else {
                let reply = Reply::decode(opcode, frame.args)
                    .map_err(|error| Reason::Protocol(format!("the reply of {}: {error}", opcode.name())))?;
                match FramePlace::of(&reply) {
                    FramePlace::Whole => self.whole(head, reply).await?,
                    place => self.read_frame(head, place, reply).await?,
                }
            }
        }
    }

    /// The next frame, without its body.
    async fn frame(&mut self) -> Result<ReplyFrame, Reason> {
        loop {
            match self.codec.decode(&mut self.socket.buffer) {
                // The damage may have cleared the request's flag `checked`: the reply then has none either.
                Ok(Some(frame)) if (frame.head.sequence != 0 || self.agreed) && !frame.head.checked() => {
                    return Err(Reason::Damaged);
                }
                Ok(Some(frame)) => return Ok(frame),
                Err(FrameError::Damaged) => return Err(Reason::Damaged),
                Ok(None) => {}
                Err(FrameError::Io(error)) => return Err(Reason::Broken(error.into())),
                Err(error) => return Err(Reason::Protocol(error.to_string())),
            }
            if !self.socket.fill().await? {
                return Err(if self.socket.buffer.is_empty() {
                    Reason::Closed
                } else {
                    Reason::Truncated
                });
            }
        }
    }

    /// A reply of one frame.
    async fn whole(&mut self, head: ReplyHead, reply: Reply) -> Result<(), Reason> {
        if head.more() {
            return Err(protocol("a reply of several frames where one is due"));
        }
        if head.body_len > MAX_BODY {
            return Err(protocol("a reply whose body is too large to be one"));
        }
        let body = self.socket.body(head.body_len).await?;
        if let Reply::Hello(hello) = &reply {
            self.agreed |= hello.features & hello::CHECKED != 0;
        }
        if let Waiter::Whole(waiter) = self.socket.in_flight.answered(head.sequence, head.closing()) {
            // The caller may have gone away.
            let _gone = waiter.send(Ok((reply, body)));
        }
        Ok(())
    }

    /// An error, perhaps in the middle of a reply.
    async fn failed(&mut self, frame: &ReplyFrame, error: Error) -> Result<(), Reason> {
        if frame.head.more() {
            return Err(protocol("an error with more frames behind it"));
        }
        // Errors have no body; one of a later version would be skipped.
        self.socket.skip(frame.head.body_len).await?;
        self.reads.remove(&frame.head.sequence);
        let closing = frame.head.closing();
        match self.socket.in_flight.answered(frame.head.sequence, closing) {
            Waiter::Whole(waiter) => {
                // The caller may have gone away.
                let _gone = waiter.send(Err(error));
            }
            Waiter::Read(events) => {
                self.socket.give(&events, Err(error)).await;
            }
            Waiter::Nobody => {}
        }
        Ok(())
    }

    /// A frame of a successful reply in several frames.
    async fn read_frame(&mut self, head: ReplyHead, place: FramePlace, reply: Reply) -> Result<(), Reason> {
        // A list has no frame that announces it.
        if matches!(reply, Reply::ListObjects(_) | Reply::ListBuckets(_))
            && !self.reads.contains_key(&head.sequence)
        {
            self.begin(head.sequence, None);
        }
        let begun = self.reads.contains_key(&head.sequence);
        match place {
            FramePlace::Start(len) if !begun && head.more() && head.body_len == 0 => {
                self.begin(head.sequence, len);
                let Some(read) = self.reads.get_mut(&head.sequence) else {
                    return Ok(());
                };
                self.socket
                    .pass(head.sequence, read, ReadEvent::Args(reply))
                    .await
            }
            FramePlace::Piece if begun && head.more() => self.piece(head.sequence, head.body_len).await,
            FramePlace::End(sent) if begun && !head.more() && head.body_len == 0 => {
                let Some(mut read) = self.reads.remove(&head.sequence) else {
                    return Err(protocol("the end of a read that was not begun"));
                };
                if sent != read.received || read.rest.is_some_and(|rest| rest != 0) {
                    return Err(protocol("a read that ends with another length than it said"));
                }
                self.socket.in_flight.answered(head.sequence, head.closing());
                read.rest = Some(0);
                self.socket
                    .pass(head.sequence, &mut read, ReadEvent::Args(reply))
                    .await
            }
            _ => Err(protocol("a frame out of its place in a reply of several")),
        }
    }

    fn begin(&mut self, sequence: u64, len: Option<u64>) {
        let read = Read {
            events: self.socket.in_flight.reader(sequence),
            rest: len,
            received: 0,
            skipped: 0,
        };
        self.reads.insert(sequence, read);
    }

    /// The body of a piece, passed on as it arrives.
    async fn piece(&mut self, sequence: u64, len: u64) -> Result<(), Reason> {
        let Some(read) = self.reads.get_mut(&sequence) else {
            return Err(protocol("a piece of a read that was not begun"));
        };
        if len == 0 || read.rest.is_some_and(|rest| len > rest) {
            return Err(protocol("a read that gives more or fewer bytes than it said"));
        }
        let mut left = len;
        while left > 0 {
            let bytes = self.socket.some(left).await?;
            let count = bytes.len() as u64;
            left -= count;
            read.received = read.received.saturating_add(count);
            read.rest = read.rest.map(|rest| rest.saturating_sub(count));
            self.socket.pass(sequence, read, ReadEvent::Bytes(bytes)).await?;
        }
        Ok(())
    }
}

/// The place of a frame in its reply.
enum FramePlace {
    /// The only frame.
    Whole,
    /// The first of several. It announces the length, if that is known.
    Start(Option<u64>),
    /// One with bytes.
    Piece,
    /// The last, with the number of bytes sent.
    End(u64),
}

impl FramePlace {
    fn of(reply: &Reply) -> Self {
        match reply {
            Reply::ReadAt(read_at::ReadAtReply::Start(start)) => Self::Start(start.len),
            Reply::ReadAt(read_at::ReadAtReply::Piece)
            | Reply::ListObjects(page::PageReply::Piece)
            | Reply::ListBuckets(page::PageReply::Piece) => Self::Piece,
            Reply::ReadAt(read_at::ReadAtReply::End(end)) => Self::End(end.sent),
            Reply::ListObjects(page::PageReply::End(end)) | Reply::ListBuckets(page::PageReply::End(end)) => {
                Self::End(end.sent)
            }
            _ => Self::Whole,
        }
    }
}

/// The socket, and the bytes that have been read from it.
struct Socket<R> {
    half: R,
    buffer: BytesMut,
    in_flight: Arc<InFlight>,
    stall: Duration,
}

impl<R: AsyncRead + Unpin> Socket<R> {
    /// Reads once; `false` at the end of the stream.
    ///
    /// Fails if nothing moves for too long though something is due.
    async fn fill(&mut self) -> Result<bool, Reason> {
        self.buffer.reserve(READ_LEN);
        loop {
            let patience = self.in_flight.patience(self.stall);
            let bound = patience.unwrap_or(self.stall);
            let still = self.in_flight.clock.still();
            let pause = match patience {
                Some(bound) => bound.saturating_sub(still).min(bound / Acknowledgements::LOOKS),
                None => bound,
            };
            tokio::select! {
                biased;
                read = self.half.read_buf(&mut self.buffer) => return self.moved(read),
                () = self.in_flight.news.notified() => continue,
                () = tokio::time::sleep(pause) => {}
            }
            self.in_flight.clock.acknowledgements.ask();
            if let Some(read) = self.read_now().await {
                return self.moved(read);
            }
            if self.in_flight.clock.acknowledgements.advanced() {
                self.in_flight.clock.touch();
            } else if let Some(bound) = self.in_flight.patience(self.stall)
                && self.in_flight.clock.still() >= bound
            {
                return Err(Reason::Stalled(bound));
            }
        }
    }

    /// Reads what is there.
    async fn read_now(&mut self) -> Option<io::Result<usize>> {
        let mut read = pin!(self.half.read_buf(&mut self.buffer));
        std::future::poll_fn(|cx| match read.as_mut().poll(cx) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    fn moved(&self, read: io::Result<usize>) -> Result<bool, Reason> {
        let count = read.map_err(|error| Reason::Broken(error.into()))?;
        self.in_flight.clock.touch();
        Ok(count > 0)
    }

    /// At least one byte, and at most all, of the `left` bytes of a body.
    async fn some(&mut self, left: u64) -> Result<Bytes, Reason> {
        if self.buffer.is_empty() && !self.fill().await? {
            return Err(Reason::Truncated);
        }
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
        Ok(self.buffer.split_to(count).freeze())
    }

    /// A whole body of `len` bytes, which are few.
    async fn body(&mut self, len: u64) -> Result<Bytes, Reason> {
        let len = usize::try_from(len).map_err(|_| protocol("a reply whose body is too large to be one"))?;
        while self.buffer.len() < len {
            if !self.fill().await? {
                return Err(Reason::Truncated);
            }
        }
        // Copied: a slice would keep a large buffer alive.
        Ok(Bytes::copy_from_slice(&self.buffer.split_to(len)))
    }

    /// Skips `len` bytes.
    async fn skip(&mut self, len: u64) -> Result<(), Reason> {
        if len > MAX_BODY {
            return Err(protocol("an error with a body"));
        }
        let mut left = len;
        while left > 0 {
            left -= self.some(left).await?.len() as u64;
        }
        Ok(())
    }

    /// Hands an event to the reader of `read`. While it has no room, the socket is not read.
    ///
    /// Fails if the reader went away and too much is still to come.
    async fn pass(&mut self, sequence: u64, read: &mut Read, event: ReadEvent) -> Result<(), Reason> {
        let len = match &event {
            ReadEvent::Bytes(bytes) => bytes.len() as u64,
            ReadEvent::Args(_) => 0,
        };
        if let Some(events) = &read.events
            && !self.give(events, Ok(event)).await
        {
            read.events = None;
        }
        if read.events.is_some() {
            return Ok(());
        }
        read.skipped = read.skipped.saturating_add(len);
        let few = match self.in_flight.is_cancelled(sequence) {
            true => read.skipped <= ON_THE_WAY,
            false => read.rest.is_some_and(|rest| rest <= SKIPPED),
        };
        if few { Ok(()) } else { Err(Reason::Abandoned) }
    }

    /// Waits until `events` has room. Returns `false` if the reader went away.
    async fn give(
        &mut self,
        events: &mpsc::Sender<Result<ReadEvent, Error>>,
        event: Result<ReadEvent, Error>,
    ) -> bool {
        let given = events.send(event).await.is_ok();
        // It was the reader that was slow, not the daemon.
        self.in_flight.clock.touch();
        given
    }
}

/// The error that the daemon sent.
fn status_error(frame: &ReplyFrame) -> Result<StatusError, Reason> {
    if frame.head.status.is_ok() {
        return Err(protocol("a success that belongs to no request"));
    }
    let reply = ErrorReply::decode(frame.args.clone())
        .map_err(|error| Reason::Protocol(format!("the args of an error: {error}")))?;
    Ok(StatusError::new(frame.head.status, frame.head.http_status, reply))
}

fn protocol(what: &str) -> Reason {
    Reason::Protocol(what.to_owned())
}
