//! QueryUpload: `PUT <session>` with `Content-Range: bytes */*` (proto-spec.md, "QueryUpload").

use super::{Answer, Failure, Turn};
use gcsd_wire::Reply;

pub(super) async fn run(turn: &Turn) -> Result<Answer, Failure> {
    let session = turn.session()?;
    let answered = turn.call(session.query()).await?;
    Ok(Answer::of_progress(answered, Reply::QueryUpload))
}
