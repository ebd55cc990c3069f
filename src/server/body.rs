//! A request's body on a connection: a known number of bytes, or pieces (proto-spec.md, "Framing").

use std::io;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::time::{timeout, timeout_at};

use super::pieces::Pieces;
use super::reader::{Next, Pace, Reader};
use gcsd_gcs::{Lease, Source, SourceError, UploadBody, lend, lend_all};
use gcsd_types::Crc32c;
use gcsd_wire::RequestHead;

/// What is still to be read of a body, and the reader to read it from.
#[derive(Debug)]
pub(super) struct Body {
    source: BodySource,
    /// Bytes left outside of pieces. While the body is lent, the lease counts them.
    left: u64,
}

/// A body while it is lent to an HTTP request: it gives the data and nothing else.
#[derive(Debug)]
pub(super) struct BodySource {
    reader: Reader,
    /// `None` if the body has a known length, which the lender observes.
    pieces: Option<Pieces>,
}

impl Body {
    /// The body of a request whose head was read, behind `unread` bytes of args that are not wanted.
    pub(super) fn new(reader: Reader, head: &RequestHead, unread: u32) -> Self {
        let (pieces, len) = match head.streamed() {
            true => (Some(Pieces::new(head.checked())), 0),
            false => (None, head.body_len),
        };
        Self {
            source: BodySource { reader, pieces },
            left: len.saturating_add(unread.into()),
        }
    }

    /// How many bytes of data are left; `None` if only the end of the pieces tells.
    pub(super) fn len(&self) -> Option<u64> {
        match &self.source.pieces {
            None => Some(self.left),
            Some(pieces) => pieces.has_ended().then_some(0),
        }
    }

    /// Allows pieces to bring at most `allowed` bytes; with `exact`, requires all of them.
    pub(super) fn expect(&mut self, allowed: u64, exact: bool) {
        if let Some(pieces) = &mut self.source.pieces {
            pieces.expect(allowed, exact);
        }
    }

    /// Waits for the first bytes of a body in pieces. False if it ends without any.
    pub(super) async fn begin(&mut self) -> Result<bool, SourceError> {
        let BodySource { reader, pieces } = &mut self.source;
        let Some(pieces) = pieces else {
            return Ok(true);
        };
        let client_timeout = reader.client_timeout();
        let begun = std::future::poll_fn(|cx| pieces.poll_data(reader, cx));
        let len = timeout(client_timeout, begun).await.map_err(|_| timed_out())??;
        if len == 0
            && pieces
                .checksum()
                .is_some_and(|checksum| checksum != Crc32c::default())
        {
            return Err(SourceError::Damaged);
        }
        Ok(len > 0)
    }

    /// Fails if the body is known to have no bytes, and should have the checksum of some.
    pub(super) fn check_empty(&self, expected: Option<Crc32c>) -> Result<(), SourceError> {
        match expected {
            Some(expected) if self.len() == Some(0) && expected != Crc32c::default() => {
                Err(SourceError::Damaged)
            }
            _ => Ok(()),
        }
    }

    /// Reads a body of known length whole. It must be short.
    pub(super) async fn collect(&mut self) -> Result<Bytes, SourceError> {
        let mut bytes = BytesMut::new();
        let mut pace = Pace::new(self.source.reader.client_timeout());
        let mut deadline = pace.after(0);
        while self.left > 0 {
            let max = usize::try_from(self.left).unwrap_or(usize::MAX);
            let chunk = std::future::poll_fn(|cx| self.source.poll_chunk(cx, max));
            let chunk = timeout_at(deadline, chunk).await.map_err(|_| timed_out())??;
            deadline = pace.after(chunk.len());
            if chunk.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.left -= chunk.len() as u64;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// Lends the body to an HTTP request.
    pub(super) fn lend(self) -> (Lease<BodySource>, UploadBody) {
        match self.len() {
            Some(len) => lend(self.source, len),
            None => lend_all(self.source),
        }
    }

    /// Takes what is left of a lent body back, which cuts the request if bytes are missing. `None` if it was taken before.
    pub(super) fn take_back(lease: &mut Lease<BodySource>) -> Option<Self> {
        Some(Self {
            source: lease.take()?,
            left: lease.missing().unwrap_or(0),
        })
    }

    /// Whether all that is missing of a lent body has been received already. The end of a body in pieces is not known.
    pub(super) fn is_received(lease: &Lease<BodySource>) -> bool {
        let received = lease.look(|source| source.reader.received());
        match (lease.missing(), received) {
            (Some(missing), Some(received)) => missing <= received,
            _ => false,
        }
    }

    /// The reader, wherever it stands.
    pub(super) fn into_reader(self) -> Reader {
        self.source.reader
    }

    /// Whether the rest can be skipped by reading at most `cap` bytes, as far as is known yet.
    pub(super) fn can_be_skipped(&self, cap: u64) -> bool {
        let BodySource { reader, pieces } = &self.source;
        self.left <= cap && !reader.has_ended() && !pieces.as_ref().is_some_and(Pieces::is_lost)
    }

    /// Reads the rest and discards it: at most `cap` bytes of a body in pieces.
    pub(super) async fn skip(self, cap: u64) -> Next {
        let BodySource { mut reader, pieces } = self.source;
        if !reader.skip(self.left).await {
            return Next::Close(Some(reader));
        }
        match pieces {
            None => Next::Read(reader),
            Some(pieces) => pieces.skip(reader, self.left, cap).await,
        }
    }
}

fn timed_out() -> SourceError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

impl Source for BodySource {
    fn poll_chunk(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, SourceError>> {
        match &mut self.pieces {
            // Not a byte further: behind it is the next request.
            None => self.reader.poll_chunk(cx, max, max).map_err(SourceError::from),
            Some(pieces) => pieces.poll_chunk(&mut self.reader, cx, max),
        }
    }

    fn checksum(&self) -> Option<Crc32c> {
        self.pieces.as_ref().and_then(Pieces::checksum)
    }
}
