//! QueryUpload: `PUT <session>` with `Content-Range: bytes */*` (proto-spec.md, "QueryUpload").

use super::write_at::reported;
use super::{Answer, Context, Failure, Seat};
use gcsd_wire::Reply;
use gcsd_wire::progress::Progress;

pub(super) async fn run(context: &Context, seat: &Seat) -> Result<Answer, Failure> {
    let session = seat.session()?;
    let answered = seat.call(context.gcs.query(&session)).await?;
    let (reported, http_status, body) = reported(answered.answer);
    let progress = seat.with(|open| {
        open.upload.after_query(reported)?;
        Ok(Progress {
            object: open.upload.object(),
            ..Progress::of(open.upload.committed())
        })
    })?;
    progress.map(|progress| Answer::of_gcs(Reply::QueryUpload(progress), http_status, body))
}
