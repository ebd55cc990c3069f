//! AttachUpload: no call to GCS (proto-spec.md, "AttachUpload").

use std::future::ready;

use super::uploads::{Bound, OpenUpload};
use super::{Answer, Context, Failure, Subject, Turn};
use gcsd_gcs::Session;
use gcsd_wire::Reply;
use gcsd_wire::attach_upload::{Args, Reply as AttachReply};

pub(super) async fn run(context: &Context, turn: &Turn, args: &Args) -> Result<Answer, Failure> {
    turn.check_free()?;
    match context.sealer.open(&args.token) {
        Ok(opened) => {
            let session = opened.session.with_key(args.key.clone());
            let session = Session::attach(&context.gcs, session);
            let about = Subject {
                upload_name: Some(opened.upload_name),
                ..Subject::object(&opened.bucket, &opened.object)
            };
            turn.bind(Bound::Upload(OpenUpload::claim(&context.fences, session, about)));
            // What the one before has under way is being cut: the answer says that it is gone.
            turn.call(ready(Ok::<_, Failure>(()))).await?;
            Ok(Answer::local(Reply::AttachUpload(AttachReply {
                expires: opened.expires,
                bucket: opened.bucket,
                object: opened.object,
            })))
        }
        Err(failure) => {
            turn.bind_failure(&failure, None);
            Err(failure)
        }
    }
}
