//! CompleteMultipart: `POST /BUCKET/OBJECT?uploadId=ID` (proto-spec.md, "CompleteMultipart").

use bytes::Bytes;

use super::{Answer, Context, Failure};
use gcsd_types::Part;
use gcsd_wire::Reply;
use gcsd_wire::complete_multipart::{Args, Reply as CompleteReply};

/// Makes the object of `parts`.
pub(super) async fn run(context: &Context, args: &Args, parts: &[Part]) -> Result<Answer, Failure> {
    let completed = context.gcs.complete_multipart(&args.of, parts).await?;
    let object = completed.answer;
    let reply = CompleteReply {
        generation: object.generation,
        crc32c: object.crc32c,
        etag: object.etag,
    };
    Ok(Answer::of_gcs(
        Reply::CompleteMultipart(reply),
        completed.http_status,
        Bytes::new(),
    )
    .with_request_id(completed.request_id))
}
