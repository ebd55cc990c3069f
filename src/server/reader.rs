//! A connection's read half and its one buffer: frames for the connection's loop, the bytes of a body for HTTP.
//!
//! While the client is silent no buffer is held: it is allocated when the socket has something to read, and
//! freed when it is empty again.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rustix::io::ioctl_fionread;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;
use tokio_util::codec::Decoder;

use crate::ops::Failure;
use gcsd_wire::codec::FrameError;
use gcsd_wire::{HEAD_LEN, RequestCodec, RequestFrame};

/// What the connection does after a request, and the reader that the request gives back.
#[derive(Debug)]
pub(super) enum Next {
    /// Reads the next request: the reader stands at the frame boundary.
    Read(Reader),
    /// Closes the connection. With a reader, input may still arrive.
    Close(Option<Reader>),
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
    /// The client began a frame and then sent nothing for too long.
    Stalled,
    /// The socket failed.
    Broken(io::Error),
}

/// The client's bytes.
#[derive(Debug)]
pub(super) struct Reader {
    half: OwnedReadHalf,
    buffer: BytesMut,
    /// The largest read, in bytes.
    chunk: usize,
    codec: RequestCodec,
    client_timeout: Duration,
    /// The client's stream ended or failed inside a body.
    ended: bool,
}

impl Reader {
    pub(super) fn new(half: OwnedReadHalf, chunk: usize, max_args: u32, client_timeout: Duration) -> Self {
        let chunk = chunk.max(HEAD_LEN);
        Self {
            half,
            buffer: BytesMut::new(),
            chunk,
            codec: RequestCodec { max_args },
            client_timeout,
            ended: false,
        }
    }

    /// The next request's head and args; `None` when the client has half-closed between two frames.
    ///
    /// Cancel safe: what was read stays in the buffer.
    pub(super) async fn frame(&mut self) -> Result<Option<RequestFrame>, ReadError> {
        loop {
            if let Some(frame) = self
                .codec
                .decode(&mut self.buffer)
                .map_err(ReadError::Malformed)?
            {
                return Ok(Some(frame));
            }
            if self.buffer.is_empty() {
                self.buffer = BytesMut::new();
                self.half.readable().await.map_err(ReadError::Broken)?;
            } else {
                let readable = timeout(self.client_timeout, self.half.readable()).await;
                readable
                    .map_err(|_| ReadError::Stalled)?
                    .map_err(ReadError::Broken)?;
            }
            if self.fill(usize::MAX).map_err(ReadError::Broken)? == Some(0) {
                return match self.buffer.len() {
                    0 => Ok(None),
                    read => Err(ReadError::Truncated(read)),
                };
            }
        }
    }

    /// Reads `len` bytes and discards them. False if the client left or stalled before the last.
    pub(super) async fn skip(&mut self, mut len: u64) -> bool {
        loop {
            let buffered = self.buffer.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            drop(self.buffer.split_to(buffered));
            len -= buffered as u64;
            if len == 0 {
                return true;
            }
            let readable = timeout(self.client_timeout, self.half.readable()).await;
            let filled = match readable {
                Ok(Ok(())) => self.fill(usize::try_from(len).unwrap_or(usize::MAX)),
                Ok(Err(error)) => Err(error),
                Err(_) => return false,
            };
            if !matches!(filled, Ok(None | Some(1..))) {
                return false;
            }
        }
    }

    /// Reads what there is, up to `max` bytes and a chunk: how many bytes, 0 at the stream's end; `None` if there is
    /// nothing yet.
    fn fill(&mut self, max: usize) -> io::Result<Option<usize>> {
        // A nearly full buffer would make for small reads, and small reads cost the most.
        let wanted = max.min(self.chunk / 4).max(1);
        if self.buffer.capacity() - self.buffer.len() < wanted {
            self.buffer.reserve(self.chunk);
        }
        let spare = self.buffer.capacity() - self.buffer.len();
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
        loop {
            let filled = match ready!(self.half.as_ref().poll_read_ready(cx)) {
                Ok(()) => self.fill(max),
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
            if ready!(self.poll_fill(cx, usize::MAX))? == 0 {
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

    /// How many bytes can be read without waiting, those in the kernel included.
    pub(super) fn received(&self) -> u64 {
        let unread = ioctl_fionread(self.half.as_ref()).unwrap_or(0);
        unread.saturating_add(self.buffer.len() as u64)
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
