//! CancelUpload: throw away what is committed (proto-spec.md, "CancelUpload").

use super::field_types::choice;
use super::table::{wire_args_as, wire_struct};

/// The request says nothing more than its head.
pub type Args = super::args::Empty;

/// How the upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelUploadReply {
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

choice! {
    /// How the upload ended.
    pub enum Outcome {
        /// By the cancel.
        Cancelled = 1 "cancelled",
        /// It was finished before.
        Finished = 2 "finished",
        /// GCS does not know.
        Unknown = 3 "unknown",
    }
}

wire_struct! {
    /// How the upload ended.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Fields: "CancelUpload.reply"[24], reply {
        /// 1 cancelled: there is no object of this upload, and there will be none. 2 finished before: the object stands.
        /// 3 unknown: GCS does not know the session (any more); it was cancelled, was finished, or is too old.
        outcome: Outcome;
        pad reserved 4;
        /// With outcome 2, the object's generation, or 0 if GCS did not say; else 0.
        generation: u64;
        pad reserved2 8;
    }
}

impl From<&CancelUploadReply> for Fields {
    fn from(reply: &CancelUploadReply) -> Self {
        let (outcome, generation) = match *reply {
            CancelUploadReply::Cancelled => (Outcome::Cancelled, 0),
            CancelUploadReply::Finished { generation } => (Outcome::Finished, generation),
            CancelUploadReply::Unknown => (Outcome::Unknown, 0),
        };
        Self { outcome, generation }
    }
}

impl From<Fields> for CancelUploadReply {
    fn from(Fields { outcome, generation }: Fields) -> Self {
        match outcome {
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Finished => Self::Finished { generation },
            Outcome::Unknown => Self::Unknown,
        }
    }
}

wire_args_as!(CancelUploadReply, Fields, false);

/// The args of the reply.
pub type Reply = CancelUploadReply;
