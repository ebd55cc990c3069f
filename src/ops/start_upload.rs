//! StartUpload: `POST /upload/storage/v1/b/BUCKET/o?uploadType=resumable` (proto-spec.md, "StartUpload").

use bytes::Bytes;

use super::uploads::{Bound, OpenUpload};
use super::{Answer, Context, Failure, Seat};
use gcsd_gcs::upload::Upload;
use gcsd_wire::start_upload::{Args, Reply as StartReply};
use gcsd_wire::{Kind, Reply, Retry};

pub(super) async fn run(context: &Context, seat: &Seat, args: &Args) -> Result<Answer, Failure> {
    // A refusal leaves the upload alone that the id is bound to.
    seat.check_free()?;
    match start(context, args).await {
        Ok((upload, reply)) => {
            seat.bind(Bound::Upload(upload));
            Ok(Answer::of_gcs(Reply::StartUpload(reply), 200, Bytes::new()))
        }
        Err(failure) => {
            seat.bind_failure(&failure);
            Err(failure)
        }
    }
}

async fn start(context: &Context, args: &Args) -> Result<(OpenUpload, StartReply), Failure> {
    let started = context.gcs.start_upload(&args.destination, args.size).await?;
    let session = started.answer;
    let (token, expires) = context
        .sealer
        .seal(&session, &args.destination.bucket, &args.destination.object)
        .ok_or_else(|| {
            Failure::new(
                Kind::Internal,
                Retry::Never,
                "the upload token could not be sealed",
            )
        })?;
    Ok((
        OpenUpload::take(&context.fences, Upload::started(), session),
        StartReply { token, expires },
    ))
}
