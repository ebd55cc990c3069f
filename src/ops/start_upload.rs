//! StartUpload: `POST /upload/storage/v1/b/BUCKET/o?uploadType=resumable` (proto-spec.md, "StartUpload").

use bytes::Bytes;

use super::uploads::{Bound, OpenUpload};
use super::{Answer, Context, Failure, Subject, Turn};
use gcsd_gcs::{Answered, Session};
use gcsd_wire::start_upload::{Args, Reply as StartReply};
use gcsd_wire::{Kind, Reply, Retry};

/// Begins the upload, for `identity`, if the policy has given the client one.
pub(super) async fn run(
    context: &Context,
    turn: &Turn,
    args: &Args,
    identity: Option<&str>,
) -> Result<Answer, Failure> {
    // A refusal leaves the upload alone that the id is bound to.
    turn.check_free()?;
    let about = Subject::made(&args.destination);
    match start(context, args, identity).await {
        Ok((started, reply)) => {
            let about = Subject {
                upload_name: context.sealer.name_of(started.answer.uri()),
                ..about
            };
            let upload = OpenUpload::claim(&context.fences, started.answer, about);
            turn.bind(Bound::Upload(upload));
            Ok(
                Answer::of_gcs(Reply::StartUpload(reply), started.http_status, Bytes::new())
                    .with_request_id(started.request_id),
            )
        }
        Err(failure) => {
            turn.bind_failure(&failure, Some(about));
            Err(failure)
        }
    }
}

/// The request was not permitted: so are those behind it on the same upload, which never begins.
pub(super) fn refuse(turn: &Turn, args: &Args, denied: Failure) -> Failure {
    match turn.check_free() {
        Ok(()) => {
            turn.bind_failure(&denied, Some(Subject::made(&args.destination)));
            denied
        }
        Err(in_use) => in_use,
    }
}

async fn start(
    context: &Context,
    args: &Args,
    identity: Option<&str>,
) -> Result<(Answered<Session>, StartReply), Failure> {
    let Args { destination, size } = args;
    let started = Session::start(&context.gcs, destination, *size).await?;
    // If it cannot be sealed, the session stays at GCS, without bytes, until it expires: one request is one call, and the one
    // that would cancel it is another.
    let (token, expires) = context
        .sealer
        .seal(
            started.answer.uri(),
            &destination.bucket,
            &destination.object,
            identity,
        )
        .ok_or_else(|| {
            Failure::new(
                Kind::Internal,
                Retry::Never,
                "the upload token could not be sealed",
            )
        })?;
    Ok((started, StartReply { token, expires }))
}
