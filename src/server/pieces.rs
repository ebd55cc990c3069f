//! A body in pieces (proto-spec.md, "Framing"): the heads are taken out, the data passes.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::reader::{Next, Reader, SMALL_READ};
use super::refusal;
use gcsd_gcs::SourceError;
use gcsd_types::Crc32c;
use gcsd_wire::piece::CHECKSUM_LEN;
use gcsd_wire::{MAX_BODY_LEN, PIECE_HEAD_LEN, PieceError, PieceHead};

/// Where in its pieces a body stands.
#[derive(Debug)]
pub(super) struct Pieces {
    at: At,
    /// How many bytes of data may still follow.
    allowed: u64,
    /// All of them must follow.
    exact: bool,
    /// The request is checked: heads have a checksum, and so has the body at its end.
    checked: bool,
    checksum: Option<Crc32c>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before a head.
    Head,
    /// Inside a data piece; N bytes remain.
    Data(u32),
    /// Before the checksum of the end.
    Checksum,
    /// Behind the end.
    End,
    /// Behind an end without the checksum that a checked request must have.
    Unsummed,
    /// Behind an abort.
    Aborted,
    /// Inside a data piece that exceeds what is allowed; N bytes remain.
    Beyond(u32),
    /// Nowhere: the pieces cannot be framed.
    Lost(PieceError),
}

impl At {
    /// What a head leads to.
    fn of(head: &[u8; PIECE_HEAD_LEN], checked: bool) -> Self {
        let head = match checked {
            true => PieceHead::decode_checked(head),
            false => PieceHead::decode(head),
        };
        match head {
            Ok(PieceHead::Data(len)) => Self::Data(len),
            Ok(PieceHead::End { checksum: true }) => Self::Checksum,
            Ok(PieceHead::End { checksum: false }) if checked => Self::Unsummed,
            Ok(PieceHead::End { checksum: false }) => Self::End,
            Ok(PieceHead::Abort) => Self::Aborted,
            Err(error) => Self::Lost(error),
        }
    }
}

impl Pieces {
    /// The pieces of a body of which nothing was read yet; `checked` as its request is.
    pub(super) fn new(checked: bool) -> Self {
        Self {
            at: At::Head,
            allowed: MAX_BODY_LEN,
            exact: false,
            checked,
            checksum: None,
        }
    }

    /// Allows at most `allowed` bytes of data; with `exact`, requires all of them.
    pub(super) fn expect(&mut self, allowed: u64, exact: bool) {
        (self.allowed, self.exact) = (allowed, exact);
    }

    /// Whether the end was read.
    pub(super) fn has_ended(&self) -> bool {
        self.at == At::End
    }

    /// Whether the pieces cannot be framed, so that what follows them cannot be found.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.at, At::Lost(_))
    }

    /// The checksum at the end.
    pub(super) fn checksum(&self) -> Option<Crc32c> {
        self.checksum
    }

    /// Goes on to the next data: how many bytes of it remain in its piece, 0 at the end.
    pub(super) fn poll_data(
        &mut self,
        reader: &mut Reader,
        cx: &mut Context<'_>,
    ) -> Poll<Result<u32, SourceError>> {
        loop {
            self.at = match self.at {
                At::Data(len) => return Poll::Ready(Ok(len)),
                At::Head => match At::of(&ready!(reader.poll_exactly(cx))?, self.checked) {
                    At::Data(len) if u64::from(len) > self.allowed => At::Beyond(len),
                    at => at,
                },
                At::Checksum => {
                    let bytes: [u8; CHECKSUM_LEN] = ready!(reader.poll_exactly(cx))?;
                    self.checksum = Some(Crc32c(u32::from_le_bytes(bytes)));
                    At::End
                }
                At::End if self.exact && self.allowed > 0 => {
                    return malformed("the pieces bring fewer bytes than 'total' says");
                }
                At::End => return Poll::Ready(Ok(0)),
                At::Unsummed => {
                    return malformed("the end piece of a checked request has no checksum of the body");
                }
                At::Aborted => return Poll::Ready(Err(SourceError::Aborted)),
                At::Beyond(_) if self.exact => {
                    return malformed("the pieces bring more bytes than 'total' says");
                }
                At::Beyond(_) => return malformed("the pieces bring more bytes than an object can have"),
                At::Lost(error) => return malformed(why(error)),
            };
        }
    }

    /// The next data: at least one byte and at most `max`, none at the end.
    pub(super) fn poll_chunk(
        &mut self,
        reader: &mut Reader,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Bytes, SourceError>> {
        let len = ready!(self.poll_data(reader, cx))?;
        if len == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        let wanted = usize::try_from(len).unwrap_or(usize::MAX).min(max);
        // The next head may be read along with the bytes, and small pieces by the dozen; of what is behind the body, no more
        // than a connection may send ahead.
        let ahead = wanted.saturating_add(PIECE_HEAD_LEN).max(SMALL_READ);
        let chunk = ready!(reader.poll_chunk(cx, wanted, ahead))?;
        if chunk.is_empty() {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
        }
        let left = len - u32::try_from(chunk.len()).unwrap_or(len);
        self.at = if left == 0 { At::Head } else { At::Data(left) };
        self.allowed -= chunk.len() as u64;
        Poll::Ready(Ok(chunk))
    }

    /// Reads to the end and discards everything: `cap` bytes at most, of which `read` were read before.
    pub(super) async fn skip(mut self, mut reader: Reader, read: u64, cap: u64) -> Next {
        let mut left = cap.saturating_sub(read);
        loop {
            let (len, next) = match self.at {
                At::End | At::Unsummed | At::Aborted => return Next::Read(reader),
                At::Lost(error) => return Next::Lost(reader, Box::new(refusal::bad_piece(error))),
                At::Head => (PIECE_HEAD_LEN as u64, At::Head),
                At::Checksum => (CHECKSUM_LEN as u64, At::End),
                At::Data(len) | At::Beyond(len) => (len.into(), At::Head),
            };
            if len > left {
                return Next::Lost(reader, Box::new(refusal::endless_pieces(cap)));
            }
            left -= len;
            let read = match self.at {
                At::Head => match reader.exactly::<PIECE_HEAD_LEN>().await {
                    Some(head) => {
                        self.at = At::of(&head, self.checked);
                        true
                    }
                    None => false,
                },
                _ => {
                    self.at = next;
                    reader.skip(len).await
                }
            };
            if !read {
                return Next::Close(Some(reader));
            }
        }
    }
}

fn malformed<T>(why: &'static str) -> Poll<Result<T, SourceError>> {
    Poll::Ready(Err(SourceError::Malformed(why)))
}

/// The error without its numbers.
fn why(error: PieceError) -> &'static str {
    match error {
        PieceError::Kind(_) => "the body holds a piece of an undefined kind",
        PieceError::Reserved => "the body holds a piece whose reserved bytes are not 0",
        PieceError::Damaged => "the head of a piece was damaged on the way",
        PieceError::Empty => "the body holds a data piece without bytes",
        PieceError::Len { .. } => "the body holds a piece with a length that its kind cannot have",
    }
}
