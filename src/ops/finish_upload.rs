//! FinishUpload: `PUT <session>` with `Content-Range: bytes */TOTAL` (proto-spec.md, "FinishUpload").

use super::write_at::reported;
use super::{Answer, Context, Failure, Turn};
use gcsd_wire::Reply;
use gcsd_wire::finish_upload::Args;
use gcsd_wire::progress::Progress;

pub(super) async fn run(context: &Context, turn: &Turn, args: Args) -> Result<Answer, Failure> {
    let session = turn.session()?;
    turn.with(|open| open.upload.check_finish())??;
    let finish = context.gcs.finish(&session, args.total, args.object_crc32c);
    let answered = turn.call(finish).await?;
    let (reported, http_status, body) = reported(answered.answer);
    let progress = turn.with(|open| {
        open.upload.after_finish(args.total, reported)?;
        Ok(Progress {
            object: open.upload.object(),
            ..Progress::of(open.upload.committed())
        })
    })?;
    progress.map(|progress| Answer::of_gcs(Reply::FinishUpload(progress), http_status, body))
}
