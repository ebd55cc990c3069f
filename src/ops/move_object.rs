//! MoveObject: `POST /storage/v1/b/BUCKET/o/OBJECT/moveTo/o/OBJECT` (proto-spec.md, "MoveObject").

use super::{Answer, Context, Failure};
use gcsd_wire::Reply;
use gcsd_wire::move_object::Args;

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let answered = context
        .gcs
        .move_object(&args.source, &args.destination, &args.preconditions)
        .await?;
    Ok(Answer::of_object(answered, Reply::MoveObject))
}
