//! CancelUpload: `DELETE <session>` (proto-spec.md, "CancelUpload").

use bytes::Bytes;

use super::{Answer, Context, Failure, Turn};
use gcsd_gcs::Cancelled;
use gcsd_wire::Reply;
use gcsd_wire::cancel_upload::Reply as CancelReply;

pub(super) async fn run(context: &Context, turn: &Turn) -> Result<Answer, Failure> {
    if let Some(object) = turn.with(|open| open.upload.object())? {
        let reply = CancelReply::Finished {
            generation: object.generation,
        };
        return Ok(Answer::local(Reply::CancelUpload(reply)));
    }
    let session = turn.session()?;
    let answered = turn.call(context.gcs.cancel(&session)).await?;
    let reply = match answered.answer {
        Cancelled::Cancelled => CancelReply::Cancelled,
        Cancelled::Finished(object) => CancelReply::Finished {
            generation: object.info.generation,
        },
        Cancelled::Unknown => CancelReply::Unknown,
    };
    turn.with(|open| match reply {
        CancelReply::Unknown => open.upload.lost(),
        _ => open.upload.cancelled(),
    })?;
    Ok(Answer::of_gcs(
        Reply::CancelUpload(reply),
        answered.http_status,
        Bytes::new(),
    ))
}
