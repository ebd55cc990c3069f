//! The body of a request, before it is sent.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What [`BodySource::next`] returns.
pub type NextPiece<'a> = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>>;

/// Gives a body piece by piece, while it is being sent.
pub trait BodySource: Send + 'static {
    /// The next bytes, none only if the source is at its end.
    ///
    /// It is called again only when the piece before has been handed to the socket, so a source that
    /// wants to overlap reading and sending reads ahead by itself. Bytes beyond the body's length are
    /// ignored. An error, or an end before the body's length, ends the connection: a frame that was
    /// begun must be finished, and there is nothing to finish it with. A body without a length is taken
    /// back after an error, and the connection lives.
    fn next(&mut self) -> NextPiece<'_>;
}

/// A body: bytes in memory, or a source and how much it will give, if anybody knows.
pub struct Body {
    /// `None` where only its end tells.
    pub(super) len: Option<u128>,
    pub(super) content: Content,
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

    /// `len` bytes from `source`.
    pub fn source(len: u64, source: impl BodySource) -> Self {
        Self {
            len: Some(len.into()),
            content: Content::Source(Box::new(source)),
        }
    }

    /// All bytes of `source`, however many there are.
    ///
    /// It is sent in pieces, with its checksum at the end, so that the daemon makes nothing of bytes that changed on
    /// the way to it. If the source fails, or whoever waits for the reply goes away, the body is taken back: nothing is
    /// made of it, and the connection lives.
    pub fn streamed(source: impl BodySource) -> Self {
        Self {
            len: None,
            content: Content::Source(Box::new(source)),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::from(vec![bytes])
    }
}

/// The pieces are sent as they lie in memory, by vectored writes, never copied and never joined.
impl From<Vec<Bytes>> for Body {
    fn from(mut pieces: Vec<Bytes>) -> Self {
        pieces.retain(|piece| !piece.is_empty());
        Self {
            len: Some(pieces.iter().map(|piece| piece.len() as u128).sum()),
            content: Content::Pieces(pieces),
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

/// How much a [`ReaderBody`] asks of its reader at a time, in bytes.
const READ_LEN: usize = 256 * 1024;

/// The bytes of any reader, as they come.
///
/// A reader that gives nothing for long makes the daemon end the request (`client_stalled`), and holds
/// up whatever else waits to be sent on the same connection.
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
