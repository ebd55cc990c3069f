//! WriteAt on a connection: its read half is lent to the HTTP request, and comes back when that needs no more.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Shared;
use super::connection::{Job, Next, cut};
use super::reader::Reader;
use crate::gcs::{BodyState, Lease, UploadBody, lend};
use crate::ops::write_at::{self, Permitted, Written};
use crate::ops::{Failure, Seat};
use crate::wire::Kind;
use crate::wire::write_at::Args;

/// The reader on its way back to the connection's loop.
type Back = (Next, Option<Reader>);

/// Carries out a WriteAt. Returns as soon as the reader is free again, which can be before GCS has answered.
pub(super) async fn run(
    shared: Arc<Shared>,
    job: Job,
    mut seat: Seat,
    args: Args,
    mut reader: Reader,
    tasks: &mut JoinSet<()>,
) -> Back {
    let len = job.head.body_len;
    let permitted = tokio::select! {
        biased;
        () = seat.turn() => write_at::permit(&seat, &job.head, &args),
        () = shared.shutdown.cut.cancelled() => Err(cut(Some(&seat))),
    };
    let permitted = match permitted {
        Ok(permitted) => permitted,
        Err(failure) => {
            let closing = len > shared.context.limits.drain_cap || shared.shutdown.cut.is_cancelled();
            drop(seat);
            job.finish(Err(failure), closing).await;
            let next = if !closing && reader.skip(len).await {
                Next::Read
            } else {
                Next::Close
            };
            return (next, Some(reader));
        }
    };
    let (lease, body) = lend(reader, len);
    let (give_back, back) = oneshot::channel();
    tasks.spawn(write(shared, job, seat, permitted, lease, body, give_back));
    // An error means that the task failed, and the reader with it.
    back.await.unwrap_or((Next::Close, None))
}

async fn write(
    shared: Arc<Shared>,
    job: Job,
    seat: Seat,
    permitted: Permitted,
    mut lease: Lease<Reader>,
    body: UploadBody,
    give_back: oneshot::Sender<Back>,
) {
    let (mut give_back, mut lent, mut reader) = (Some(give_back), true, None);
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
                            let _ = give_back.send((Next::Read, returned));
                        }
                        kept => (give_back, reader) = (kept, returned),
                    }
                }
            }
        }
    };
    let reader = reader.or_else(|| lease.take());
    conclude(&shared, job, seat, &lease, reader, outcome, give_back).await;
}

/// Answers, and gives the reader back if it has not been given back before.
async fn conclude(
    shared: &Shared,
    job: Job,
    seat: Seat,
    lease: &Lease<Reader>,
    reader: Option<Reader>,
    outcome: Result<Written, Failure>,
    give_back: Option<oneshot::Sender<Back>>,
) {
    let (received, crc32c) = (lease.received(), lease.crc32c());
    let unread = job.head.body_len - received;
    let broken = matches!(lease.state(), BodyState::Ended | BodyState::Failed(_));
    let stalled = matches!(&outcome, Err(failure) if failure.status.kind() == Some(Kind::ClientStalled));
    let closing = give_back.is_some() && (unread > shared.context.limits.drain_cap || broken || stalled)
        || shared.shutdown.cut.is_cancelled();
    let outcome = outcome.map(|written| {
        let mut answer = written.answer(received, crc32c);
        answer.moved = received;
        answer
    });
    drop(seat);
    job.finish(outcome, closing).await;
    let Some(give_back) = give_back else { return };
    let next = match reader {
        Some(mut reader) if !closing => {
            let next = if reader.skip(unread).await {
                Next::Read
            } else {
                Next::Close
            };
            (next, Some(reader))
        }
        reader => (Next::Close, reader),
    };
    // The loop waits for it.
    let _ = give_back.send(next);
}
