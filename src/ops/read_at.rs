//! ReadAt: `GET /storage/v1/b/BUCKET/o/OBJECT?alt=media` with a `Range` (proto-spec.md, "ReadAt").

use bytes::Bytes;

use super::{Answer, Context, Failure, Replier};
use gcsd_types::Crc32c;
use gcsd_wire::Reply;
use gcsd_wire::read_at::{Args, End, Reply as ReadReply, Start};

pub(super) async fn run(context: &Context, args: &Args, replier: &Replier) -> Result<Answer, Failure> {
    let mut stream = context
        .gcs
        .read_object(&args.of, args.range, args.decompress)
        .await?;
    let start = Start {
        object: *stream.info(),
        offset: stream.first(),
        len: stream.len(),
    };
    let generation = start.object.generation;
    let http_status = stream.http_status();
    let start = Reply::ReadAt(ReadReply::Start(start));
    replier.piece(&start, Bytes::new()).await?;
    let (mut sent, mut crc32c) = (0_u64, Crc32c::default());
    let piece = Reply::ReadAt(ReadReply::Piece);
    while let Some(chunk) = stream.next().await? {
        sent += chunk.len() as u64;
        crc32c = crc32c.append(&chunk);
        replier.pieces(&piece, chunk).await?;
    }
    let reply = Reply::ReadAt(ReadReply::End(End { sent, crc32c }));
    Ok(Answer {
        moved: sent,
        generation: Some(generation),
        request_id: stream.request_id().map(str::to_owned),
        ..Answer::of_gcs(reply, http_status, Bytes::new())
    })
}
