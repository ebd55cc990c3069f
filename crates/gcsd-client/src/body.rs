//! The body of a request, before it is sent.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use gcsd_types::Crc32c;

/// What [`BodySource::next`] returns.
pub type NextPiece<'a> = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>>;

/// Gives a body piece by piece, while it is being sent.
pub trait BodySource: Send + 'static {
    /// The next bytes; none only at the end of the source.
    ///
    /// It is called again only when the previous piece has been handed to the socket, so a source that
    /// is to overlap reading and sending must read ahead by itself. Bytes beyond the body's length are
    /// ignored. An error, or an end before the body's length, ends the connection: a frame that was
    /// begun must be finished, and there is nothing to finish it with. A body without a length is taken
    /// back after an error, and the connection lives.
    fn next(&mut self) -> NextPiece<'_>;
}

/// A body: bytes in memory, or a source, with its length if that is known.
pub struct Body {
    /// `None` if it is known only at the end.
    pub(super) len: Option<u128>,
    pub(super) content: Content,
    /// The checksum of all of it, where that is known before it is sent.
    pub(super) crc32c: Option<Crc32c>,
}

pub(super) enum Content {
    Pieces(Vec<Bytes>),
    Source(Box<dyn BodySource>),
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::from(Vec::new())
    }

    /// The same body, with its checksum: what is damaged on the way to the daemon is then no object, and no part of one.
    #[must_use]
    pub fn with_crc32c(self, crc32c: Crc32c) -> Self {
        Self {
            crc32c: Some(crc32c),
            ..self
        }
    }

    /// `len` bytes from `source`.
    pub fn source(len: u64, source: impl BodySource) -> Self {
        Self {
            len: Some(len.into()),
            content: Content::Source(Box::new(source)),
            crc32c: None,
        }
    }

    /// All bytes of `source`, however many there are.
    ///
    /// It is sent in pieces, with its checksum at the end, so that the daemon rejects bytes that were damaged on the way.
    /// If the source fails, or the caller goes away, the body is taken back: no object is made of it, and the connection
    /// lives.
    pub fn streamed(source: impl BodySource) -> Self {
        Self {
            len: None,
            content: Content::Source(Box::new(source)),
            crc32c: None,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::from(vec![bytes])
    }
}

/// The pieces are sent by vectored writes, neither copied nor joined.
impl From<Vec<Bytes>> for Body {
    fn from(mut pieces: Vec<Bytes>) -> Self {
        pieces.retain(|piece| !piece.is_empty());
        Self {
            len: Some(pieces.iter().map(|piece| piece.len() as u128).sum()),
            content: Content::Pieces(pieces),
            crc32c: None,
        }
    }
}

// The bytes are the user's: they are never printed.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Body");
        out.field("len", &self.len);
        match &self.content {
            Content::Pieces(pieces) => out.field("pieces", &pieces.len()),
            Content::Source(_) => out.field("source", &"[source]"),
        };
        out.finish()
    }
}

/// How many bytes a [`ReaderBody`] reads at a time.
const READ_LEN: usize = 256 * 1024;

/// The bytes of a reader, as they come.
///
/// If the reader gives nothing for long, the daemon ends the request (`client_stalled`). Meanwhile, everything else
/// that is to be sent on the same connection waits.
#[derive(Debug)]
pub struct ReaderBody<R> {
    reader: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Send + Unpin + 'static> ReaderBody<R> {
    /// The bytes of `reader`.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
        }
    }
}

impl<R: AsyncRead + Send + Unpin + 'static> BodySource for ReaderBody<R> {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(async move {
            self.buffer.reserve(READ_LEN);
            self.reader.read_buf(&mut self.buffer).await?;
            Ok(self.buffer.split().freeze())
        })
    }
}
