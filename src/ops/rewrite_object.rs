//! RewriteObject: `POST /storage/v1/b/BUCKET/o/OBJECT/rewriteTo/b/BUCKET/o/OBJECT` (proto-spec.md, "RewriteObject").

use super::{Answer, Context, Failure};
use gcsd_wire::Reply;
use gcsd_wire::rewrite_object::{Args, Reply as RewriteReply};

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let answered = context.gcs.rewrite_object(&args.rewrite).await?;
    let (rewritten, json) = answered.answer;
    let reply = Reply::RewriteObject(RewriteReply { rewritten });
    Ok(Answer::of_gcs(reply, answered.http_status, json).with_request_id(answered.request_id))
}
