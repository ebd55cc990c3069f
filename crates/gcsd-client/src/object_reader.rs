//! The bytes of an object, as a ReadAt gives them.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_core::Stream;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use super::connection::{Connection, Interest};
use super::error::Error;
use super::in_flight::ReadEvent;
use super::lost::Reason;
use super::pieces::{self, Leftover, Pieces};
use gcsd_types::Crc32c;
use gcsd_wire::read_at::{End, Reply, Start};

/// A read under way.
///
/// What is not taken stalls the connection, and with it the daemon and GCS: nothing piles up. It also
/// holds back the replies to all other requests on the connection, so a read that may be slow wants a
/// connection of its own.
///
/// It is a [`Stream`] of pieces, and an [`AsyncRead`] and [`AsyncBufRead`] of bytes. Whichever way it is read, it ends
/// only where all bytes have come and have the checksum that the daemon gave; what ends early is an error.
///
/// Dropping it before the end cancels the read: the daemon ends its call to GCS, what is on its way is skipped, and the
/// connection goes on.
#[derive(Debug)]
pub struct ObjectReader {
    /// Before `events`: a read whose events nobody takes is cancelled already.
    _interest: Interest,
    start: Start,
    events: mpsc::Receiver<Result<ReadEvent, Error>>,
    connection: Connection,
    crc32c: Crc32c,
    end: Option<End>,
    failed: Option<Error>,
    leftover: Leftover,
}

impl ObjectReader {
    /// Waits for the first frame.
    pub(super) async fn begin(
        connection: Connection,
        mut events: mpsc::Receiver<Result<ReadEvent, Error>>,
        interest: Interest,
    ) -> Result<Self, Error> {
        let start = match events.recv().await {
            Some(Ok(ReadEvent::Args(gcsd_wire::Reply::ReadAt(Reply::Start(start))))) => start,
            Some(Ok(_)) => return Err(Reason::Protocol("a read without its start".into()).lost(true)),
            Some(Err(error)) => return Err(error),
            None => return Err(connection.lost()),
        };
        Ok(Self {
            _interest: interest,
            start,
            events,
            connection,
            crc32c: Crc32c::default(),
            end: None,
            failed: None,
            leftover: Leftover::default(),
        })
    }

    /// What the daemon said before the first byte: the object, and which of its bytes come.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The next bytes; `None` once all have come and have the checksum that the daemon gave.
    ///
    /// The bytes are slices of what was read from the socket, at most 256 KiB each. After an error, the
    /// bytes that came before it are those of the object's generation, but the read is incomplete; the
    /// error stays.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| pieces::poll_bytes(self, cx)).await
    }

    /// The checksum of the bytes received so far, including those that [`AsyncRead`] has not taken yet.
    pub fn crc32c(&self) -> Crc32c {
        self.crc32c
    }

    /// What the daemon said after the last byte, once it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }
}

impl Pieces for ObjectReader {
    type Error = Error;

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(error.clone()));
        }
        if self.end.is_some() {
            return Poll::Ready(Ok(None));
        }
        let error = match ready!(self.events.poll_recv(cx)) {
            Some(Ok(ReadEvent::Bytes(bytes))) => {
                self.crc32c = self.crc32c.append(&bytes);
                return Poll::Ready(Ok(Some(bytes)));
            }
            Some(Ok(ReadEvent::Args(gcsd_wire::Reply::ReadAt(Reply::End(end))))) => {
                if end.crc32c == self.crc32c {
                    self.end = Some(end);
                    return Poll::Ready(Ok(None));
                }
                Error::Damaged {
                    expected: end.crc32c,
                    found: self.crc32c,
                }
            }
            Some(Ok(ReadEvent::Args(_))) => Reason::Protocol("a read that starts twice".into()).lost(true),
            Some(Err(error)) => error,
            None => self.connection.lost(),
        };
        self.failed = Some(error.clone());
        Poll::Ready(Err(error))
    }

    fn leftover(&mut self) -> &mut Leftover {
        &mut self.leftover
    }
}

/// An error is the last item.
impl Stream for ObjectReader {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        pieces::poll_next(self.get_mut(), cx)
    }
}

/// The inner error of what fails is the [`Error`]; it stays.
impl AsyncRead for ObjectReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        pieces::poll_read(self.get_mut(), cx, buf)
    }
}

/// The buffer is one read of the socket.
impl AsyncBufRead for ObjectReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        pieces::poll_fill_buf(self.get_mut(), cx)
    }

    fn consume(self: Pin<&mut Self>, len: usize) {
        self.get_mut().leftover.rest.advance(len);
    }
}
