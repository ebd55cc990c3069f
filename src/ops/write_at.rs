//! WriteAt: `PUT <session>` with `Content-Range: bytes FIRST-LAST/*` (proto-spec.md, "WriteAt").

use bytes::Bytes;

use super::{Answer, Context, Failure, Turn};
use gcsd_gcs::upload::{Range, Reported};
use gcsd_gcs::{self, SessionUri, UploadBody, WriteRange};
use gcsd_types::Crc32c;
use gcsd_wire::Reply;
use gcsd_wire::progress::Progress;
use gcsd_wire::write_at::Args;

/// A range that GCS may be sent.
#[derive(Debug)]
pub struct Permitted {
    session: SessionUri,
    offset: u64,
    /// `None`: up to the end of a body in pieces, which is the object's.
    len: Option<u64>,
    total: Option<u64>,
    object_crc32c: Option<Crc32c>,
}

impl Permitted {
    /// The same range, of a body in pieces that turned out to hold no bytes.
    #[must_use]
    pub fn without_bytes(self) -> Self {
        Self {
            len: Some(0),
            total: Some(self.offset),
            ..self
        }
    }
}

/// Decides whether the range may be sent, before a byte of its body is taken. A body in pieces has no `len`.
pub fn permit(turn: &Turn, args: &Args, len: Option<u64>) -> Result<Permitted, Failure> {
    let Args { offset, total, .. } = *args;
    let session = turn.session()?;
    turn.with(|open| match len {
        Some(len) => open.upload.check_write(&Range { offset, len, total }),
        None => open.upload.check_rest(offset, total),
    })??;
    Ok(Permitted {
        session,
        offset,
        len,
        total,
        object_crc32c: args.object_crc32c,
    })
}

/// Sends the range, whose bytes `body` takes from the client as GCS takes them from us.
pub(super) async fn run(
    context: &Context,
    turn: &Turn,
    permitted: &Permitted,
    body: UploadBody,
) -> Result<Answer, Failure> {
    let Permitted {
        ref session,
        offset,
        len,
        total,
        object_crc32c,
    } = *permitted;
    let tally = body.tally();
    let write = async {
        match len {
            Some(len) => {
                let range = WriteRange {
                    offset,
                    len,
                    total,
                    object_crc32c,
                };
                context.gcs.write(session, range, body).await
            }
            None => context.gcs.write_rest(session, offset, object_crc32c, body).await,
        }
    };
    let answered = turn.call(write).await?;
    let len = len.unwrap_or_else(|| tally.received());
    let range = Range {
        offset,
        len,
        // GCS takes the end of a body in pieces for the object's.
        total: total.or(permitted.len.is_none().then_some(offset + len)),
    };
    let (reported, http_status, body) = reported(answered.answer);
    let progress = turn.with(|open| {
        open.upload.after_write(&range, reported)?;
        Ok(Progress {
            object: open.upload.object(),
            ..Progress::of(open.upload.committed())
        })
    })?;
    progress.map(|progress| {
        let progress = Progress {
            received: tally.received(),
            received_crc32c: tally.crc32c(),
            ..progress
        };
        Answer {
            moved: progress.received,
            ..Answer::of_gcs(Reply::WriteAt(progress), http_status, body)
        }
    })
}

/// What a session call reports, with the HTTP status that it came as and the object's JSON.
pub(super) fn reported(progress: gcsd_gcs::Progress) -> (Reported, u16, Bytes) {
    match progress {
        gcsd_gcs::Progress::Active { committed } => (Reported::Committed(committed), 308, Bytes::new()),
        gcsd_gcs::Progress::Finished(object) => (Reported::Finished(object.info), 200, object.json),
    }
}
