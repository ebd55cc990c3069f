//! WriteAt: `PUT <session>` with `Content-Range: bytes FIRST-LAST/*` (proto-spec.md, "WriteAt").

use bytes::Bytes;

use super::{Answer, Context, Failure, Seat};
use crate::gcs::{self, SessionUri, UploadBody, WriteRange};
use crate::types::Crc32c;
use crate::upload::{Range, Reported};
use crate::wire::progress::Progress;
use crate::wire::write_at::Args;
use crate::wire::{Reply, RequestHead};

/// A range that GCS may be sent.
#[derive(Debug)]
pub struct Permitted {
    session: SessionUri,
    range: Range,
    object_crc32c: Option<Crc32c>,
}

/// What GCS holds after a range.
#[derive(Debug)]
pub struct Written {
    progress: Progress,
    http_status: u16,
    body: Bytes,
}

/// Decides whether the range may be sent, before a byte of its body is taken.
pub fn permit(seat: &Seat, head: &RequestHead, args: &Args) -> Result<Permitted, Failure> {
    let range = Range {
        offset: args.offset,
        len: head.body_len,
        total: args.total,
    };
    let session = seat.session()?;
    seat.with(|open| open.upload.check_write(&range))??;
    Ok(Permitted {
        session,
        range,
        object_crc32c: args.object_crc32c,
    })
}

/// Sends the range, whose bytes `body` takes from the client as GCS takes them from us.
pub async fn run(
    context: &Context,
    seat: &Seat,
    permitted: &Permitted,
    body: UploadBody,
) -> Result<Written, Failure> {
    let range = permitted.range;
    let http_range = WriteRange {
        offset: range.offset,
        len: range.len,
        total: range.total,
        object_crc32c: permitted.object_crc32c,
    };
    let write = context.gcs.write(&permitted.session, http_range, body);
    let answered = seat.call(write).await?;
    let (reported, http_status, body) = reported(answered.answer);
    let progress = seat.with(|open| {
        open.upload.after_write(&range, reported)?;
        Ok(Progress {
            object: open.upload.object(),
            ..Progress::of(open.upload.committed())
        })
    })?;
    progress.map(|progress| Written {
        progress,
        http_status,
        body,
    })
}

impl Written {
    /// The answer to the client, who is also told what was received of its body.
    pub fn answer(self, received: u64, received_crc32c: Crc32c) -> Answer {
        let progress = Progress {
            received,
            received_crc32c,
            ..self.progress
        };
        Answer::of_gcs(Reply::WriteAt(progress), self.http_status, self.body)
    }
}

/// What a session call reports, with the HTTP status that it came as and the object's JSON.
pub(super) fn reported(progress: gcs::Progress) -> (Reported, u16, Bytes) {
    match progress {
        gcs::Progress::Active { committed } => (Reported::Committed(committed), 308, Bytes::new()),
        gcs::Progress::Finished(object) => (Reported::Finished(object.info), 200, object.json),
    }
}
