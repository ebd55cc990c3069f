//! StartUpload: `POST /upload/storage/v1/b/BUCKET/o?uploadType=resumable` (proto-spec.md, "StartUpload").

use bytes::Bytes;

use super::uploads::{Bound, OpenUpload};
use super::{Answer, Context, Failure, Turn};
use gcsd_gcs::StartUpload;
use gcsd_gcs::upload::Upload;
use gcsd_wire::start_upload::{Args, Reply as StartReply};
use gcsd_wire::{Kind, Reply, Retry};

pub(super) async fn run(context: &Context, turn: &Turn, args: &Args) -> Result<Answer, Failure> {
    // A refusal leaves the upload alone that the id is bound to.
    turn.check_free()?;
    match start(context, args).await {
        Ok((upload, reply)) => {
            turn.bind(Bound::Upload(upload));
            Ok(Answer::of_gcs(Reply::StartUpload(reply), 200, Bytes::new()))
        }
        Err(failure) => {
            turn.bind_failure(&failure);
            Err(failure)
        }
    }
}

async fn start(context: &Context, args: &Args) -> Result<(OpenUpload, StartReply), Failure> {
    let started = context
        .gcs
        .start_upload(&StartUpload {
            bucket: args.bucket.clone(),
            object: args.object.clone(),
            metadata: Some(args.metadata.clone()).filter(|metadata| !metadata.is_empty()),
            preconditions: args.preconditions,
            size: args.size,
            user_project: args.user_project.clone(),
            kms_key_name: args.kms_key_name.clone(),
            predefined_acl: args.predefined_acl.clone(),
            key: args.key.clone(),
        })
        .await?;
    let session = started.answer;
    let (token, expires) = context
        .sealer
        .seal(&session, &args.bucket, &args.object)
        .ok_or_else(|| {
            Failure::new(
                Kind::Internal,
                Retry::Never,
                "the upload token could not be sealed",
            )
        })?;
    Ok((
        OpenUpload::claim(&context.fences, Upload::started(), session),
        StartReply { token, expires },
    ))
}
