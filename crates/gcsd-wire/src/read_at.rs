//! ReadAt: bytes of an object, streamed back in frames (proto-spec.md, "ReadAt").

use bytes::{Bytes, BytesMut};

use super::MAX_BODY_LEN;
use super::args::{ArgsError, WireArgs, check_size};
use super::field::Struct as _;
use super::field_types::NotMax;
use super::layout::StructLayout;
use super::object::NO_JSON;
use super::table::{wire_args_as, wire_struct};
pub use gcsd_types::ByteRange as Range;
use gcsd_types::{Crc32c, ObjectInfo, ObjectRef};

/// Which object, and which of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAtArgs {
    /// The object; it has no `fields`.
    pub of: ObjectRef,
    /// Its bytes.
    pub range: Range,
    /// Whether GCS may decompress what is stored compressed.
    pub decompress: bool,
}

wire_struct! {
    /// Which object, and which of its bytes.
    #[derive(Clone, PartialEq)]
    pub(crate) struct Fields: "ReadAt.args"[88], request {
        /// The object.
        of: ObjectRef where not(fields = NO_JSON);
        /// `len` counts from the object's end.
        suffix: bool, of.present[5];
        /// GCS may decompress an object that is stored with `Content-Encoding: gzip`.
        decompress: bool, of.present[6];
        /// The first byte; with `suffix` 0, else `bad_args`.
        offset: u64;
        /// How many bytes; 0: to the object's end. With `suffix`: the last so many, not 0, else `bad_args`.
        len: u64;
        pad reserved 8;
    }
}

impl From<&ReadAtArgs> for Fields {
    fn from(args: &ReadAtArgs) -> Self {
        let (offset, len, suffix) = match args.range {
            Range::From(offset) => (offset, 0, false),
            Range::Of { offset, len } => (offset, len, false),
            Range::Suffix(len) => (0, len, true),
        };
        Self {
            of: args.of.clone(),
            suffix,
            decompress: args.decompress,
            offset,
            len,
        }
    }
}

impl TryFrom<Fields> for ReadAtArgs {
    type Error = ArgsError;

    fn try_from(fields: Fields) -> Result<Self, ArgsError> {
        check_size("offset", fields.offset)?;
        check_size("len", fields.len)?;
        let range = match (fields.suffix, fields.offset, fields.len) {
            (true, 0, 0) => return Err(ArgsError::value("len", "is 0, and counts from the end")),
            (true, 0, len) => Range::Suffix(len),
            (true, ..) => {
                return Err(ArgsError::value(
                    "offset",
                    "must be 0 where len counts from the end",
                ));
            }
            (false, offset, 0) => Range::From(offset),
            (false, offset, len) if offset + len <= MAX_BODY_LEN => Range::Of { offset, len },
            (false, ..) => return Err(ArgsError::value("len", "reaches beyond 2^63 - 1")),
        };
        Ok(Self {
            of: fields.of,
            range,
            decompress: fields.decompress,
        })
    }
}

wire_args_as!(ReadAtArgs, Fields, true);

/// The args of a reply's frame: they differ by its place, and their length tells which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadAtReply {
    /// The first frame (args, no body): what is coming.
    Start(ReadStart),
    /// A frame of bytes (no args, a body).
    Piece,
    /// The last frame (args, no body): what was sent in all.
    End(ReadEnd),
}

wire_struct! {
    /// What a read gives: the first frame of the reply.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct ReadStart: "ReadAt.start"[80], reply {
        /// The whole object as it is stored, as far as GCS tells it beside the bytes.
        object: ObjectInfo;
        /// The object's byte that comes first.
        offset: u64;
        /// How many bytes come; 2^64-1: unknown, since GCS decompresses, or does not say.
        len: Option<u64> as NotMax;
    }
}

wire_struct! {
    /// What a read gave: the last frame of the reply.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct ReadEnd: "ReadAt.end"[24], reply {
        /// Bytes in the pieces.
        sent: u64;
        /// Their checksum, as the daemon sent them.
        crc32c: Crc32c;
        pad reserved 4;
        pad reserved2 8;
    }
}

impl WireArgs for ReadAtReply {
    const LAYOUTS: &'static [&'static StructLayout] = &[&ReadStart::LAYOUT, &ReadEnd::LAYOUT];

    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Start(start) => start.encode(out),
            Self::Piece => {}
            Self::End(end) => end.encode(out),
        }
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        match bytes.len() {
            0 => Ok(Self::Piece),
            len if len == ReadEnd::LAYOUT.size => ReadEnd::decode(bytes).map(Self::End),
            _ => ReadStart::decode(bytes).map(Self::Start),
        }
    }
}

/// The args of the request.
pub type Args = ReadAtArgs;
/// The args of the reply's frames.
pub type Reply = ReadAtReply;
/// What a read gives.
pub type Start = ReadStart;
/// What a read gave.
pub type End = ReadEnd;
