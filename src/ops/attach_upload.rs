//! AttachUpload: no call to GCS (proto-spec.md, "AttachUpload").

use std::future::ready;

use super::decide_upload;
use super::token::Opened;
use super::uploads::{Bound, OpenUpload};
use super::{Answer, Context, Failure, Subject, Turn};
use crate::policy::Rule;
use gcsd_gcs::Session;
use gcsd_wire::attach_upload::{Args, Reply as AttachReply};
use gcsd_wire::{Kind, Reply, Retry};

/// Opens the token, which must have been sealed for whom `rule` is.
pub(super) async fn run(
    context: &Context,
    turn: &Turn,
    args: &Args,
    rule: Option<&Rule>,
) -> Result<Answer, Failure> {
    turn.check_free()?;
    let opened = context.sealer.open(&args.token).and_then(|opened| {
        check_identity(&opened, rule)?;
        Ok(opened)
    });
    match opened {
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

/// The upload belongs to the identity that began it, wherever that comes from now, and its rule may have changed since.
fn check_identity(opened: &Opened, rule: Option<&Rule>) -> Result<(), Failure> {
    if opened.identity.as_deref() != rule.map(Rule::name) {
        let message = "the token was sealed for another identity: an upload goes on as the one that began it";
        return Err(Failure::new(Kind::Denied, Retry::Never, message));
    }
    decide_upload(rule, &opened.bucket, &opened.object)
}
