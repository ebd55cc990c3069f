//! QueryUpload: `PUT <session>` with `Content-Range: bytes */*` (proto-spec.md, "QueryUpload").

use super::write_at::reported;
use super::{Answer, Context, Failure, Turn};
use gcsd_wire::Reply;
use gcsd_wire::progress::Progress;

pub(super) async fn run(context: &Context, turn: &Turn) -> Result<Answer, Failure> {
    let session = turn.session()?;
    let answered = turn.call(context.gcs.query(&session)).await?;
    let (reported, http_status, body) = reported(answered.answer);
    let progress = turn.with(|open| {
        open.upload.after_query(reported)?;
        Ok(Progress {
            object: open.upload.object(),
            ..Progress::of(open.upload.committed())
        })
    })?;
    progress.map(|progress| Answer::of_gcs(Reply::QueryUpload(progress), http_status, body))
}
