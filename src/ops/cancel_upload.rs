//! CancelUpload: `DELETE <session>` (proto-spec.md, "CancelUpload").

use bytes::Bytes;

use super::{Answer, Context, Failure, Seat};
use gcsd_gcs::Cancelled;
use gcsd_wire::Reply;
use gcsd_wire::cancel_upload::Reply as CancelReply;

pub(super) async fn run(context: &Context, seat: &Seat) -> Result<Answer, Failure> {
    if let Some(object) = seat.with(|open| open.upload.object())? {
        let reply = CancelReply::Finished {
            generation: object.generation,
        };
        return Ok(Answer::local(Reply::CancelUpload(reply)));
    }
    let session = seat.session()?;
    let answered = seat.call(context.gcs.cancel(&session)).await?;
    let reply = match answered.answer {
        Cancelled::Cancelled => CancelReply::Cancelled,
        Cancelled::Finished(object) => CancelReply::Finished {
            generation: object.info.generation,
        },
        Cancelled::Unknown => CancelReply::Unknown,
    };
    seat.with(|open| match reply {
        CancelReply::Unknown => open.upload.lost(),
        _ => open.upload.cancelled(),
    })?;
    Ok(Answer::of_gcs(
        Reply::CancelUpload(reply),
        answered.http_status,
        Bytes::new(),
    ))
}
