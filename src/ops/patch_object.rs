//! PatchObject: `PATCH /storage/v1/b/BUCKET/o/OBJECT` (proto-spec.md, "PatchObject").

use super::{Answer, Context, Failure};
use gcsd_wire::Reply;
use gcsd_wire::patch_object::Args;

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let answered = context.gcs.patch_object(&args.object, args.generation).await?;
    Ok(Answer::of_object(answered, Reply::PatchObject))
}
