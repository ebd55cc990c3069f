//! A connection's read half and its one buffer: frames for the connection's loop, the bytes of a body for HTTP.
//!
//! While the client is silent no buffer is held: it is allocated when the socket has something to read, and
//! freed when it is empty again.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::codec::Decoder;

use super::lines::End;
use super::socket::ReadHalf;
use crate::ops::{Failure, Limits};
use gcsd_wire::codec::FrameError;
use gcsd_wire::{HEAD_LEN, RequestCodec, RequestFrame, RequestHead};

/// The largest read outside of bodies: what a connection may have sent beyond the request that is being looked at, and all
/// that it costs before memory for its next request was found.
pub(super) const SMALL_READ: usize = 16 * 1024;
/// How many bytes that the daemon holds or throws away must come within the client's time.
const PACE: usize = 64 * 1024;

/// The clock of bytes that the daemon holds or throws away: no single byte starts it anew.
pub(super) struct Pace {
    limit: Duration,
    deadline: Instant,
    passed: usize,
}

impl Pace {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            deadline: Instant::now() + limit,
            passed: 0,
        }
    }

    /// When the next bytes must have come, after `len` more have.
    pub(super) fn after(&mut self, len: usize) -> Instant {
        self.passed += len;
        if self.passed >= PACE {
            *self = Self::new(self.limit);
        }
        self.deadline
    }
}

/// What the connection does after a request, and the reader that the request gives back.
#[derive(Debug)]
pub(super) enum Next {
    /// Reads the next request: the reader stands at the frame boundary.
    Read(Reader),
    /// Closes the connection. With a reader, input may still arrive.
    Close(Option<Reader>),
    /// The client is gone, or has to go, and there is nothing to tell it.
    Gone(End),
    /// Tells the client why the frame boundary is lost, then closes the connection.
    Lost(Reader, Box<Failure>),
}

/// Why there is no further frame.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The bytes are not a frame.
    Malformed(FrameError),
    /// The stream ended inside a frame, of which this many bytes were read.
    Truncated(usize),
    /// The client began a frame, and too much time passed before it was there.
    Stalled,
    /// The client said nothing in time after it had connected.
    Silent,
    /// The client asked for nothing for too long.
    Idle,
    /// The socket failed.
    Broken(io::Error),
}

/// The client's bytes.
#[derive(Debug)]
pub(super) struct Reader {
    half: ReadHalf,
    buffer: BytesMut,
    /// The largest read, in bytes.
    chunk: usize,
    codec: RequestCodec,
    client_timeout: Duration,
    /// When the frame that has begun must be there.
    deadline: Option<Instant>,
    /// When the client must have said what it has to say first.
    handshake: Option<Instant>,
    /// The buffer was made for a body.
    bulk: bool,
    /// The client's stream ended or failed inside a body.
    ended: bool,
}

impl Reader {
    /// A connection that was accepted just now, whose client has until `handshake` for what it has to say first.
    pub(super) fn new(half: ReadHalf, chunk: usize, limits: &Limits, handshake: Instant) -> Self {
        let chunk = chunk.max(HEAD_LEN);
        Self {
            half,
            buffer: BytesMut::new(),
            chunk,
            codec: RequestCodec {
                max_args: limits.max_args,
                checked: false,
            },
            client_timeout: limits.client_timeout,
            deadline: None,
            handshake: Some(handshake),
            bulk: false,
            ended: false,
        }
    }

    /// Waits for the next request to begin. False if the client has half-closed between two requests. Cancel safe.
    pub(super) async fn begin(&mut self) -> Result<bool, ReadError> {
        if self.bulk && !self.buffer.is_empty() {
            // As it is, the little that was read beyond a body keeps a large buffer alive.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        self.bulk = false;
        while self.buffer.is_empty() {
            if !self.more().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The head of the request that has begun, which [`frame`](Self::frame) is still to give, and to judge if it is
    /// checked. Cancel safe.
    pub(super) async fn head(&mut self) -> Result<RequestHead, ReadError> {
        loop {
            if let Some(head) = self.codec.peek(&self.buffer).map_err(ReadError::Malformed)? {
                return Ok(head);
            }
            self.more().await?;
        }
    }

    /// From now on, every request must be checked.
    pub(super) fn agree_checked(&mut self) {
        self.codec.checked = true;
    }

    /// The head and args of the request that has begun. Cancel safe: what was read stays in the buffer.
    pub(super) async fn frame(&mut self) -> Result<RequestFrame, ReadError> {
        loop {
            let frame = self.codec.decode(&mut self.buffer);
            if let Some(frame) = frame.map_err(ReadError::Malformed)? {
                self.deadline = None;
                return Ok(frame);
            }
            self.more().await?;
        }
    }

    /// Reads more of a frame. False at the stream's end between two frames.
    ///
    /// The clock of a frame starts with its first byte, and no further byte starts it anew.
    async fn more(&mut self) -> Result<bool, ReadError> {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.deadline = None;
        } else {
            let limit = self.client_timeout;
            self.deadline.get_or_insert_with(|| Instant::now() + limit);
        }
        let deadline = self.deadline.into_iter().chain(self.handshake).min();
        let readable = match deadline {
            Some(deadline) => match timeout_at(deadline, self.half.readable()).await {
                Ok(readable) => readable,
                Err(_) if self.buffer.is_empty() => return Err(ReadError::Silent),
                Err(_) => return Err(ReadError::Stalled),
            },
            None => self.half.readable().await,
        };
        readable.map_err(ReadError::Broken)?;
        if self.fill(usize::MAX, SMALL_READ).map_err(ReadError::Broken)? == Some(0) {
            return match self.buffer.len() {
                0 => Ok(false),
                read => Err(ReadError::Truncated(read)),
            };
        }
        Ok(true)
    }

    /// The daemon itself kept the client waiting for this long: its clocks stood still.
    pub(super) fn excuse(&mut self, waited: Duration) {
        for deadline in [&mut self.deadline, &mut self.handshake].into_iter().flatten() {
            *deadline += waited;
        }
    }

    /// The client has said what it had to say first: its connection may be idle from now on.
    pub(super) fn established(&mut self) {
        self.handshake = None;
    }

    /// Reads `len` bytes and discards them. False if the client left or was too slow.
    pub(super) async fn skip(&mut self, mut len: u64) -> bool {
        let mut pace = Pace::new(self.client_timeout);
        loop {
            let buffered = self.buffer.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            drop(self.buffer.split_to(buffered));
            len -= buffered as u64;
            if len == 0 {
                return true;
            }
            let deadline = self.handshake.into_iter().chain([pace.after(buffered)]).min();
            let readable = self.half.readable();
            let readable = timeout_at(deadline.unwrap_or_else(Instant::now), readable).await;
            let filled = match readable {
                Ok(Ok(())) => self.fill(usize::try_from(len).unwrap_or(usize::MAX), SMALL_READ),
                Ok(Err(error)) => Err(error),
                Err(_) => return false,
            };
            if !matches!(filled, Ok(None | Some(1..))) {
                return false;
            }
        }
    }

    /// Reads what there is, up to `max` bytes and a `chunk`: how many bytes, 0 at the stream's end; `None` if there is
    /// nothing yet.
    fn fill(&mut self, max: usize, chunk: usize) -> io::Result<Option<usize>> {
        // A nearly full buffer would make for small reads, and small reads cost the most.
        let wanted = max.min(chunk / 4).max(1);
        if self.buffer.capacity() - self.buffer.len() < wanted {
            self.buffer.reserve(chunk);
        }
        let spare = (self.buffer.capacity() - self.buffer.len()).min(chunk);
        match self
            .half
            .try_read_buf(&mut (&mut self.buffer).limit(max.min(spare)))
        {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// As [`fill`](Self::fill), inside a body: waits until there is something.
    fn poll_fill(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<usize>> {
        self.bulk = true;
        loop {
            let filled = match ready!(self.half.poll_readable(cx)) {
                Ok(()) => self.fill(max, self.chunk),
                Err(error) => Err(error),
            };
            if let Some(filled) = filled.transpose() {
                self.ended |= !matches!(filled, Ok(1..));
                return Poll::Ready(filled);
            }
        }
    }

    /// The next bytes of a body: at least one and at most `max`, none at the stream's end. Reads up to `ahead` bytes if
    /// none are buffered.
    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
        ahead: usize,
    ) -> Poll<io::Result<Bytes>> {
        if self.buffer.is_empty() && ready!(self.poll_fill(cx, ahead))? == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        let len = self.buffer.len().min(max);
        Poll::Ready(Ok(self.buffer.split_to(len).freeze()))
    }

    /// The next `N` bytes inside a body, which are few. The stream's end is an error; until then what was read stays in
    /// the buffer.
    pub(super) fn poll_exactly<const N: usize>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<[u8; N]>> {
        loop {
            if let Some(bytes) = self.buffer.first_chunk::<N>().copied() {
                self.buffer.advance(N);
                return Poll::Ready(Ok(bytes));
            }
            if ready!(self.poll_fill(cx, SMALL_READ))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// As [`poll_exactly`](Self::poll_exactly); `None` if the client left or stalled before the last.
    pub(super) async fn exactly<const N: usize>(&mut self) -> Option<[u8; N]> {
        let client_timeout = self.client_timeout;
        let bytes = timeout(client_timeout, std::future::poll_fn(|cx| self.poll_exactly(cx))).await;
        bytes.ok()?.ok()
    }

    /// How many bytes can be read without waiting at least, those in the kernel included.
    pub(super) fn received(&self) -> u64 {
        self.half.unread().saturating_add(self.buffer.len() as u64)
    }

    /// Whether the client's stream ended or failed inside a body, so that nothing more can be read.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// How long the client may send nothing inside a request.
    pub(super) fn client_timeout(&self) -> Duration {
        self.client_timeout
    }
}
