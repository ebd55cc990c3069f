//! CancelUpload: `DELETE <session>` (proto-spec.md, "CancelUpload").

use bytes::Bytes;

use super::{Answer, Failure, Turn};
use gcsd_gcs::CancelOutcome;
use gcsd_wire::Reply;
use gcsd_wire::cancel_upload::Reply as CancelReply;

pub(super) async fn run(turn: &Turn) -> Result<Answer, Failure> {
    if let Some(object) = turn.object()? {
        let reply = CancelReply::Finished {
            generation: object.generation,
        };
        return Ok(Answer::local(Reply::CancelUpload(reply)));
    }
    let session = turn.session()?;
    let answered = turn.call(session.cancel()).await?;
    let reply = match answered.answer {
        CancelOutcome::Cancelled => CancelReply::Cancelled,
        CancelOutcome::Finished(object) => CancelReply::Finished {
            generation: object.info.generation,
        },
        CancelOutcome::Unknown => CancelReply::Unknown,
    };
    Ok(
        Answer::of_gcs(Reply::CancelUpload(reply), answered.http_status, Bytes::new())
            .with_request_id(answered.request_id),
    )
}
