//! UploadPart: `PUT /BUCKET/OBJECT?partNumber=N&uploadId=ID` (proto-spec.md, "UploadPart").

use bytes::Bytes;

use super::{Answer, Context, Failure};
use gcsd_gcs::UploadBody;
use gcsd_wire::Reply;
use gcsd_wire::upload_part::{Args, Reply as PartReply};

/// Uploads the part, whose bytes `body` takes from the client as GCS takes them from us.
pub(super) async fn run(context: &Context, args: &Args, body: UploadBody) -> Result<Answer, Failure> {
    let tally = body.tally();
    let upload = context
        .gcs
        .upload_part(&args.of, args.part_number, args.body_crc32c, body);
    let uploaded = upload.await?;
    let reply = PartReply {
        received: tally.received(),
        received_crc32c: tally.crc32c(),
        etag: uploaded.answer,
    };
    Ok(Answer {
        moved: reply.received,
        request_id: uploaded.request_id,
        ..Answer::of_gcs(Reply::UploadPart(reply), uploaded.http_status, Bytes::new())
    })
}
