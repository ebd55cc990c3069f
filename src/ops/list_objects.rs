//! ListObjects: `GET /storage/v1/b/BUCKET/o` (proto-spec.md, "ListObjects").

use bytes::Bytes;

use super::{Answer, Context, Failure, Replier};
use gcsd_gcs::PageStream;
use gcsd_types::Crc32c;
use gcsd_wire::list_objects::Args;
use gcsd_wire::page::{End, Reply as PageReply};
use gcsd_wire::{Kind, Reply, Retry};

pub(super) async fn run(context: &Context, args: &Args, replier: &Replier) -> Result<Answer, Failure> {
    let page = context.gcs.list_objects(&args.query).await?;
    send(page, replier, Reply::ListObjects).await
}

/// Sends a page as it arrives.
pub(super) async fn send(
    mut page: PageStream,
    replier: &Replier,
    reply: fn(PageReply) -> Reply,
) -> Result<Answer, Failure> {
    let piece = reply(PageReply::Piece);
    let (mut sent, mut crc32c) = (0, Crc32c::default());
    while let Some(chunk) = page.next().await? {
        sent += chunk.len() as u64;
        crc32c = crc32c.append(&chunk);
        replier.pieces(&piece, chunk).await?;
    }
    let Some(held) = page.page().cloned() else {
        let problem = "a list that has come to its end has no end";
        return Err(Failure::new(Kind::Internal, Retry::Never, problem));
    };
    let end = reply(PageReply::End(End {
        sent,
        crc32c,
        page: held,
    }));
    Ok(Answer {
        moved: sent,
        ..Answer::of_gcs(end, page.http_status(), Bytes::new())
    })
}
