//! StartMultipart: `POST /BUCKET/OBJECT?uploads` (proto-spec.md, "StartMultipart").

use bytes::Bytes;

use super::{Answer, Context, Failure};
use gcsd_wire::Reply;
use gcsd_wire::start_multipart::{Args, Reply as StartReply};

pub(super) async fn run(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let started = context.gcs.start_multipart(&args.destination).await?;
    let upload_name = Some(context.sealer.name_of_parts(&started.answer));
    let reply = Reply::StartMultipart(StartReply {
        multipart_id: started.answer,
    });
    Ok(Answer {
        upload_name,
        request_id: started.request_id,
        ..Answer::of_gcs(reply, started.http_status, Bytes::new())
    })
}
