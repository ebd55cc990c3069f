//! A read that goes on where it broke.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_core::Stream;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::super::connection::Connection;
use super::super::object_reader::ObjectReader;
use super::super::pieces::{self, Leftover, Pieces};
use super::super::read::{ReadRequest, ReadStart};
use super::super::{Daemons, Error};
use super::options::RetryPolicy;
use super::read_error::ReadError;
use super::report::Report;
use super::retry::Attempts;
use gcsd_types::{ByteRange, Crc32c, Preconditions};
use gcsd_wire::Kind;
use gcsd_wire::read_at::Start;

/// What ends an attempt.
enum Trouble {
    Request(Error),
    Final(ReadError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Request(error)
    }
}

/// The bytes of an object, or of a part of it, whatever breaks meanwhile.
///
/// The first answer pins the generation: after a break, the read goes on from the byte behind the last one, in the same
/// generation, on another connection or through the next daemon where it must. Where that generation is gone
/// meanwhile, it fails rather than mix two.
///
/// The bytes are what is stored. An object that GCS decompresses has no offsets to go on from: a read
/// with `decompress` fails where it breaks behind the first byte.
///
/// It is a [`Stream`] of pieces, and an [`AsyncRead`] and [`AsyncBufRead`] of bytes, so that `tokio::io::copy` takes it.
/// Whichever way it is read, it ends only where all bytes have come and are verified; what ends early is an error.
///
/// # What is verified
///
/// What each request brought to its end is compared with the daemon's checksum of it, and a whole object with the one
/// that GCS keeps. Bytes that came before a break are compared by the latter only.
///
/// # A slow reader
///
/// holds nothing back here but a few pieces: the connection, which is the reader's own, fills up, the daemon stops taking
/// from GCS, and GCS waits. GCS may give up on a connection that stands still for minutes; the read then goes on as after
/// any break.
pub struct ReliableReader {
    way: Way,
    /// What the first answer said.
    first: Option<ReadStart>,
    reader: Option<ObjectReader>,
    received: u64,
    crc32c: Crc32c,
    ended: Option<Result<(), ReadError>>,
    leftover: Leftover,
}

/// How the bytes are asked for, as often as it takes.
struct Way {
    daemons: Daemons,
    connection: Option<Connection>,
    /// What comes next.
    request: ReadRequest,
    attempts: Attempts,
    not_before: Option<Instant>,
    reports: watch::Sender<Report>,
    /// What was asked and is not answered yet.
    asking: Option<Asking>,
}

/// A request that has not begun to be answered.
type Asking = Pin<Box<dyn Future<Output = Asked> + Send>>;

/// What became of it.
struct Asked {
    daemons: Daemons,
    connection: Option<Connection>,
    answer: Result<ObjectReader, Error>,
}

/// Asks once, on `connection` where that is of use.
async fn ask(
    mut daemons: Daemons,
    connection: Option<Connection>,
    request: ReadRequest,
    not_before: Option<Instant>,
) -> Asked {
    if let Some(instant) = not_before {
        sleep_until(instant).await;
    }
    let usable = connection.filter(|connection| !connection.is_over());
    let connected = match usable {
        Some(connection) => Ok(connection),
        None => daemons.connect().await,
    };
    let (connection, answer) = match connected {
        Ok(connection) => {
            let answer = connection.read_at(&request.into()).await;
            (Some(connection), answer)
        }
        Err(error) => (None, Err(error)),
    };
    Asked {
        daemons,
        connection,
        answer,
    }
}

impl Way {
    /// Asks once. What was asked goes on where it stands when this is polled again.
    fn poll_ask(&mut self, cx: &mut Context<'_>) -> Poll<Result<ObjectReader, Error>> {
        let asking = match &mut self.asking {
            Some(asking) => asking,
            none => none.insert(Box::pin(ask(
                self.daemons.clone(),
                self.connection.take(),
                self.request.clone(),
                self.not_before.take(),
            ))),
        };
        let asked = ready!(asking.as_mut().poll(cx));
        self.asking = None;
        self.daemons = asked.daemons;
        self.connection = asked.connection;
        Poll::Ready(asked.answer)
    }

    /// The read is at its end: somebody else may have the connection.
    fn let_go(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.daemons.release(connection);
        }
    }

    /// Counts a failure, and sets how long to wait.
    fn again(&mut self, error: &Error) -> Result<(), ReadError> {
        let delay = self.attempts.failed(error)?;
        self.reports.send_modify(|report| report.count_request(error));
        self.not_before = Some(Instant::now() + delay);
        Ok(())
    }
}

impl ReliableReader {
    /// A read through `daemons`. Nothing is sent yet.
    pub fn new(daemons: Daemons, request: ReadRequest, retries: &RetryPolicy) -> Self {
        Self {
            way: Way {
                daemons,
                connection: None,
                request,
                attempts: Attempts::new(retries, retries.budget),
                not_before: None,
                reports: watch::Sender::default(),
                asking: None,
            },
            first: None,
            reader: None,
            received: 0,
            crc32c: Crc32c::default(),
            ended: None,
            leftover: Leftover::default(),
        }
    }

    /// Waits until it is known what is coming: the object, and which of its bytes.
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

    /// The checksum of the bytes that came so far, of those too that wait here for [`AsyncRead`] to take them.
    pub fn crc32c(&self) -> Crc32c {
        self.crc32c
    }

    /// How many bytes came so far, with those that wait here for [`AsyncRead`] to take them.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Counts in `reports` what it goes through, beside what others count there. Nothing is said of what is committed.
    #[must_use]
    pub fn reporting(mut self, reports: watch::Sender<Report>) -> Self {
        self.way.reports = reports;
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
            match ready!(self.way.poll_ask(cx)) {
                Ok(reader) => self.begun(reader),
                Err(error) => {
                    if let Err(error) = self.way.again(&error) {
                        self.ended = Some(Err(error));
                    }
                }
            }
        }
    }

    /// The first answer pins the generation.
    fn begun(&mut self, reader: ObjectReader) {
        let first = ReadStart::from(*reader.start());
        if first.object.generation != 0 {
            self.way.request.object.generation = Some(first.object.generation);
            // They held when the read began; what becomes of the object since does not matter.
            self.way.request.object.preconditions = Preconditions::default();
        }
        self.first = Some(first);
        self.reader = Some(reader);
    }

    fn poll_advance(
        &mut self,
        first: &ReadStart,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Trouble>> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let reader = ready!(self.way.poll_ask(cx))?;
                same(first, self.received, reader.start()).map_err(Trouble::Final)?;
                none.insert(reader)
            }
        };
        reader.poll_piece(cx).map_err(Trouble::Request)
    }

    /// A request failed: prepares to go on behind the last byte, where that is possible.
    fn broken(&mut self, first: &ReadStart, error: Error) -> Result<(), ReadError> {
        let in_bytes = self.reader.take().is_some();
        if let Error::Damaged { expected, found } = error {
            return Err(ReadError::Damaged { expected, found });
        }
        let generation = self.way.request.object.generation;
        match generation {
            Some(generation) if !in_bytes && error.is(Kind::NotFound) => {
                return Err(ReadError::Gone { generation, error });
            }
            _ => {}
        }
        self.way.again(&error)?;
        let cannot = |why| ReadError::CannotResume {
            error: error.clone(),
            why,
        };
        if generation.is_none() {
            return Err(cannot("GCS did not say which generation of the object it was"));
        }
        let Some(len) = first.len else {
            return match self.received {
                0 => Ok(()),
                _ => Err(cannot("what GCS decompresses has no offset to go on from")),
            };
        };
        match len.saturating_sub(self.received) {
            // Only the last frame is missing, which has no bytes.
            0 => self.ended = Some(self.verify(first)),
            rest => {
                let offset = first.offset.saturating_add(self.received);
                self.way.request.range = ByteRange::Of { offset, len: rest };
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

/// That what comes after a break goes on where `first` stopped after `received` bytes.
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
                    self.way.attempts.progressed();
                    return Poll::Ready(Ok(Some(bytes)));
                }
                Ok(None) => {
                    self.ended = Some(self.verify(&first));
                    self.way.let_go();
                }
                Err(Trouble::Final(error)) => self.ended = Some(Err(error)),
                Err(Trouble::Request(error)) => {
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

/// The buffer is what came from the socket in one piece.
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
