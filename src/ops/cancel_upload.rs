//! CancelUpload: `DELETE <session>` (proto-spec.md, "CancelUpload").

use bytes::Bytes;

use super::{Answer, Failure, Seat};
use gcsd_gcs::CancelOutcome;
use gcsd_wire::Reply;
use gcsd_wire::cancel_upload::Reply as CancelReply;

pub(super) async fn run(seat: &Seat) -> Result<Answer, Failure> {
    if let Some(object) = seat.object()? {
        let reply = CancelReply::Finished {
            generation: object.generation,
        };
        return Ok(Answer::local(Reply::CancelUpload(reply)));
    }
    let session = seat.session()?;
    let answered = seat.call(session.cancel()).await?;
    let reply = match answered.answer {
        CancelOutcome::Cancelled => CancelReply::Cancelled,
        CancelOutcome::Finished(object) => CancelReply::Finished {
            generation: object.info.generation,
        },
        CancelOutcome::Unknown => CancelReply::Unknown,
    };
    Ok(Answer::of_gcs(
        Reply::CancelUpload(reply),
        answered.http_status,
        Bytes::new(),
    ))
}
