//! ComposeObjects: `POST /storage/v1/b/BUCKET/o/OBJECT/compose` (proto-spec.md, "ComposeObjects").

use super::{Answer, Context, Failure};
use gcsd_wire::Reply;
use gcsd_wire::compose_objects::Args;

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let composed = context.gcs.compose_objects(&args.destination, &args.sources);
    Ok(Answer::of_object(composed.await?, Reply::ComposeObjects))
}
