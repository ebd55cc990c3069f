//! WriteAt on a connection: its body is lent to the HTTP request, and comes back when that needs no more.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Shared;
use super::body::{Body, Skipped};
use super::connection::{Job, Next, cut};
use super::reader::Reader;
use crate::gcs::{BodyState, Lease, SourceError, UploadBody, lend, lend_all};
use crate::ops::write_at::{self, Permitted, Written};
use crate::ops::{Failure, Seat};
use crate::wire::write_at::Args;
use crate::wire::{Kind, MAX_BODY_LEN, Retry};

/// The reader on its way back to the connection's loop.
pub(super) type Back = (Next, Option<Reader>);

/// Carries out a WriteAt. Returns as soon as the reader is free again, which can be before GCS has answered.
pub(super) async fn run(
    shared: Arc<Shared>,
    job: Job,
    mut seat: Seat,
    args: Args,
    mut body: Body,
    tasks: &mut JoinSet<()>,
) -> Back {
    let permitted = async {
        seat.turn().await;
        let permitted = write_at::permit(&seat, &args, body.len())?;
        begin(&seat, &args, permitted, &mut body).await
    };
    let permitted = tokio::select! {
        biased;
        permitted = permitted => permitted,
        () = shared.shutdown.cut.cancelled() => Err(cut(Some(&seat))),
    };
    let permitted = match permitted {
        Ok(permitted) => permitted,
        Err(failure) => {
            drop(seat);
            return turn_away(&shared, job, failure, body).await;
        }
    };
    let (lease, body) = match permitted.body_len() {
        Some(len) => lend(body, len),
        None => lend_all(body),
    };
    let (give_back, back) = oneshot::channel();
    tasks.spawn(write(shared, job, seat, permitted, lease, body, give_back));
    // An error means that the task failed, and the reader with it.
    back.await.unwrap_or((Next::Close, None))
}

/// Waits for the first bytes of a body in pieces, so that GCS is not troubled for one without any.
async fn begin(
    seat: &Seat,
    args: &Args,
    permitted: Permitted,
    body: &mut Body,
) -> Result<Permitted, Failure> {
    if body.len().is_some() {
        return Ok(permitted);
    }
    let end = args.total.unwrap_or(MAX_BODY_LEN);
    body.expect(end.saturating_sub(args.offset), args.total.is_some());
    match body.begin().await {
        Ok(true) => Ok(permitted),
        Ok(false) => Ok(permitted.without_bytes()),
        Err(error) => {
            let (kind, retry, message) = match error {
                SourceError::Io(error) if error.kind() == io::ErrorKind::TimedOut => (
                    Kind::ClientStalled,
                    Retry::Same,
                    "the client sent nothing for too long inside a body",
                ),
                SourceError::Io(_) => (Kind::BodyTruncated, Retry::Same, "the client left inside a body"),
                SourceError::Aborted => (Kind::BodyAborted, Retry::Same, "the client took the body back"),
                SourceError::Damaged => (
                    Kind::BodyDamaged,
                    Retry::Same,
                    "the body has no bytes, and its end says another checksum than theirs",
                ),
                SourceError::Malformed(why) => (Kind::BadBody, Retry::Never, why),
            };
            let failure = Failure::new(kind, retry, message);
            Err(match seat.committed() {
                Some(committed) => failure.with_committed(committed),
                None => failure,
            })
        }
    }
}

/// Answers at once that a request is not carried out, then gets its body out of the way.
pub(super) async fn turn_away(shared: &Shared, job: Job, failure: Failure, body: Body) -> Back {
    let cap = shared.context.limits.drain_cap;
    let closing = !body.can_be_skipped(cap) || shared.shutdown.cut.is_cancelled();
    job.finish(Err(failure), closing).await;
    if closing {
        return (Next::Close, Some(body.into_reader()));
    }
    skip(body, cap).await
}

/// Gets what is left of a body out of the way.
async fn skip(body: Body, cap: u64) -> Back {
    match body.skip(cap).await {
        Skipped::Border(reader) => (Next::Read, Some(reader)),
        Skipped::Gone(reader) => (Next::Close, Some(reader)),
        Skipped::Lost(reader, failure) => (Next::Lost(failure), Some(reader)),
    }
}

async fn write(
    shared: Arc<Shared>,
    job: Job,
    seat: Seat,
    permitted: Permitted,
    mut lease: Lease<Body>,
    body: UploadBody,
    give_back: oneshot::Sender<Back>,
) {
    let (mut give_back, mut lent, mut rest) = (Some(give_back), true, None);
    let outcome = {
        let mut call = pin!(write_at::run(&shared.context, &seat, &permitted, body));
        let mut stop = pin!(shared.shutdown.cut.cancelled());
        loop {
            tokio::select! {
                biased;
                outcome = &mut call => break outcome,
                () = &mut stop => {
                    seat.interrupted();
                    break Err(cut(Some(&seat)));
                }
                returned = lease.returned(), if lent => {
                    lent = false;
                    // Only a complete body leaves the stream at the border of the next request.
                    match give_back.take() {
                        Some(give_back) if lease.state() == BodyState::Complete => {
                            // The loop waits for it.
                            let _ = give_back.send((Next::Read, returned.map(Body::into_reader)));
                        }
                        kept => (give_back, rest) = (kept, returned),
                    }
                }
            }
        }
    };
    let rest = rest.or_else(|| lease.take());
    conclude(&shared, job, seat, &lease, rest, outcome, give_back).await;
}

/// Answers, and gives the reader back if it has not been given back before.
async fn conclude(
    shared: &Shared,
    job: Job,
    seat: Seat,
    lease: &Lease<Body>,
    rest: Option<Body>,
    outcome: Result<Written, Failure>,
    give_back: Option<oneshot::Sender<Back>>,
) {
    let (received, crc32c) = (lease.received(), lease.crc32c());
    let cap = shared.context.limits.drain_cap;
    let stalled = matches!(&outcome, Err(failure) if failure.status.kind() == Some(Kind::ClientStalled));
    let skippable = rest.as_ref().is_some_and(|rest| rest.can_be_skipped(cap)) && !stalled;
    let closing = give_back.is_some() && !skippable || shared.shutdown.cut.is_cancelled();
    let outcome = outcome.map(|written| {
        let mut answer = written.answer(received, crc32c);
        answer.moved = received;
        answer
    });
    drop(seat);
    job.finish(outcome, closing).await;
    let Some(give_back) = give_back else { return };
    let back = match rest {
        Some(rest) if !closing => skip(rest, cap).await,
        rest => (Next::Close, rest.map(Body::into_reader)),
    };
    // The loop waits for it.
    let _ = give_back.send(back);
}
