//! PutObject: `POST /upload/storage/v1/b/BUCKET/o?uploadType=multipart` (proto-spec.md, "PutObject").

use super::{Answer, Context, Failure};
use gcsd_gcs::UploadBody;
use gcsd_wire::Reply;
use gcsd_wire::put_object::{Args, Reply as PutReply};

/// Makes the object, whose bytes `body` takes from the client as GCS takes them from us.
pub(super) async fn run(context: &Context, args: &Args, body: UploadBody) -> Result<Answer, Failure> {
    let tally = body.tally();
    let put = context.gcs.put_object(&args.destination, args.body_crc32c, body);
    let answered = put.await?;
    let object = answered.answer;
    let reply = PutReply {
        received: tally.received(),
        received_crc32c: tally.crc32c(),
        object: object.info,
    };
    Ok(Answer {
        moved: reply.received,
        request_id: answered.request_id,
        ..Answer::of_gcs(Reply::PutObject(reply), answered.http_status, object.json)
    })
}
