//! A read that resumes where it broke.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_core::Stream;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::sync::watch;

use super::super::object_reader::ObjectReader;
use super::super::pieces::{self, Leftover, Pieces};
use super::super::read::{ReadRequest, ReadStart};
use super::super::{Daemons, Error};
use super::options::RetryPolicy;
use super::read_attempts::ReadAttempts;
use super::read_error::ReadError;
use super::report::Report;
use gcsd_types::{ByteRange, Crc32c, Preconditions};
use gcsd_wire::read_at::Start;
use gcsd_wire::{Kind, Retry};

/// How an attempt failed.
enum Broken {
    /// Another one may succeed.
    Request(Error),
    /// No other one can.
    Final(ReadError),
}

/// The bytes of an object, or of a part of it, whatever breaks meanwhile.
///
/// The first answer pins the generation: after a break, the read resumes at the next byte, in the same generation, on
/// another connection or through the next daemon if necessary. If that generation is gone by then, it fails rather than
/// mix two.
///
/// The bytes are as stored. An object that GCS decompresses has no offsets to resume at: a read with `decompress` fails
/// if it breaks after the first byte.
///
/// It is a [`Stream`] of pieces, and an [`AsyncRead`] and [`AsyncBufRead`] of bytes, so that `tokio::io::copy` takes it.
/// Whichever way it is read, it ends only once all bytes have come and are verified; an early end is an error.
///
/// # What is verified
///
/// The bytes of each request that ends are compared with the daemon's checksum of them, and a whole object with the
/// checksum that GCS keeps. Only the latter covers bytes read before a break.
///
/// # Backpressure
///
/// Only a few pieces wait for a slow reader. Then its connection, which is its own, fills up, the daemon stops taking
/// from GCS, and GCS waits. GCS may drop a connection that stands still for minutes; the read then resumes as after any
/// break.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// # let client = gcsd_client::Client::connect(address).await?;
/// use tokio::io::AsyncBufReadExt as _;
///
/// let notes = client.object("gs://my-bucket/notes.txt")?;
/// let mut lines = notes.read().reader().lines();
/// assert_eq!(lines.next_line().await?.as_deref(), Some("first line"));
/// assert_eq!(lines.next_line().await?.as_deref(), Some("second line"));
/// assert_eq!(lines.next_line().await?, None);
/// # Ok(())
/// # }
/// ```
pub struct ReliableReader {
    attempts: ReadAttempts,
    /// The first answer.
    first: Option<ReadStart>,
    reader: Option<ObjectReader>,
    received: u64,
    crc32c: Crc32c,
    ended: Option<Result<(), ReadError>>,
    leftover: Leftover,
}

impl ReliableReader {
    /// A read through `daemons`. Nothing is sent yet.
    pub fn new(daemons: Daemons, request: ReadRequest, retries: &RetryPolicy) -> Self {
        Self {
            attempts: ReadAttempts::new(daemons, request, retries),
            first: None,
            reader: None,
            received: 0,
            crc32c: Crc32c::default(),
            ended: None,
            leftover: Leftover::default(),
        }
    }

    /// Waits for the first answer: which object, and which of its bytes.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future loses nothing.
    pub async fn start(&mut self) -> Result<ReadStart, ReadError> {
        poll_fn(|cx| self.poll_start(cx)).await
    }

    /// The next bytes; `None` once all have come and are verified. An error stays.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        poll_fn(|cx| pieces::poll_bytes(self, cx)).await
    }

    /// The checksum of the bytes received so far, including those that wait for [`AsyncRead`] to take them.
    pub fn crc32c(&self) -> Crc32c {
        self.crc32c
    }

    /// The number of bytes received so far, including those that wait for [`AsyncRead`] to take them.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Counts the failures that are recovered from in `reports`, which can be shared. What is committed is not reported.
    #[must_use]
    pub fn reporting(mut self, reports: watch::Sender<Report>) -> Self {
        self.attempts.reports = reports;
        self
    }

    fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<Result<ReadStart, ReadError>> {
        loop {
            if let Some(first) = self.first {
                return Poll::Ready(Ok(first));
            }
            if let Some(Err(error)) = &self.ended {
                return Poll::Ready(Err(error.clone()));
            }
            match ready!(self.attempts.poll_next(cx)) {
                Ok(reader) => self.begun(reader),
                Err(error) => {
                    if let Err(error) = self.attempts.failed(&error) {
                        self.ended = Some(Err(error.into()));
                    }
                }
            }
        }
    }

    /// The first answer pins the generation.
    fn begun(&mut self, reader: ObjectReader) {
        let first = ReadStart::from(*reader.start());
        if first.object.generation != 0 {
            self.attempts.request.object.generation = Some(first.object.generation);
            // They held when the read began, which is enough.
            self.attempts.request.object.preconditions = Preconditions::default();
        }
        self.first = Some(first);
        self.reader = Some(reader);
    }

    fn poll_advance(
        &mut self,
        first: &ReadStart,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Broken>> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let reader = ready!(self.attempts.poll_next(cx)).map_err(Broken::Request)?;
                same(first, self.received, reader.start()).map_err(Broken::Final)?;
                none.insert(reader)
            }
        };
        reader.poll_piece(cx).map_err(Broken::Request)
    }

    /// An attempt failed: prepares to resume at the next byte, if that is possible.
    fn broken(&mut self, first: &ReadStart, error: Error) -> Result<(), ReadError> {
        let in_bytes = self.reader.take().is_some();
        if let Error::Damaged { expected, found } = error {
            return Err(ReadError::Damaged { expected, found });
        }
        let generation = self.attempts.request.object.generation;
        match generation {
            Some(generation) if !in_bytes && error.is(Kind::NotFound) => {
                return Err(ReadError::Gone { generation, error });
            }
            _ => {}
        }
        let cannot = match (generation, first.len, self.received) {
            (None, ..) => Some("GCS did not say which generation of the object it was"),
            (_, None, 1..) => Some("a decompressed object has no offset to resume at"),
            _ => None,
        };
        if let Some(why) = cannot
            && error.retry() != Retry::Never
        {
            return Err(ReadError::CannotResume { error, why });
        }
        self.attempts.failed(&error)?;
        let Some(len) = first.len else {
            return Ok(());
        };
        match len.saturating_sub(self.received) {
            // Only the last frame is missing, which has no bytes.
            0 => self.ended = Some(self.verify(first)),
            rest => {
                let offset = first.offset.saturating_add(self.received);
                self.attempts.request.range = ByteRange::Of { offset, len: rest };
            }
        }
        Ok(())
    }

    /// Compares a whole object with what GCS keeps of it.
    fn verify(&self, first: &ReadStart) -> Result<(), ReadError> {
        let object = &first.object;
        let whole = first.offset == 0 && self.received == object.size && first.len == Some(object.size);
        match object.crc32c {
            Some(expected) if whole && expected != self.crc32c => Err(ReadError::Damaged {
                expected,
                found: self.crc32c,
            }),
            _ => Ok(()),
        }
    }
}

/// Checks that the read resumes where `first` stopped after `received` bytes.
fn same(first: &ReadStart, received: u64, now: &Start) -> Result<(), ReadError> {
    let (before, after) = (&first.object, &now.object);
    if (before.generation, before.size, before.crc32c) != (after.generation, after.size, after.crc32c) {
        return Err(ReadError::Changed("another object"));
    }
    let rest = first.len.map(|len| len.saturating_sub(received));
    if now.offset != first.offset.saturating_add(received) || now.len != rest {
        return Err(ReadError::Changed("another range"));
    }
    Ok(())
}

impl Pieces for ReliableReader {
    type Error = ReadError;

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ReadError>> {
        let first = ready!(self.poll_start(cx))?;
        loop {
            if let Some(ended) = &self.ended {
                return Poll::Ready(ended.clone().map(|()| None));
            }
            match ready!(self.poll_advance(&first, cx)) {
                Ok(Some(bytes)) => {
                    self.received += bytes.len() as u64;
                    self.crc32c = self.crc32c.append(&bytes);
                    self.attempts.progressed();
                    return Poll::Ready(Ok(Some(bytes)));
                }
                Ok(None) => {
                    self.ended = Some(self.verify(&first));
                    self.attempts.release_connection();
                }
                Err(Broken::Final(error)) => self.ended = Some(Err(error)),
                Err(Broken::Request(error)) => {
                    if let Err(error) = self.broken(&first, error) {
                        self.ended = Some(Err(error));
                    }
                }
            }
        }
    }

    fn leftover(&mut self) -> &mut Leftover {
        &mut self.leftover
    }
}

/// An error is the last item.
impl Stream for ReliableReader {
    type Item = Result<Bytes, ReadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        pieces::poll_next(self.get_mut(), cx)
    }
}

/// The inner error of what fails is the [`ReadError`]; it stays.
impl AsyncRead for ReliableReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        pieces::poll_read(self.get_mut(), cx, buf)
    }
}

/// The buffer is one read of the socket.
impl AsyncBufRead for ReliableReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        pieces::poll_fill_buf(self.get_mut(), cx)
    }

    fn consume(self: Pin<&mut Self>, len: usize) {
        self.get_mut().leftover.rest.advance(len);
    }
}

impl fmt::Debug for ReliableReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReliableReader")
            .field("first", &self.first)
            .field("received", &self.received)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
