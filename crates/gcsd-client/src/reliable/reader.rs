//! A read that goes on where it broke.

use std::fmt;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::super::connection::Connection;
use super::super::object_reader::ObjectReader;
use super::super::{Daemons, Error};
use super::options::RetryPolicy;
use super::read_error::ReadError;
use super::report::Report;
use super::retry::Attempts;
use gcsd_types::{Crc32c, Preconditions};
use gcsd_wire::Kind;
use gcsd_wire::read_at::{Args, Range, Start};

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
    first: Option<Start>,
    reader: Option<ObjectReader>,
    /// Bytes handed out.
    came: u64,
    crc32c: Crc32c,
    ended: Option<Result<(), ReadError>>,
}

/// How the bytes are asked for, as often as it takes.
struct Way {
    daemons: Daemons,
    connection: Option<Connection>,
    /// What comes next.
    request: Args,
    attempts: Attempts,
    not_before: Option<Instant>,
    reports: watch::Sender<Report>,
}

impl Way {
    /// Asks once.
    async fn ask(&mut self) -> Result<ObjectReader, Error> {
        if let Some(instant) = self.not_before {
            sleep_until(instant).await;
            self.not_before = None;
        }
        let usable = self.connection.take().filter(|connection| !connection.is_over());
        let connection = match usable {
            Some(connection) => connection,
            None => self.daemons.connect().await?,
        };
        self.connection = Some(connection.clone());
        connection.read_at(&self.request).await
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
    pub fn new(daemons: Daemons, request: Args, retries: &RetryPolicy) -> Self {
        Self {
            way: Way {
                daemons,
                connection: None,
                request,
                attempts: Attempts::new(retries, retries.budget),
                not_before: None,
                reports: watch::Sender::default(),
            },
            first: None,
            reader: None,
            came: 0,
            crc32c: Crc32c::default(),
            ended: None,
        }
    }

    /// Waits until it is known what is coming: the object, and which of its bytes.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future loses nothing.
    pub async fn start(&mut self) -> Result<Start, ReadError> {
        loop {
            if let Some(first) = self.first {
                return Ok(first);
            }
            if let Some(Err(error)) = &self.ended {
                return Err(error.clone());
            }
            match self.way.ask().await {
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
        let first = *reader.start();
        if first.object.generation != 0 {
            self.way.request.of.generation = Some(first.object.generation);
            // They held when the read began; what becomes of the object since does not matter.
            self.way.request.of.preconditions = Preconditions::default();
        }
        self.first = Some(first);
        self.reader = Some(reader);
    }

    /// The next bytes; `None` once all have come and are verified. An error stays.
    ///
    /// # Cancellation safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let first = self.start().await?;
        loop {
            if let Some(ended) = &self.ended {
                return ended.clone().map(|()| None);
            }
            match self.advance(&first).await {
                Ok(Some(bytes)) => {
                    self.came += bytes.len() as u64;
                    self.crc32c = self.crc32c.append(&bytes);
                    self.way.attempts.progressed();
                    return Ok(Some(bytes));
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

    /// The checksum of the bytes that came so far.
    pub fn crc32c(&self) -> Crc32c {
        self.crc32c
    }

    /// How many bytes came so far.
    pub fn came(&self) -> u64 {
        self.came
    }

    /// Counts in `reports` what it goes through, beside what others count there. Nothing is said of what is committed.
    #[must_use]
    pub fn reporting(mut self, reports: watch::Sender<Report>) -> Self {
        self.way.reports = reports;
        self
    }

    async fn advance(&mut self, first: &Start) -> Result<Option<Bytes>, Trouble> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let reader = self.way.ask().await?;
                same(first, self.came, reader.start()).map_err(Trouble::Final)?;
                none.insert(reader)
            }
        };
        Ok(reader.next().await?)
    }

    /// A request failed: prepares to go on behind the last byte, where that is possible.
    fn broken(&mut self, first: &Start, error: Error) -> Result<(), ReadError> {
        let in_bytes = self.reader.take().is_some();
        if let Error::Damaged { expected, found } = error {
            return Err(ReadError::Damaged { expected, found });
        }
        let generation = self.way.request.of.generation;
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
            return match self.came {
                0 => Ok(()),
                _ => Err(cannot("what GCS decompresses has no offset to go on from")),
            };
        };
        match len.saturating_sub(self.came) {
            // Only the last frame is missing, which has no bytes.
            0 => self.ended = Some(self.verify(first)),
            rest => {
                let offset = first.offset.saturating_add(self.came);
                self.way.request.range = Range::Of { offset, len: rest };
            }
        }
        Ok(())
    }

    /// Compares a whole object with what GCS keeps of it.
    fn verify(&self, first: &Start) -> Result<(), ReadError> {
        let object = &first.object;
        let whole = first.offset == 0 && self.came == object.size && first.len == Some(object.size);
        match object.crc32c {
            Some(expected) if whole && expected != self.crc32c => Err(ReadError::Damaged {
                expected,
                found: self.crc32c,
            }),
            _ => Ok(()),
        }
    }
}

/// That what comes after a break goes on where `first` stopped after `came` bytes.
fn same(first: &Start, came: u64, now: &Start) -> Result<(), ReadError> {
    let object = |start: &Start| (start.object.generation, start.object.size, start.object.crc32c);
    if object(first) != object(now) {
        return Err(ReadError::Changed("another object"));
    }
    let rest = |len: Option<u64>| len.map(|len| len.saturating_sub(came));
    if now.offset != first.offset.saturating_add(came) || now.len != rest(first.len) {
        return Err(ReadError::Changed("another range"));
    }
    Ok(())
}

impl fmt::Debug for ReliableReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReliableReader")
            .field("first", &self.first)
            .field("came", &self.came)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
