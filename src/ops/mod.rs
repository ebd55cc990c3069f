//! What requests mean: dispatch, one arm per opcode; in each file of an opcode, one request and the one call
//! to GCS that it stands for.
//!
//! Nothing here knows of sockets. The requests that stream are lent what they need: WriteAt, PutObject and
//! UploadPart a body to hand on, reads and lists a [`Replier`] to send pieces through.

mod abort_multipart;
mod attach_upload;
mod cancel_upload;
pub mod complete_multipart;
mod compose_objects;
mod delete_object;
mod detach_upload;
mod fences;
mod finish_upload;
mod hello;
mod list_buckets;
mod list_objects;
mod list_parts;
mod move_object;
mod patch_object;
mod ping;
pub mod put_object;
mod query_upload;
mod read_at;
mod replier;
mod rewrite_object;
mod start_multipart;
mod start_upload;
mod stat_bucket;
mod stat_object;
mod token;
pub mod upload_part;
mod uploads;
pub mod write_at;

use std::time::Duration;

use bytes::Bytes;

pub use fences::Fences;
/// A request that was not carried out, as the client is told of it.
pub use gcsd_failure::StatusError as Failure;
pub use replier::{OutFrame, Replier};
pub use token::{Sealer, TokenKeyError};
pub use uploads::{Seat, Uploads};

use gcsd_gcs::{Answered, Gcs, Object, UploadProgress};
use gcsd_wire::object::Described;
use gcsd_wire::progress::Progress;
use gcsd_wire::{Kind, Opcode, Reply, Request, Retry};

/// What a connection is held to; Hello tells it to the client (proto-spec.md, "Limits and time").
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest args, in bytes.
    pub max_args: u32,
    /// Requests in flight on a connection.
    pub max_in_flight: u32,
    /// Uploads open on a connection.
    pub max_uploads: u32,
    /// How much of a refused body is read and thrown away, in bytes.
    pub drain_cap: u64,
    /// How long a connection may be silent with nothing in flight; zero for ever.
    pub idle_timeout: Duration,
    /// How long a client may send nothing inside a request, or take nothing of its replies.
    pub client_timeout: Duration,
    /// How long GCS may take or send nothing.
    pub gcs_timeout: Duration,
}

/// What every request can use.
#[derive(Debug)]
pub struct Context {
    /// The way to GCS.
    pub gcs: Gcs,
    /// Seals and opens upload tokens.
    pub sealer: Sealer,
    /// Who holds which upload, on all connections.
    pub fences: Fences,
    /// The limits of a connection.
    pub limits: Limits,
    /// What Hello must bring before anything else is done, where that is required.
    pub secret: Option<hello::Secret>,
}

pub use hello::Secret;

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
}

impl Answer {
    /// An answer for which GCS was not asked.
    fn local(reply: Reply) -> Self {
        Self {
            reply,
            body: Bytes::new(),
            http_status: 0,
            moved: 0,
        }
    }

    /// An answer of GCS that describes an object.
    fn of_object(answered: Answered<Object>, reply: impl FnOnce(Described) -> Reply) -> Self {
        let Object { info, json, .. } = answered.answer;
        Self::of_gcs(reply(Described { object: info }), answered.http_status, json)
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
        Self::of_gcs(reply(progress), answered.http_status, json)
    }

    /// An answer of GCS.
    fn of_gcs(reply: Reply, http_status: u16, body: Bytes) -> Self {
        Self {
            reply,
            body,
            http_status,
            moved: 0,
        }
    }
}

/// Carries out a request that has no body.
///
/// `seat` is the upload that the request is about, and this request's turn on it; there is one for exactly
/// those opcodes that have an upload.
pub async fn dispatch(
    context: &Context,
    request: Request,
    seat: Option<&Seat>,
    replier: &Replier,
) -> Result<Answer, Failure> {
    let opcode = request.opcode();
    match (request, seat) {
        (Request::Hello(args), _) => hello::run(context, &args),
        (Request::Ping(args), _) => Ok(ping::run(args)),
        (Request::StartUpload(args), Some(seat)) => start_upload::run(context, seat, &args).await,
        (Request::QueryUpload(_), Some(seat)) => query_upload::run(seat).await,
        (Request::FinishUpload(args), Some(seat)) => finish_upload::run(seat, args).await,
        (Request::CancelUpload(_), Some(seat)) => cancel_upload::run(seat).await,
        (Request::AttachUpload(args), Some(seat)) => attach_upload::run(context, seat, &args).await,
        (Request::DetachUpload(_), Some(seat)) => detach_upload::run(seat),
        (Request::ReadAt(args), _) => read_at::run(context, &args, replier).await,
        (Request::StatObject(args), _) => stat_object::run(context, &args).await,
        (Request::ListObjects(args), _) => list_objects::run(context, &args, replier).await,
        (Request::DeleteObject(args), _) => delete_object::run(context, &args).await,
        (Request::ComposeObjects(args), _) => compose_objects::run(context, &args).await,
        (Request::RewriteObject(args), _) => rewrite_object::run(context, &args).await,
        (Request::PatchObject(args), _) => patch_object::run(context, &args).await,
        (Request::MoveObject(args), _) => move_object::run(context, &args).await,
        (Request::ListBuckets(args), _) => list_buckets::run(context, &args, replier).await,
        (Request::StatBucket(args), _) => stat_bucket::run(context, &args).await,
        (Request::StartMultipart(args), _) => start_multipart::run(context, &args).await,
        (Request::ListParts(args), _) => list_parts::run(context, &args).await,
        (Request::AbortMultipart(args), _) => abort_multipart::run(context, &args).await,
        (
            Request::WriteAt(_)
            | Request::PutObject(_)
            | Request::UploadPart(_)
            | Request::CompleteMultipart(_),
            _,
        )
        | (_, None) => Err(unseated(opcode)),
    }
}

/// The connection loop gives bodies to those that have one and each upload's request its seat: this is its defect.
fn unseated(opcode: Opcode) -> Failure {
    Failure::new(
        Kind::Internal,
        Retry::Never,
        format!("{} came without what it needs", opcode.name()),
    )
}
