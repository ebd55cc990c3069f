//! AttachUpload: no call to GCS (proto-spec.md, "AttachUpload").

use super::uploads::{Bound, OpenUpload};
use super::{Answer, Context, Failure, Seat};
use crate::upload::Upload;
use crate::wire::Reply;
use crate::wire::attach_upload::{Args, Reply as AttachReply};

pub(super) fn run(context: &Context, seat: &Seat, args: &Args) -> Result<Answer, Failure> {
    seat.check_free()?;
    match context.sealer.open(&args.token) {
        Ok(opened) => {
            seat.bind(Bound::Upload(OpenUpload {
                upload: Upload::attached(),
                session: opened.session,
            }));
            Ok(Answer::local(Reply::AttachUpload(AttachReply {
                expires: opened.expires,
                bucket: opened.bucket,
                object: opened.object,
            })))
        }
        Err(failure) => {
            seat.bind_failure(&failure);
            Err(failure)
        }
    }
}
