//! ReadAt: `GET /storage/v1/b/BUCKET/o/OBJECT?alt=media` with a `Range` (proto-spec.md, "ReadAt").

use bytes::Bytes;

use super::stat_object::object_ref;
use super::{Answer, Context, Failure, Replier};
use crate::gcs::ReadRange;
use crate::types::Crc32c;
use crate::wire::read_at::{Args, End, Range, Reply as ReadReply, Start};
use crate::wire::{Kind, Reply, Retry};

/// The largest body of a piece: a client can hold one whole.
const MAX_PIECE: usize = 256 * 1024;

pub(super) async fn run(context: &Context, args: &Args, replier: &Replier) -> Result<Answer, Failure> {
    let range = match args.range {
        Range::From(0) => ReadRange::Whole,
        Range::From(offset) => ReadRange::From(offset),
        Range::Of { offset, len } => ReadRange::FromTo { offset, len },
        Range::Suffix(len) => ReadRange::Suffix(len),
    };
    let mut stream = context
        .gcs
        .read_object(&object_ref(&args.of), range, args.decompress)
        .await?;
    let start = Start {
        object: *stream.info(),
        offset: stream.first(),
        len: stream.len(),
    };
    let http_status = stream.http_status();
    send(replier, ReadReply::Start(start), Bytes::new()).await?;
    let (mut sent, mut crc32c) = (0_u64, Crc32c::default());
    while let Some(mut chunk) = stream.next().await? {
        sent += chunk.len() as u64;
        crc32c = crc32c.append(&chunk);
        while !chunk.is_empty() {
            let piece = chunk.split_to(chunk.len().min(MAX_PIECE));
            send(replier, ReadReply::Piece, piece).await?;
        }
    }
    let reply = Reply::ReadAt(ReadReply::End(End { sent, crc32c }));
    Ok(Answer {
        moved: sent,
        ..Answer::of_gcs(reply, http_status, Bytes::new())
    })
}

async fn send(replier: &Replier, reply: ReadReply, body: Bytes) -> Result<(), Failure> {
    replier.piece(&Reply::ReadAt(reply), body).await.map_err(|_| {
        Failure::new(
            Kind::ClientStalled,
            Retry::Reconnect,
            "the client does not take its replies any more",
        )
    })
}
