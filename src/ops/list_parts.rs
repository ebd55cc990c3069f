//! ListParts: `GET /BUCKET/OBJECT?uploadId=ID` (proto-spec.md, "ListParts").

use bytes::Bytes;

use super::{Answer, Context, Failure};
use gcsd_wire::list_parts::{Args, MAX_PAGE};
use gcsd_wire::{DEFAULT_MAX_ARGS, Kind, Reply, Retry};

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let max = match args.max_parts {
        0 => MAX_PAGE,
        max => max,
    };
    let listed = context.gcs.list_parts(&args.of, args.after, max).await?;
    let reply = Reply::ListParts(listed.answer);
    if u32::try_from(reply.to_bytes().len()).is_ok_and(|len| len <= DEFAULT_MAX_ARGS) {
        let answer = Answer::of_gcs(reply, listed.http_status, Bytes::new());
        return Ok(answer.with_request_id(listed.request_id));
    }
    let message = "the parts' entity tags are too long for one page: ask for fewer parts";
    Err(Failure::new(Kind::BadResponse, Retry::Never, message))
}
