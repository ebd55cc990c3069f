//! StatBucket: `GET /storage/v1/b/BUCKET` (proto-spec.md, "StatBucket").

use super::{Answer, Context, Failure};
use gcsd_wire::Reply;
use gcsd_wire::stat_bucket::{Args, Reply as StatReply};

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let answered = context.gcs.stat_bucket(&args.of).await?;
    let bucket = answered.answer;
    let reply = Reply::StatBucket(StatReply { bucket: bucket.info });
    Ok(Answer::of_gcs(reply, answered.http_status, bucket.json).with_request_id(answered.request_id))
}
