//! AbortMultipart: `DELETE /BUCKET/OBJECT?uploadId=ID` (proto-spec.md, "AbortMultipart").

use bytes::Bytes;

use super::{Answer, Context, Failure};
use gcsd_gcs::AbortOutcome;
use gcsd_wire::Reply;
use gcsd_wire::abort_multipart::{Args, Reply as AbortReply};

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let aborted = context.gcs.abort_multipart(&args.of).await?;
    let reply = match aborted.answer {
        AbortOutcome::Aborted => AbortReply::Aborted,
        AbortOutcome::Unknown => AbortReply::Unknown,
    };
    Ok(
        Answer::of_gcs(Reply::AbortMultipart(reply), aborted.http_status, Bytes::new())
            .with_request_id(aborted.request_id),
    )
}
