//! A request's body on a connection: so many bytes, or pieces (proto-spec.md, "Framing").
//!
//! It is the connection's reader, and where in the body that stands. Lent to an HTTP request it gives the
//! body's bytes and nothing else; what is left when nobody wants them any more can be skipped.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::reader::Reader;
use super::refusal;
use crate::ops::Failure;
use gcsd_gcs::{Source, SourceError};
use gcsd_types::Crc32c;
use gcsd_wire::piece::CHECKSUM_LEN;
use gcsd_wire::{MAX_BODY_LEN, PIECE_HEAD_LEN, PieceError, PieceHead, RequestHead};

/// A body that is still to be read, at least in part.
#[derive(Debug)]
pub(super) struct Body {
    reader: Reader,
    /// Bytes in front of the body: args that are too long to be read.
    args: u64,
    rest: Rest,
    /// The client's stream ended or failed.
    gone: bool,
}

/// What is left of a body.
#[derive(Debug)]
enum Rest {
    /// So many bytes.
    Known(u64),
    Pieces(Pieces),
}

#[derive(Debug)]
struct Pieces {
    at: At,
    /// Bytes that the pieces may still bring.
    room: u64,
    /// The pieces must bring all that there is room for.
    exact: bool,
    checksum: Option<Crc32c>,
}

/// Where in the pieces the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before a head.
    Head,
    /// In a piece of data, with so many bytes to come.
    Data(u32),
    /// Before the checksum of the end.
    Checksum,
    /// Behind the end.
    End,
    /// Behind an abort.
    Aborted,
    /// In a piece that the body has no room for: so many bytes are to be skipped.
    Beyond(u32),
    /// Nowhere: the pieces cannot be framed.
    Lost(PieceError),
}

/// What became of a body that nobody wants.
#[derive(Debug)]
pub(super) enum Skipped {
    /// The reader stands at the next request.
    Border(Reader),
    /// The client ended or stalled before the body did.
    Gone(Reader),
    /// The border to the next request cannot be found.
    Lost(Reader, Box<Failure>),
}

impl Body {
    /// The body of a request whose head and args have been read.
    pub(super) fn new(reader: Reader, head: &RequestHead) -> Self {
        let rest = if head.streamed() {
            Rest::Pieces(Pieces {
                at: At::Head,
                room: MAX_BODY_LEN,
                exact: false,
                checksum: None,
            })
        } else {
            Rest::Known(head.body_len)
        };
        Self {
            reader,
            args: 0,
            rest,
            gone: false,
        }
    }

    /// The same body, behind so many bytes of args that nobody reads.
    pub(super) fn behind(self, unread: u32) -> Self {
        Self {
            args: unread.into(),
            ..self
        }
    }

    /// Says that pieces may bring at most `room` bytes, or, where it is `exact`, that they must bring as many.
    pub(super) fn expect(&mut self, room: u64, exact: bool) {
        if let Rest::Pieces(pieces) = &mut self.rest {
            (pieces.room, pieces.exact) = (room, exact);
        }
    }

    /// How many bytes it has; `None` where it comes in pieces.
    pub(super) fn len(&self) -> Option<u64> {
        match self.rest {
            Rest::Known(len) => Some(len),
            Rest::Pieces(_) => None,
        }
    }

    /// The reader, where nothing of the body is left.
    pub(super) fn into_reader(self) -> Reader {
        self.reader
    }

    /// Whether what is left can be skipped by reading at most `cap` bytes, as far as one can tell by now.
    pub(super) fn can_be_skipped(&self, cap: u64) -> bool {
        let framed = match &self.rest {
            Rest::Known(left) => self.args.saturating_add(*left) <= cap,
            Rest::Pieces(pieces) => self.args <= cap && !matches!(pieces.at, At::Lost(_)),
        };
        framed && !self.gone
    }

    /// Waits for the first bytes of a body in pieces; `false` if it ends without any.
    pub(super) async fn begin(&mut self) -> Result<bool, SourceError> {
        let Rest::Pieces(pieces) = &mut self.rest else {
            return Ok(true);
        };
        let client_timeout = self.reader.client_timeout();
        let reader = &mut self.reader;
        let begun = std::future::poll_fn(|cx| pieces.poll_data(reader, cx));
        let begun = match timeout(client_timeout, begun).await {
            Ok(Ok(0))
                if pieces
                    .checksum
                    .is_some_and(|checksum| checksum != Crc32c::default()) =>
            {
                Err(SourceError::Damaged)
            }
            Ok(Ok(len)) => Ok(len > 0),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        };
        self.gone |= matches!(begun, Err(SourceError::Io(_)));
        begun
    }

    /// Reads a body of known length whole. It must be short.
    pub(super) async fn collect(&mut self) -> Result<Bytes, SourceError> {
        let mut bytes = BytesMut::new();
        while let Rest::Known(left @ 1..) = self.rest {
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let client_timeout = self.reader.client_timeout();
            let chunk = timeout(
                client_timeout,
                std::future::poll_fn(|cx| self.poll_chunk(cx, most)),
            )
            .await;
            let chunk = chunk
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
                .and_then(|chunk| {
                    let chunk = chunk.map_err(io::Error::other)?;
                    match chunk.is_empty() {
                        true => Err(io::ErrorKind::UnexpectedEof.into()),
                        false => Ok(chunk),
                    }
                });
            self.gone |= chunk.is_err();
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes.freeze())
    }

    /// Reads what is left and throws it away: at most `cap` bytes of a body in pieces.
    pub(super) async fn skip(mut self, cap: u64) -> Skipped {
        let known = match &self.rest {
            Rest::Known(left) => self.args.saturating_add(*left),
            Rest::Pieces(_) => self.args,
        };
        if !self.reader.skip(known).await {
            return Skipped::Gone(self.reader);
        }
        let Rest::Pieces(mut pieces) = self.rest else {
            return Skipped::Border(self.reader);
        };
        let mut left = cap.saturating_sub(self.args);
        loop {
            let (due, next) = match pieces.at {
                At::End | At::Aborted => return Skipped::Border(self.reader),
                At::Lost(error) => {
                    return Skipped::Lost(self.reader, Box::new(refusal::bad_piece(error)));
                }
                At::Head => (PIECE_HEAD_LEN as u64, At::Head),
                At::Checksum => (CHECKSUM_LEN as u64, At::End),
                At::Data(len) | At::Beyond(len) => (len.into(), At::Head),
            };
            if due > left {
                return Skipped::Lost(self.reader, Box::new(refusal::endless_pieces(cap)));
            }
            left -= due;
            let came = match pieces.at {
                At::Head => match self.reader.exactly::<PIECE_HEAD_LEN>().await {
                    Some(head) => {
                        pieces.at = At::of(PieceHead::decode(&head));
                        true
                    }
                    None => false,
                },
                _ => {
                    pieces.at = next;
                    self.reader.skip(due).await
                }
            };
            if !came {
                return Skipped::Gone(self.reader);
            }
        }
    }
}

impl At {
    /// What a head leads to.
    fn of(head: Result<PieceHead, PieceError>) -> Self {
        match head {
            Ok(PieceHead::Data(len)) => Self::Data(len),
            Ok(PieceHead::End { checksum: true }) => Self::Checksum,
            Ok(PieceHead::End { checksum: false }) => Self::End,
            Ok(PieceHead::Abort) => Self::Aborted,
            Err(error) => Self::Lost(error),
        }
    }
}

impl Pieces {
    /// Goes on to the next bytes of the body: how many there are in their piece, 0 at the body's end.
    fn poll_data(&mut self, reader: &mut Reader, cx: &mut Context<'_>) -> Poll<Result<u32, SourceError>> {
        loop {
            self.at = match self.at {
                At::Data(len) => return Poll::Ready(Ok(len)),
                At::Head => match At::of(PieceHead::decode(&ready!(reader.poll_exactly(cx))?)) {
                    At::Data(len) if u64::from(len) > self.room => At::Beyond(len),
                    at => at,
                },
                At::Checksum => {
                    let bytes: [u8; CHECKSUM_LEN] = ready!(reader.poll_exactly(cx))?;
                    self.checksum = Some(Crc32c(u32::from_le_bytes(bytes)));
                    At::End
                }
                At::End if self.exact && self.room > 0 => {
                    return malformed("the pieces bring fewer bytes than 'total' says");
                }
                At::End => return Poll::Ready(Ok(0)),
                At::Aborted => return Poll::Ready(Err(SourceError::Aborted)),
                At::Beyond(_) if self.exact => {
                    return malformed("the pieces bring more bytes than 'total' says");
                }
                At::Beyond(_) => return malformed("the pieces bring more bytes than an object can have"),
                At::Lost(error) => return malformed(why(error)),
            };
        }
    }
}

fn malformed<T>(why: &'static str) -> Poll<Result<T, SourceError>> {
    Poll::Ready(Err(SourceError::Malformed(why)))
}

/// The error as it can be told without its numbers.
fn why(error: PieceError) -> &'static str {
    match error {
        PieceError::Kind(_) => "the body holds a piece of a kind that is not defined",
        PieceError::Reserved => "the body holds a piece whose reserved bytes are not 0",
        PieceError::Empty => "the body holds a piece of data without bytes",
        PieceError::Len { .. } => "the body holds a piece with a length that its kind cannot have",
    }
}

impl Source for Body {
    fn poll_chunk(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, SourceError>> {
        let polled = match &mut self.rest {
            Rest::Known(left) => {
                let chunk = ready!(self.reader.poll_chunk(cx, max, max));
                if let Ok(chunk) = &chunk {
                    *left = left.saturating_sub(chunk.len() as u64);
                    self.gone |= chunk.is_empty();
                }
                chunk.map_err(SourceError::from)
            }
            Rest::Pieces(pieces) => match ready!(pieces.poll_data(&mut self.reader, cx)) {
                Ok(0) => Ok(Bytes::new()),
                Ok(len) => {
                    let wanted = usize::try_from(len).unwrap_or(usize::MAX).min(max);
                    // The next head is welcome to come along with the bytes.
                    match ready!(self.reader.poll_chunk(cx, wanted, usize::MAX)) {
                        Ok(chunk) if chunk.is_empty() => {
                            Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                        }
                        Ok(chunk) => {
                            let left = len - u32::try_from(chunk.len()).unwrap_or(len);
                            pieces.at = if left == 0 { At::Head } else { At::Data(left) };
                            pieces.room -= chunk.len() as u64;
                            Ok(chunk)
                        }
                        Err(error) => Err(error.into()),
                    }
                }
                Err(error) => Err(error),
            },
        };
        self.gone |= matches!(polled, Err(SourceError::Io(_)));
        Poll::Ready(polled)
    }

    fn checksum(&self) -> Option<Crc32c> {
        match &self.rest {
            Rest::Known(_) => None,
            Rest::Pieces(pieces) => pieces.checksum,
        }
    }
}
