//! What a read asks for, and what it learns before the first byte.

use gcsd_types::{ByteRange, ObjectInfo, ObjectRef};
use gcsd_wire::read_at;

/// Which object to read, and which of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadRequest {
    /// The object. Its `fields` are not looked at: bytes have none.
    pub object: ObjectRef,
    /// Its bytes.
    pub range: ByteRange,
    /// Whether GCS may decompress what is stored with `Content-Encoding: gzip`. Such a read cannot be resumed.
    pub decompress: bool,
}

impl ReadRequest {
    /// All bytes of `object`, as they are stored.
    pub fn new(object: ObjectRef) -> Self {
        Self {
            object,
            range: ByteRange::default(),
            decompress: false,
        }
    }

    /// Only these bytes: `0..100`, `100..` and the like. A range behind the object's end fails
    /// (`range_not_satisfiable`); one that reaches beyond the end is cut short there.
    #[must_use]
    pub fn with_range(mut self, range: impl Into<ByteRange>) -> Self {
        self.range = range.into();
        self
    }

    /// Has GCS decompress what is stored with `Content-Encoding: gzip`.
    #[must_use]
    pub fn with_decompress(mut self, decompress: bool) -> Self {
        self.decompress = decompress;
        self
    }
}

impl From<ReadRequest> for read_at::ReadAtArgs {
    fn from(request: ReadRequest) -> Self {
        Self {
            of: ObjectRef {
                fields: None,
                ..request.object
            },
            range: request.range,
            decompress: request.decompress,
        }
    }
}

/// What a read gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadStart {
    /// The object, as far as GCS describes it beside its bytes.
    pub object: ObjectInfo,
    /// The object's byte that comes first.
    pub offset: u64,
    /// How many bytes are coming; `None` where GCS decompresses, or does not say.
    pub len: Option<u64>,
}

impl From<read_at::Start> for ReadStart {
    fn from(start: read_at::Start) -> Self {
        Self {
            object: start.object,
            offset: start.offset,
            len: start.len,
        }
    }
}
