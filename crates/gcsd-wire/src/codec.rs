//! Framing for tokio-util: a head and its args, never a body (proto-spec.md, "Framing").
//!
//! A decoder stops behind the args. The socket's owner takes the body from there: first what is
//! left in the buffer, then the socket itself.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::check::{self, CHECK_LEN};
use super::head::{HEAD_LEN, HeadError, ReplyHead, RequestHead};

/// A request without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFrame {
    /// The head.
    pub head: RequestHead,
    /// The args, without their checksum; `None` where they are longer than the decoder's limit. They are then
    /// still unread, and `head.args_len` bytes must be skipped before the body.
    pub args: Option<Bytes>,
}

/// A frame of a reply without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyFrame {
    /// The head.
    pub head: ReplyHead,
    /// The args, without their checksum.
    pub args: Bytes,
}

/// Why a peer's bytes cannot be framed.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The head is none.
    #[error("{0}")]
    Head(#[from] HeadError),
    /// The head is none, and its checksum holds: so it was sent.
    #[error("{0}")]
    Verified(HeadError),
    /// The connection has agreed on checked frames, and this one is not.
    #[error("a frame without a checksum, on a connection that agreed on checked frames")]
    Unchecked,
    /// The args of a checked request are longer than can be verified.
    #[error("a checked request has {0} bytes of args, more than can be verified here")]
    Unverifiable(u32),
    /// The checksum of a head and its args is not theirs.
    #[error("the head or the args were damaged on the way: they have another checksum")]
    Damaged,
    /// A reply's args are longer than the limit.
    #[error("a reply has {0} bytes of args, more than is accepted here")]
    ArgsTooLarge(u32),
    /// The stream itself failed; tokio-util's traits ask for this case.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Frames requests, on the daemon's side.
#[derive(Debug, Clone, Copy)]
pub struct RequestCodec {
    /// The largest args that are accepted, in bytes, without their checksum.
    pub max_args: u32,
    /// Every request must be checked: the connection has agreed on it.
    pub checked: bool,
}

impl RequestCodec {
    /// The head that `source` begins with, as soon as it is there. That of a checked request is not judged yet. Bytes of
    /// another protocol are an error as soon as there are four.
    pub fn peek(&self, source: &[u8]) -> Result<Option<RequestHead>, FrameError> {
        let Some(magic) = source.first_chunk() else {
            return Ok(None);
        };
        if let Err(error) = RequestHead::check_magic(*magic) {
            return Err(match holds(source) {
                true => FrameError::Verified(error),
                false => FrameError::Head(error),
            });
        }
        let Some(bytes) = source.first_chunk::<HEAD_LEN>() else {
            return Ok(None);
        };
        let head = RequestHead::peek(bytes);
        match head.checked() {
            true if u64::from(head.args_len) > u64::from(self.max_args) + CHECK_LEN as u64 => {
                Err(FrameError::Unverifiable(head.args_len))
            }
            true => Ok(Some(head)),
            false if self.checked => Err(FrameError::Unchecked),
            false => Ok(Some(RequestHead::decode(bytes)?)),
        }
    }
}

impl Decoder for RequestCodec {
    type Item = RequestFrame;
    type Error = FrameError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<RequestFrame>, FrameError> {
        let Some(head) = self.peek(source)? else {
            return Ok(None);
        };
        if !head.checked() && head.args_len > self.max_args {
            source.advance(HEAD_LEN);
            return Ok(Some(RequestFrame { head, args: None }));
        }
        let Some(bytes) = source.first_chunk::<HEAD_LEN>().copied() else {
            return Ok(None);
        };
        let Some(args) = take_args(source, &bytes, head.args_len, head.checked())? else {
            return Ok(None);
        };
        let head = RequestHead::decode(&bytes).map_err(|error| match head.checked() {
            true => FrameError::Verified(error),
            false => FrameError::Head(error),
        })?;
        Ok(Some(RequestFrame {
            head,
            args: Some(args),
        }))
    }
}

/// Whether `source` begins with a whole checked frame whose checksum holds, whatever its magic is.
fn holds(source: &[u8]) -> bool {
    let Some((bytes, rest)) = source.split_first_chunk::<HEAD_LEN>() else {
        return false;
    };
    let head = RequestHead::peek(bytes);
    let len = usize::try_from(head.args_len).unwrap_or(usize::MAX);
    let args = rest.get(..len).filter(|_| head.checked());
    args.is_some_and(|args| check::verify(bytes, &Bytes::copy_from_slice(args)).is_some())
}

/// Frames replies, on the client's side.
#[derive(Debug, Clone, Copy)]
pub struct ReplyCodec {
    /// The largest args that are accepted, in bytes.
    pub max_args: u32,
}

impl Decoder for ReplyCodec {
    type Item = ReplyFrame;
    type Error = FrameError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<ReplyFrame>, FrameError> {
        let Some(bytes) = source.first_chunk::<HEAD_LEN>() else {
            return Ok(None);
        };
        let bytes = *bytes;
        let head = ReplyHead::decode(&bytes)?;
        if head.args_len > self.max_args {
            return Err(FrameError::ArgsTooLarge(head.args_len));
        }
        let args = take_args(source, &bytes, head.args_len, head.checked())?;
        Ok(args.map(|args| ReplyFrame { head, args }))
    }
}

/// Takes a head and its args from the front, once they are there whole.
///
/// The args are copied out: they are small, and as a slice they would keep a buffer of bulk data alive.
fn take_args(
    source: &mut BytesMut,
    head: &[u8; HEAD_LEN],
    args_len: u32,
    checked: bool,
) -> Result<Option<Bytes>, FrameError> {
    let len = usize::try_from(args_len).unwrap_or(usize::MAX);
    let Some(args) = source.get(HEAD_LEN..).and_then(|rest| rest.get(..len)) else {
        return Ok(None);
    };
    let args = Bytes::copy_from_slice(args);
    source.advance(HEAD_LEN + len);
    if checked {
        return check::verify(head, &args).ok_or(FrameError::Damaged).map(Some);
    }
    Ok(Some(args))
}

impl Encoder<&RequestFrame> for RequestCodec {
    type Error = std::io::Error;

    fn encode(&mut self, frame: &RequestFrame, out: &mut BytesMut) -> Result<(), Self::Error> {
        match &frame.args {
            Some(args) => out.put_slice(&frame.head.front(args)),
            None => out.put_slice(&frame.head.encode()),
        }
        Ok(())
    }
}

impl Encoder<&ReplyFrame> for ReplyCodec {
    type Error = std::io::Error;

    fn encode(&mut self, frame: &ReplyFrame, out: &mut BytesMut) -> Result<(), Self::Error> {
        out.put_slice(&frame.head.front(&frame.args));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use gcsd_types::Crc32c;

    use super::*;
    use crate::Status;
    use crate::head::CHECKED;

    fn head(args_len: u32) -> RequestHead {
        RequestHead {
            opcode: 2,
            flags: 0,
            sequence: 7,
            upload: 0,
            args_len,
            body_len: 3,
        }
    }

    #[test]
    fn a_request_is_framed_only_when_whole_and_the_body_is_left() {
        let mut codec = RequestCodec {
            max_args: 8,
            checked: false,
        };
        let mut wire = head(2).encode().to_vec();
        wire.extend(b"ab123");
        let mut buffer = BytesMut::new();
        for byte in &wire[..HEAD_LEN + 1] {
            buffer.put_u8(*byte);
            assert_eq!(codec.decode(&mut buffer).expect("a good head"), None);
        }
        buffer.extend_from_slice(&wire[HEAD_LEN + 1..]);
        let frame = codec
            .decode(&mut buffer)
            .expect("a good head")
            .expect("a whole frame");
        assert_eq!(
            frame,
            RequestFrame {
                head: head(2),
                args: Some(Bytes::from_static(b"ab"))
            }
        );
        assert_eq!(&buffer[..], b"123");
    }

    #[test]
    fn args_beyond_the_limit_are_left_unread() {
        let mut codec = RequestCodec {
            max_args: 8,
            checked: false,
        };
        let mut buffer = BytesMut::from(&head(9).encode()[..]);
        buffer.extend_from_slice(b"123456789");
        let frame = codec.decode(&mut buffer).expect("a good head").expect("a frame");
        assert_eq!(frame.args, None);
        assert_eq!(buffer.len(), 9);
    }

    #[test]
    fn what_breaks_the_framing_is_an_error() {
        let mut codec = RequestCodec {
            max_args: 8,
            checked: false,
        };
        let mut bytes = head(0).encode();
        let decode =
            |bytes: [u8; HEAD_LEN], codec: &mut RequestCodec| codec.decode(&mut BytesMut::from(&bytes[..]));
        bytes[3] = b'!';
        assert!(matches!(
            decode(bytes, &mut codec),
            Err(FrameError::Head(HeadError::Direction))
        ));
        bytes[3] = b'x';
        assert!(matches!(
            decode(bytes, &mut codec),
            Err(FrameError::Head(HeadError::Magic(_)))
        ));
        bytes[3] = b'?';
        bytes[4] = 2;
        assert!(matches!(
            decode(bytes, &mut codec),
            Err(FrameError::Head(HeadError::Version(2)))
        ));
        bytes[4] = 1;
        bytes[6] = 3;
        assert!(matches!(
            decode(bytes, &mut codec),
            Err(FrameError::Head(HeadError::FramingFlags(2)))
        ));
        bytes[6] = 1;
        bytes[24] = 5;
        assert!(matches!(
            decode(bytes, &mut codec),
            Err(FrameError::Head(HeadError::StreamedLen(5)))
        ));
        (bytes[6], bytes[24]) = (0, 0);
        bytes[31] = 0x80;
        assert!(matches!(
            decode(bytes, &mut codec),
            Err(FrameError::Head(HeadError::BodyLen(_)))
        ));
    }
    #[test]
    fn a_checked_request_is_verified_up_to_the_longest_args() {
        let mut codec = RequestCodec {
            max_args: 8,
            checked: true,
        };
        let checked = RequestHead {
            flags: CHECKED,
            ..head(0)
        };
        let mut buffer = BytesMut::from(&checked.front(b"12345678")[..]);
        assert_eq!(codec.peek(&buffer[..3]).expect("it may be a head"), None);
        let peeked = codec.peek(&buffer).expect("a good head").expect("a head");
        assert_eq!((peeked.args_len, peeked.body_len), (12, 3));
        let frame = codec.decode(&mut buffer).expect("its checksum holds");
        assert_eq!(
            frame.and_then(|frame| frame.args),
            Some(Bytes::from_static(b"12345678"))
        );
        assert_eq!(buffer.len(), 0);
        let mut longer = BytesMut::from(&checked.front(b"123456789")[..]);
        assert!(matches!(
            codec.decode(&mut longer),
            Err(FrameError::Unverifiable(13))
        ));
        let mut damaged = BytesMut::from(&checked.front(b"12345678")[..]);
        damaged[HEAD_LEN] ^= 1;
        assert!(matches!(codec.decode(&mut damaged), Err(FrameError::Damaged)));
        let mut unchecked = BytesMut::from(&head(0).encode()[..]);
        assert!(matches!(codec.decode(&mut unchecked), Err(FrameError::Unchecked)));
    }

    #[test]
    fn a_wrong_head_whose_checksum_holds_was_sent_so() {
        let mut codec = RequestCodec {
            max_args: 8,
            checked: false,
        };
        let checked = RequestHead {
            flags: CHECKED,
            ..head(0)
        };
        // A magic that no request has, and a sequence that none may have.
        for (at, byte) in [(3, b'x'), (8, 0)] {
            let mut bytes = checked.front(b"").to_vec();
            bytes.truncate(HEAD_LEN);
            bytes[at] = byte;
            let Crc32c(sum) = Crc32c::of(&bytes);
            bytes.extend(sum.to_le_bytes());
            let mut buffer = BytesMut::from(&bytes[..]);
            assert!(
                matches!(codec.decode(&mut buffer), Err(FrameError::Verified(_))),
                "byte {at}"
            );
            // Without its checksum, another magic may as well be another protocol.
            bytes[HEAD_LEN] ^= 1;
            let mut buffer = BytesMut::from(&bytes[..]);
            let error = codec.decode(&mut buffer).expect_err("damaged");
            match at {
                3 => assert!(matches!(error, FrameError::Head(HeadError::Magic(_)))),
                _ => assert!(matches!(error, FrameError::Damaged)),
            }
        }
    }

    #[test]
    fn a_frame_is_written_as_it_is_read() {
        let mut requests = RequestCodec {
            max_args: 8,
            checked: false,
        };
        let mut replies = ReplyCodec { max_args: 8 };
        let (args, too_long) = (Bytes::from_static(b"12345678"), Bytes::from_static(b"123456789"));
        let mut buffer = BytesMut::new();
        let request = RequestFrame {
            head: head(8),
            args: Some(args.clone()),
        };
        requests.encode(&request, &mut buffer).expect("room");
        assert_eq!(requests.decode(&mut buffer).expect("a good head"), Some(request));
        // Args that were left unread are the caller's to pass on.
        let unread = RequestFrame {
            head: head(9),
            args: None,
        };
        requests.encode(&unread, &mut buffer).expect("room");
        assert_eq!(requests.decode(&mut buffer).expect("a good head"), Some(unread));
        assert_eq!(buffer.len(), 0);

        let head = ReplyHead {
            opcode: 2,
            flags: 0,
            sequence: 7,
            status: Status::OK,
            http_status: 200,
            args_len: 8,
            body_len: 3,
        };
        let mut reply = ReplyFrame { head, args };
        replies.encode(&reply, &mut buffer).expect("room");
        assert_eq!(
            replies.decode(&mut buffer).expect("a good head"),
            Some(reply.clone())
        );
        assert_eq!(buffer.len(), 0);
        reply.args = too_long;
        replies.encode(&reply, &mut buffer).expect("room");
        assert!(matches!(
            replies.decode(&mut buffer),
            Err(FrameError::ArgsTooLarge(9))
        ));
    }
}
