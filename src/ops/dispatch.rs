//! From a request to the work that it asks for: the one place that decides what each opcode needs.
//!
//! [`Work::new`] sorts requests by what carrying them out takes: a turn on an upload, a body, both or neither. Each kind
//! has a type that holds what it needs, so that none can be run without.

use std::sync::Arc;

use super::{
    Answer, Caller, Context, Failure, Replier, Turn, Uploads, abort_multipart, attach_upload, cancel_upload,
    complete_multipart, compose_objects, delete_object, detach_upload, finish_upload, hello, list_buckets,
    list_objects, list_parts, move_object, patch_object, ping, put_object, query_upload, read_at,
    rewrite_object, start_multipart, start_upload, stat_bucket, stat_object, upload_part, write_at,
};
use crate::policy::Rule;
use gcsd_gcs::UploadBody;
use gcsd_types::{Crc32c, Part};
use gcsd_wire::{self as wire, Request};

/// What a request asks for, with what carrying it out takes.
#[derive(Debug)]
pub enum Work {
    /// Needs no call.
    Local(Local),
    /// Ends the request in flight that has this sequence.
    Cancel(u64),
    /// A call that is about no upload.
    Call(Call),
    /// A call on an upload, in its turn.
    UploadCall(Turn, UploadCall),
    /// A [`Call::CompleteMultipart`], whose parts are still to be read: they are the request's body.
    CompleteMultipart(Box<wire::complete_multipart::Args>),
    /// A call that streams the request's body.
    Streamed(Streamed),
}

/// A request that needs no call.
#[derive(Debug)]
pub enum Local {
    /// Hello.
    Hello(wire::hello::Args),
    /// Ping.
    Ping(wire::ping::Args),
}

/// A call that is about no upload.
#[derive(Debug)]
pub enum Call {
    /// ReadAt.
    ReadAt(wire::read_at::Args),
    /// StatObject.
    StatObject(wire::stat_object::Args),
    /// ListObjects.
    ListObjects(wire::list_objects::Args),
    /// DeleteObject.
    DeleteObject(wire::delete_object::Args),
    /// ComposeObjects.
    ComposeObjects(wire::compose_objects::Args),
    /// RewriteObject.
    RewriteObject(wire::rewrite_object::Args),
    /// PatchObject.
    PatchObject(wire::patch_object::Args),
    /// MoveObject.
    MoveObject(wire::move_object::Args),
    /// StartMultipart.
    StartMultipart(wire::start_multipart::Args),
    /// ListParts.
    ListParts(wire::list_parts::Args),
    /// CompleteMultipart, with its parts.
    CompleteMultipart(Box<wire::complete_multipart::Args>, Vec<Part>),
    /// AbortMultipart.
    AbortMultipart(wire::abort_multipart::Args),
    /// ListBuckets.
    ListBuckets(wire::list_buckets::Args),
    /// StatBucket.
    StatBucket(wire::stat_bucket::Args),
}

/// A call on an upload.
#[derive(Debug)]
pub enum UploadCall {
    /// StartUpload.
    Start(Box<wire::start_upload::Args>, Option<Arc<Rule>>),
    /// A StartUpload that the policy denies.
    Denied(Box<wire::start_upload::Args>, Box<Failure>),
    /// QueryUpload.
    Query,
    /// FinishUpload.
    Finish(wire::finish_upload::Args),
    /// CancelUpload.
    Cancel,
    /// AttachUpload.
    Attach(wire::attach_upload::Args, Option<Arc<Rule>>),
    /// DetachUpload.
    Detach,
}

/// A call that streams the request's body.
#[derive(Debug)]
pub enum Streamed {
    /// WriteAt, which needs its turn and a permission first: with them it is a [`Transfer::WriteAt`].
    WriteAt(Turn, wire::write_at::Args),
    /// PutObject.
    PutObject(Box<wire::put_object::Args>),
    /// UploadPart.
    UploadPart(Box<wire::upload_part::Args>),
}

/// A call whose body may be sent now.
#[derive(Debug)]
pub enum Transfer {
    /// WriteAt.
    WriteAt(Turn, write_at::Permitted),
    /// PutObject.
    PutObject(Box<wire::put_object::Args>),
    /// UploadPart.
    UploadPart(Box<wire::upload_part::Args>),
}

impl Work {
    /// Sorts a request that has just been read, whose head names `upload`. A request on an upload is queued there.
    ///
    /// `decided` is by which rule it is permitted, or why it is not: then only a StartUpload becomes work, since what is queued behind
    /// it must learn of it.
    pub fn new(
        request: Request,
        upload: u32,
        uploads: &mut Uploads,
        decided: Result<Option<Arc<Rule>>, Failure>,
    ) -> Result<Self, Failure> {
        let opcode = request.opcode();
        let mut turn = || uploads.enqueue(opcode, upload);
        let rule = match decided {
            Ok(rule) => rule,
            Err(denied) => {
                return match request {
                    Request::StartUpload(args) => {
                        let denied = UploadCall::Denied(Box::new(args), Box::new(denied));
                        Ok(Self::UploadCall(turn()?, denied))
                    }
                    _ => Err(denied),
                };
            }
        };
        Ok(match request {
            Request::Hello(args) => Self::Local(Local::Hello(args)),
            Request::Ping(args) => Self::Local(Local::Ping(args)),
            Request::Cancel(args) => Self::Cancel(args.target),
            Request::StartUpload(args) => Self::UploadCall(turn()?, UploadCall::Start(Box::new(args), rule)),
            Request::WriteAt(args) => Self::Streamed(Streamed::WriteAt(turn()?, args)),
            Request::QueryUpload(_) => Self::UploadCall(turn()?, UploadCall::Query),
            Request::FinishUpload(args) => Self::UploadCall(turn()?, UploadCall::Finish(args)),
            Request::CancelUpload(_) => Self::UploadCall(turn()?, UploadCall::Cancel),
            Request::AttachUpload(args) => Self::UploadCall(turn()?, UploadCall::Attach(args, rule)),
            Request::DetachUpload(_) => Self::UploadCall(turn()?, UploadCall::Detach),
            Request::PutObject(args) => Self::Streamed(Streamed::PutObject(Box::new(args))),
            Request::ReadAt(args) => Self::Call(Call::ReadAt(args)),
            Request::StatObject(args) => Self::Call(Call::StatObject(args)),
            Request::ListObjects(args) => Self::Call(Call::ListObjects(args)),
            Request::DeleteObject(args) => Self::Call(Call::DeleteObject(args)),
            Request::ComposeObjects(args) => Self::Call(Call::ComposeObjects(args)),
            Request::RewriteObject(args) => Self::Call(Call::RewriteObject(args)),
            Request::PatchObject(args) => Self::Call(Call::PatchObject(args)),
            Request::MoveObject(args) => Self::Call(Call::MoveObject(args)),
            Request::StartMultipart(args) => Self::Call(Call::StartMultipart(args)),
            Request::UploadPart(args) => Self::Streamed(Streamed::UploadPart(Box::new(args))),
            Request::ListParts(args) => Self::Call(Call::ListParts(args)),
            Request::CompleteMultipart(args) => Self::CompleteMultipart(Box::new(args)),
            Request::AbortMultipart(args) => Self::Call(Call::AbortMultipart(args)),
            Request::ListBuckets(args) => Self::Call(Call::ListBuckets(args)),
            Request::StatBucket(args) => Self::Call(Call::StatBucket(args)),
        })
    }
}

impl Local {
    /// Answers the request.
    pub fn run(self, context: &Context, caller: &mut Caller) -> Result<Answer, Failure> {
        match self {
            Self::Hello(args) => hello::run(context, caller, &args),
            Self::Ping(args) => Ok(ping::run(args)),
        }
    }
}

impl Call {
    /// Whether it only looks, so that it is of no use once the client is gone.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Self::ReadAt(_)
                | Self::StatObject(_)
                | Self::ListObjects(_)
                | Self::ListParts(_)
                | Self::ListBuckets(_)
                | Self::StatBucket(_)
        )
    }

    /// Makes the call. Frames before the reply's last go through `replier`.
    pub async fn run(self, context: &Context, replier: &Replier) -> Result<Answer, Failure> {
        match self {
            Self::ReadAt(args) => read_at::run(context, &args, replier).await,
            Self::StatObject(args) => stat_object::run(context, &args).await,
            Self::ListObjects(args) => list_objects::run(context, &args, replier).await,
            Self::DeleteObject(args) => delete_object::run(context, &args).await,
            Self::ComposeObjects(args) => compose_objects::run(context, &args).await,
            Self::RewriteObject(args) => rewrite_object::run(context, &args).await,
            Self::PatchObject(args) => patch_object::run(context, &args).await,
            Self::MoveObject(args) => move_object::run(context, &args).await,
            Self::StartMultipart(args) => start_multipart::run(context, &args).await,
            Self::ListParts(args) => list_parts::run(context, &args).await,
            Self::CompleteMultipart(args, parts) => complete_multipart::run(context, &args, &parts).await,
            Self::AbortMultipart(args) => abort_multipart::run(context, &args).await,
            Self::ListBuckets(args) => list_buckets::run(context, &args, replier).await,
            Self::StatBucket(args) => stat_bucket::run(context, &args).await,
        }
    }
}

impl UploadCall {
    /// Makes the call. It must be the request's turn.
    pub async fn run(self, context: &Context, turn: &Turn) -> Result<Answer, Failure> {
        match self {
            Self::Start(args, rule) => {
                let identity = rule.as_deref().map(Rule::name);
                start_upload::run(context, turn, &args, identity).await
            }
            Self::Denied(args, denied) => Err(start_upload::refuse(turn, &args, *denied)),
            Self::Query => query_upload::run(turn).await,
            Self::Finish(args) => finish_upload::run(turn, args).await,
            Self::Cancel => cancel_upload::run(turn).await,
            Self::Attach(args, rule) => attach_upload::run(context, turn, &args, rule.as_deref()).await,
            Self::Detach => detach_upload::run(turn),
        }
    }
}

impl Transfer {
    /// The checksum that the body must have.
    pub fn body_crc32c(&self) -> Option<Crc32c> {
        match self {
            Self::WriteAt(_, permitted) => permitted.body_crc32c(),
            Self::PutObject(args) => args.body_crc32c,
            Self::UploadPart(args) => args.body_crc32c,
        }
    }

    /// Makes the call, which takes its bytes from `body`.
    pub async fn run(&self, context: &Context, body: UploadBody) -> Result<Answer, Failure> {
        // Boxed: each is as large as all that it takes to speak HTTP.
        match self {
            Self::WriteAt(turn, permitted) => Box::pin(write_at::run(turn, permitted, body)).await,
            Self::PutObject(args) => Box::pin(put_object::run(context, args, body)).await,
            Self::UploadPart(args) => Box::pin(upload_part::run(context, args, body)).await,
        }
    }
}
