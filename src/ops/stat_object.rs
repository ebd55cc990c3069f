//! StatObject: `GET /storage/v1/b/BUCKET/o/OBJECT` (proto-spec.md, "StatObject").

use super::{Answer, Context, Failure};
use crate::gcs;
use crate::wire::Reply;
use crate::wire::object::ObjectRef;
use crate::wire::stat_object::{Args, Reply as StatReply};

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let answered = context.gcs.stat_object(&object_ref(&args.of)).await?;
    let object = answered.answer;
    Ok(Answer::of_gcs(
        Reply::StatObject(StatReply { object: object.info }),
        200,
        object.json,
    ))
}

/// The same object in the words of the layer below, which never sees the wire's.
pub(super) fn object_ref(of: &ObjectRef) -> gcs::ObjectRef {
    gcs::ObjectRef {
        bucket: of.bucket.clone(),
        object: of.object.clone(),
        generation: of.generation,
        preconditions: of.preconditions,
        user_project: of.user_project.clone(),
    }
}
