//! QueryUpload: `PUT <session>` with `Content-Range: bytes */*` (proto-spec.md, "QueryUpload").

use super::{Answer, Failure, Seat};
use gcsd_wire::Reply;

pub(super) async fn run(seat: &Seat) -> Result<Answer, Failure> {
    let session = seat.session()?;
    let answered = seat.call(session.query()).await?;
    Ok(Answer::of_progress(answered, Reply::QueryUpload))
}
