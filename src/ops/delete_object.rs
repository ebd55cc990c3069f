//! DeleteObject: `DELETE /storage/v1/b/BUCKET/o/OBJECT` (proto-spec.md, "DeleteObject").

use bytes::Bytes;

use super::{Answer, Context, Failure};
use gcsd_wire::Reply;
use gcsd_wire::args::Done;
use gcsd_wire::delete_object::Args;

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let deleted = context.gcs.delete_object(&args.of).await?;
    let answer = Answer::of_gcs(Reply::DeleteObject(Done), deleted.http_status, Bytes::new());
    Ok(answer.with_request_id(deleted.request_id))
}
