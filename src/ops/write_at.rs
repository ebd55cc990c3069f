//! WriteAt: `PUT <session>` with `Content-Range: bytes FIRST-LAST/*` (proto-spec.md, "WriteAt").

use std::sync::Arc;

use super::{Answer, Failure, Turn};
use gcsd_gcs::{Session, UploadBody, WriteRange};
use gcsd_types::Crc32c;
use gcsd_wire::Reply;
use gcsd_wire::progress::Progress;
use gcsd_wire::write_at::Args;

/// A range that GCS may be sent.
#[derive(Debug)]
pub struct Permitted {
    session: Arc<Session>,
    range: WriteRange,
    body_crc32c: Option<Crc32c>,
}

impl Permitted {
    /// The checksum that the body must have.
    pub(super) fn body_crc32c(&self) -> Option<Crc32c> {
        self.body_crc32c
    }

    /// The same range, of a body in pieces that turned out to hold no bytes.
    #[must_use]
    pub fn without_bytes(mut self) -> Self {
        self.range.len = Some(0);
        self.range.total = Some(self.range.offset);
        self
    }
}

/// Decides whether the range may be sent, before a byte of its body is taken. A body in pieces has no `len`.
pub fn permit(turn: &Turn, args: &Args, len: Option<u64>) -> Result<Permitted, Failure> {
    let session = turn.session()?;
    let range = WriteRange {
        offset: args.offset,
        len,
        total: args.total,
        object_crc32c: args.object_crc32c,
    };
    session.check_write(&range)?;
    let body_crc32c = args.body_crc32c;
    Ok(Permitted {
        session,
        range,
        body_crc32c,
    })
}

/// Sends the range, whose bytes `body` takes from the client as GCS takes them from us.
pub(super) async fn run(turn: &Turn, permitted: &Permitted, body: UploadBody) -> Result<Answer, Failure> {
    let tally = body.tally();
    let Permitted { session, range, .. } = permitted;
    let answered = turn.call(session.write(*range, body)).await?;
    let received = tally.received();
    let reply = |progress| {
        Reply::WriteAt(Progress {
            received,
            received_crc32c: tally.crc32c(),
            ..progress
        })
    };
    Ok(Answer {
        moved: received,
        ..Answer::of_progress(answered, reply)
    })
}
