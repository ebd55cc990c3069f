//! What requests mean: `dispatch` with one arm per opcode, and a file for each opcode with one request and the one call
//! to GCS that it stands for.
//!
//! Nothing here knows of sockets. Requests that stream are given what they need: WriteAt, PutObject and
//! UploadPart a body to send on, reads and lists a [`Replier`] to send pieces through.

mod abort_multipart;
mod attach_upload;
mod budget;
mod caller;
pub mod cancel;
mod cancel_upload;
mod complete_multipart;
mod compose_objects;
mod delete_object;
mod denied;
mod detach_upload;
mod dispatch;
mod fences;
mod finish_upload;
mod hello;
mod list_buckets;
mod list_objects;
mod list_parts;
mod move_object;
mod patch_object;
mod ping;
mod put_object;
mod query_upload;
mod read_at;
mod replier;
mod rewrite_object;
mod start_multipart;
mod start_upload;
mod stat_bucket;
mod stat_object;
mod subject;
mod token;
mod upload_part;
mod uploads;
pub mod write_at;

use std::time::Duration;

use bytes::Bytes;

pub use budget::{Account, Budget, Share};
pub use caller::Caller;
pub use denied::{Decided, decide, decide_upload};
pub use dispatch::{Call, Local, Streamed, Transfer, UploadCall, Work};
pub use fences::{Fences, OpenUpload};
pub use gcsd_failure::Failure;
pub use hello::{Secret, bad_version};
pub use replier::{FrameQueue, OutFrame, Replier};
pub use subject::Subject;
pub use token::{Sealer, TokenKeyError};
pub use uploads::{Turn, Uploads};

use crate::policy::Access;
use gcsd_gcs::{Answered, Gcs, Object, UploadProgress};
use gcsd_wire::Reply;
use gcsd_wire::object::Described;
use gcsd_wire::progress::Progress;

/// The limits of a connection, which Hello reports to the client (proto-spec.md, "Limits and time").
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest args, in bytes.
    pub max_args: u32,
    /// How many requests may be in flight on a connection.
    pub max_in_flight: u32,
    /// How many uploads may be open on a connection.
    pub max_uploads: u32,
    /// How much of a refused body is read and thrown away, in bytes.
    pub drain_cap: u64,
    /// How long a new connection may take for its first request, and for its secret if one is required.
    pub handshake_timeout: Duration,
    /// How long a connection may be silent with nothing in flight; zero means for ever.
    pub idle_timeout: Duration,
    /// How long a client may take for a request's head and args, may send nothing inside a body, or may take nothing
    /// of its replies.
    pub client_timeout: Duration,
    /// How long GCS may take or send nothing.
    pub gcs_timeout: Duration,
}

/// What every request can use.
#[derive(Debug)]
pub struct Context {
    /// The client of GCS.
    pub gcs: Gcs,
    /// Seals and opens upload tokens.
    pub sealer: Sealer,
    /// Who has claimed which upload, on all connections.
    pub fences: Fences,
    /// The limits of a connection.
    pub limits: Limits,
    /// The secret that Hello must bring before any other request, if one is required.
    pub secret: Option<Secret>,
    /// Who may do what.
    pub access: Access,
}

/// A request that was carried out.
#[derive(Debug)]
pub struct Answer {
    /// The args of the reply's last frame.
    pub reply: Reply,
    /// The body of that frame: GCS's JSON, or nothing.
    pub body: Bytes,
    /// GCS's HTTP status; 0 where GCS was not asked.
    pub http_status: u16,
    /// Bulk bytes that the request moved, for the log.
    pub moved: u64,
    /// The generation of the object that it is about, where GCS told it, for the log.
    pub generation: Option<u64>,
    /// The name of the upload that it began, where that is not bound to an id, for the log.
    pub upload_name: Option<String>,
    /// GCS's name for the request, for the log.
    pub request_id: Option<String>,
}

impl Answer {
    /// An answer for which GCS was not asked.
    fn local(reply: Reply) -> Self {
        Self::of_gcs(reply, 0, Bytes::new())
    }

    /// Whether the request made an object.
    pub fn made(&self) -> bool {
        subject::made(&self.reply)
    }

    /// An answer of GCS that describes an object.
    fn of_object(answered: Answered<Object>, reply: impl FnOnce(Described) -> Reply) -> Self {
        let Object { info, json, .. } = answered.answer;
        Self::of_gcs(reply(Described { object: info }), answered.http_status, json)
            .with_request_id(answered.request_id)
    }

    /// An answer of GCS that says where an upload stands.
    fn of_progress(answered: Answered<UploadProgress>, reply: impl FnOnce(Progress) -> Reply) -> Self {
        let UploadProgress {
            committed,
            object,
            json,
            ..
        } = answered.answer;
        let progress = Progress {
            object,
            ..Progress::of(committed)
        };
        Self::of_gcs(reply(progress), answered.http_status, json).with_request_id(answered.request_id)
    }

    /// An answer of GCS.
    fn of_gcs(reply: Reply, http_status: u16, body: Bytes) -> Self {
        Self {
            generation: subject::generation(&reply),
            reply,
            body,
            http_status,
            moved: 0,
            upload_name: None,
            request_id: None,
        }
    }

    /// The same, with GCS's name for the request.
    fn with_request_id(self, request_id: Option<String>) -> Self {
        Self { request_id, ..self }
    }
}
