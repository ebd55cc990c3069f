//! StatObject: `GET /storage/v1/b/BUCKET/o/OBJECT` (proto-spec.md, "StatObject").

use super::{Answer, Context, Failure};
use gcsd_wire::Reply;
use gcsd_wire::stat_object::Args;

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let answered = context.gcs.stat_object(&args.of).await?;
    Ok(Answer::of_object(answered, Reply::StatObject))
}
