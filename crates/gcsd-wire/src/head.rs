//! The head of every frame: 32 bytes, little-endian (proto-spec.md, "Framing").

use super::field::Struct;
use super::status::Status;
use super::table::wire_struct;
use super::{MAX_BODY_LEN, VERSION};

/// The size of a head in bytes, in both directions.
pub const HEAD_LEN: usize = 32;

/// The first four bytes of a request.
pub const REQUEST_MAGIC: [u8; 4] = *b"GCS?";
/// The first four bytes of a reply.
pub const REPLY_MAGIC: [u8; 4] = *b"GCS!";

/// Request flags whose meaning touches the framing (bits 0 to 7): an unknown one ends the connection.
pub const FRAMING_FLAGS: u16 = 0x00ff;
/// Request flag: the body comes in [pieces](super::piece), because its length is not known.
pub const STREAMED: u16 = 1;
/// Flag of both directions: the args end with the checksum of the head and of the args before it. A request that
/// has it is answered in frames that have it.
pub const CHECKED: u16 = 0x0100;
/// Reply flag: more frames of the same reply follow.
pub const MORE: u16 = 1;
/// Reply flag: the daemon closes the connection, and reads no further request from it.
pub const CLOSING: u16 = 2;

/// Why the first 32 bytes are not a head. The connection cannot be framed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The magic is of neither direction.
    #[error("the head does not start with the expected magic: found {0:02x?}")]
    Magic([u8; 4]),
    /// The magic is of the other direction.
    #[error("the head has the magic of the other direction")]
    Direction,
    /// The version is not one that this side speaks.
    #[error("protocol version {0} is not spoken here, only version 1 is")]
    Version(u8),
    /// A framing flag that this side does not know.
    #[error("unknown framing flags {0:#06x}")]
    FramingFlags(u16),
    /// `body_len` is 2^63 or more.
    #[error("body_len {0} is beyond 2^63 - 1")]
    BodyLen(u64),
    /// A body in pieces has a length.
    #[error("body_len is {0}, and must be 0 where the body comes in pieces")]
    StreamedLen(u64),
    /// A request has the sequence of replies to nothing.
    #[error("a request has the sequence 0, which replies have that answer none")]
    Sequence,
}

wire_struct! {
    /// The head of a request.
    #[derive(Clone, Copy)]
    pub(crate) struct RequestFields: "RequestHead"[32], part {
        /// `47 43 53 3f`: `GCS?`.
        magic: [u8; 4];
        /// 1.
        version: u8;
        /// What the request asks for. It may be one that the daemon does not know.
        opcode: u8;
        /// See the request flags.
        flags: u16;
        /// Any number but 0, unique among the connection's requests in flight.
        sequence: u64;
        /// The upload id where the opcode has one, else 0.
        upload: u32;
        /// At most `max_args` (64 KiB by default).
        args_len: u32;
        /// At most 2^63-1; 0 where the opcode has no body, and with `streamed`.
        body_len: u64;
    }
}

wire_struct! {
    /// The head of a frame of a reply.
    #[derive(Clone, Copy)]
    pub(crate) struct ReplyFields: "ReplyHead"[32], part {
        /// `47 43 53 21`: `GCS!`.
        magic: [u8; 4];
        /// 1.
        version: u8;
        /// The request's, known or not; 0 where there was no readable head.
        opcode: u8;
        /// See the reply flags.
        flags: u16;
        /// The request's; 0 where there was no readable head.
        sequence: u64;
        /// How the request ended; 0 is `ok`.
        status: u16;
        /// The HTTP status of GCS's answer, in the last frame of a reply; 0 in frames with `more`, and where GCS was
        /// not asked or did not answer.
        http_status: u16;
        /// Bytes of args.
        args_len: u32;
        /// Bytes of body.
        body_len: u64;
    }
}

type RawRequest = <RequestFields as Struct>::Raw;
type RawReply = <ReplyFields as Struct>::Raw;

/// The head of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// The number of the request's kind; it may be one that this side does not know.
    pub opcode: u8,
    /// [`STREAMED`] and [`CHECKED`]; no other flag is defined for requests.
    pub flags: u16,
    /// The client's number for the request, echoed in each frame of the reply.
    pub sequence: u64,
    /// The client's id of the upload that the request is about, or 0.
    pub upload: u32,
    /// Bytes of args that follow the head.
    pub args_len: u32,
    /// Bytes of body that follow the args, at most [`MAX_BODY_LEN`]; 0 where it comes in pieces.
    pub body_len: u64,
}

impl RequestHead {
    /// Reads a head. Only what breaks the framing is an error here.
    pub fn decode(bytes: &[u8; HEAD_LEN]) -> Result<Self, HeadError> {
        let raw: RawRequest = zerocopy::transmute!(*bytes);
        check(
            raw.magic,
            REQUEST_MAGIC,
            REPLY_MAGIC,
            raw.version,
            raw.body_len.get(),
        )?;
        let unknown = raw.flags.get() & FRAMING_FLAGS & !STREAMED;
        if unknown != 0 {
            return Err(HeadError::FramingFlags(unknown));
        }
        if raw.flags.get() & STREAMED != 0 && raw.body_len != 0 {
            return Err(HeadError::StreamedLen(raw.body_len.get()));
        }
        if raw.sequence == 0 {
            return Err(HeadError::Sequence);
        }
        Ok(Self::peek(bytes))
    }

    /// What the bytes say, if they are a head: nothing is judged. Of a checked request that comes first, since only its
    /// checksum tells whether these are the bytes that were sent.
    pub fn peek(bytes: &[u8; HEAD_LEN]) -> Self {
        let raw: RawRequest = zerocopy::transmute!(*bytes);
        Self {
            opcode: raw.opcode,
            flags: raw.flags.get(),
            sequence: raw.sequence.get(),
            upload: raw.upload.get(),
            args_len: raw.args_len.get(),
            body_len: raw.body_len.get(),
        }
    }

    /// Whether the first four bytes can begin a request.
    pub fn check_magic(found: [u8; 4]) -> Result<(), HeadError> {
        check_magic(found, REQUEST_MAGIC, REPLY_MAGIC)
    }

    /// Whether the body comes in pieces.
    pub fn streamed(&self) -> bool {
        self.flags & STREAMED != 0
    }

    /// Whether the args end with a checksum.
    pub fn checked(&self) -> bool {
        self.flags & CHECKED != 0
    }

    /// The 32 bytes of the head.
    pub fn encode(&self) -> [u8; HEAD_LEN] {
        let fields = RequestFields {
            magic: REQUEST_MAGIC,
            version: VERSION,
            opcode: self.opcode,
            flags: self.flags,
            sequence: self.sequence,
            upload: self.upload,
            args_len: self.args_len,
            body_len: self.body_len,
        };
        zerocopy::transmute!(fields.pack())
    }
}

/// The head of a frame of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHead {
    /// The request's opcode, or 0 where no request could be read.
    pub opcode: u8,
    /// [`MORE`], [`CLOSING`] and [`CHECKED`].
    pub flags: u16,
    /// The request's sequence, or 0 where no request could be read.
    pub sequence: u64,
    /// How the request ended; [`Status::OK`] in every frame but an error's.
    pub status: Status,
    /// GCS's HTTP status, or 0 where GCS did not answer.
    pub http_status: u16,
    /// Bytes of args that follow the head.
    pub args_len: u32,
    /// Bytes of body that follow the args, at most [`MAX_BODY_LEN`].
    pub body_len: u64,
}

impl ReplyHead {
    /// Reads a head. Unknown flags are ignored: a reply's framing never depends on them.
    pub fn decode(bytes: &[u8; HEAD_LEN]) -> Result<Self, HeadError> {
        let raw: RawReply = zerocopy::transmute!(*bytes);
        check(
            raw.magic,
            REPLY_MAGIC,
            REQUEST_MAGIC,
            raw.version,
            raw.body_len.get(),
        )?;
        Ok(Self {
            opcode: raw.opcode,
            flags: raw.flags.get(),
            sequence: raw.sequence.get(),
            status: Status(raw.status.get()),
            http_status: raw.http_status.get(),
            args_len: raw.args_len.get(),
            body_len: raw.body_len.get(),
        })
    }

    /// The 32 bytes of the head.
    pub fn encode(&self) -> [u8; HEAD_LEN] {
        let fields = ReplyFields {
            magic: REPLY_MAGIC,
            version: VERSION,
            opcode: self.opcode,
            flags: self.flags,
            sequence: self.sequence,
            status: self.status.0,
            http_status: self.http_status,
            args_len: self.args_len,
            body_len: self.body_len,
        };
        zerocopy::transmute!(fields.pack())
    }

    /// Whether more frames of the same reply follow.
    pub fn more(&self) -> bool {
        self.flags & MORE != 0
    }

    /// Whether the args end with a checksum.
    pub fn checked(&self) -> bool {
        self.flags & CHECKED != 0
    }

    /// Whether the daemon closes the connection.
    pub fn closing(&self) -> bool {
        self.flags & CLOSING != 0
    }
}

fn check(
    found: [u8; 4],
    expected: [u8; 4],
    other: [u8; 4],
    version: u8,
    body_len: u64,
) -> Result<(), HeadError> {
    check_magic(found, expected, other)?;
    if version != VERSION {
        return Err(HeadError::Version(version));
    }
    if body_len > MAX_BODY_LEN {
        return Err(HeadError::BodyLen(body_len));
    }
    Ok(())
}

fn check_magic(found: [u8; 4], expected: [u8; 4], other: [u8; 4]) -> Result<(), HeadError> {
    match found {
        _ if found == expected => Ok(()),
        _ if found == other => Err(HeadError::Direction),
        _ => Err(HeadError::Magic(found)),
    }
}
