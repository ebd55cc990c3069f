//! The args of a reply whose status is not `ok` (proto-spec.md, "Errors and recovery").

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, bit, fit, fit_optional, optional, put};

/// `present` bit: `committed` holds a value.
const COMMITTED: u32 = 1;

/// What the daemon knows of a failure, beside its status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorReply {
    /// The last that GCS reported as persisted of the upload: a lower bound, and always safe to go on from.
    pub committed: Option<u64>,
    /// How long to wait before the next try, in milliseconds; 0 leaves it to the client.
    pub retry_after_ms: u32,
    /// One line for a person.
    pub message: String,
    /// GCS's own reason (`conditionNotMet`, ...), where it gave one.
    pub reason: Option<String>,
    /// GCS's name for the request (`X-GUploader-UploadID`), where it gave one.
    pub request_id: Option<String>,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Raw {
    committed: U64,
    present: U32,
    retry_after_ms: U32,
    message_len: U16,
    reason_len: U16,
    request_id_len: U16,
    reserved: U16,
}
const _: () = assert!(size_of::<Raw>() == 24);

impl WireArgs for ErrorReply {
    fn encode(&self, out: &mut BytesMut) {
        let texts = [
            fit(&self.message),
            fit_optional(&self.reason),
            fit_optional(&self.request_id),
        ];
        put(
            out,
            &Raw {
                committed: self.committed.unwrap_or(0).into(),
                present: bit(self.committed, COMMITTED).into(),
                retry_after_ms: self.retry_after_ms.into(),
                message_len: texts[0].1.into(),
                reason_len: texts[1].1.into(),
                request_id_len: texts[2].1.into(),
                reserved: U16::ZERO,
            },
        );
        for (text, _) in texts {
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: Raw = reader.fixed()?;
        let message = reader.text(raw.message_len.get().into(), "message")?;
        let reason = reader.optional_text(raw.reason_len.get().into(), "reason")?;
        let request_id = reader.optional_text(raw.request_id_len.get().into(), "request_id")?;
        reader.end(Self {
            committed: optional(raw.present.get(), COMMITTED, raw.committed.get()),
            retry_after_ms: raw.retry_after_ms.get(),
            message,
            reason,
            request_id,
        })
    }
}
