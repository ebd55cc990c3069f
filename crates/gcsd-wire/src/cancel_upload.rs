//! CancelUpload: throw away what is committed (proto-spec.md, "CancelUpload").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, put};

/// CancelUpload has no args.
pub type Args = super::args::Empty;

/// How the upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// GCS cancelled it (499): there is no object of it, and there will be none.
    Cancelled,
    /// It was finished before: the object stands.
    Finished {
        /// The object's generation, or 0 where GCS did not say.
        generation: u64,
    },
    /// GCS does not know the session (any more): it was cancelled, finished, or has expired.
    Unknown,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Raw {
    outcome: U32,
    reserved: U32,
    generation: U64,
}
const _: () = assert!(size_of::<Raw>() == 16);

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let (outcome, generation) = match *self {
            Self::Cancelled => (1, 0),
            Self::Finished { generation } => (2, generation),
            Self::Unknown => (3, 0),
        };
        put(
            out,
            &Raw {
                outcome: U32::new(outcome),
                reserved: U32::ZERO,
                generation: generation.into(),
            },
        );
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: Raw = reader.fixed()?;
        let reply = match raw.outcome.get() {
            1 => Self::Cancelled,
            2 => Self::Finished {
                generation: raw.generation.get(),
            },
            3 => Self::Unknown,
            _ => {
                return Err(ArgsError::Value {
                    field: "outcome",
                    why: "is none of 1, 2 and 3",
                });
            }
        };
        reader.end(reply)
    }
}
