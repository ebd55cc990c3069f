//! FinishUpload: `PUT <session>` with `Content-Range: bytes */TOTAL` (proto-spec.md, "FinishUpload").

use super::{Answer, Failure, Turn};
use gcsd_wire::Reply;
use gcsd_wire::finish_upload::Args;

pub(super) async fn run(turn: &Turn, args: Args) -> Result<Answer, Failure> {
    let session = turn.session()?;
    let answered = turn.call(session.finish(args.total, args.object_crc32c)).await?;
    Ok(Answer::of_progress(answered, Reply::FinishUpload))
}
