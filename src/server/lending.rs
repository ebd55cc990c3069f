//! Requests that stream their body: the connection's reader is lent to the HTTP request.
//!
//! [`run`] decides whether the body may be sent, lends it, and waits for the reader. [`send`], in a task of its own,
//! makes the call to GCS. It gives the reader back as soon as the body is complete, before GCS has answered. If GCS
//! answers earlier, the rest of the body is skipped first.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::{Body, BodySource};
use super::job::Job;
use super::reader::Next;
use super::work::{place, place_in_turn};
use super::{Shared, refusal};
use crate::ops::write_at::{self, Permitted};
use crate::ops::{Account, Answer, Failure, Streamed, Transfer, Turn};
use gcsd_gcs::{BodyState, Lease, Tally, UploadBody};
use gcsd_wire::MAX_BODY_LEN;
use gcsd_wire::write_at::Args;

/// Carries out a request that streams its body. Returns as soon as the reader is free, which can be before GCS has
/// answered.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut job: Job,
    calls: &Account,
    request: Streamed,
    mut body: Body,
    tasks: &TaskTracker,
) -> Next {
    let transfer = match permit(&shared, &mut job, request, &mut body).await {
        Ok(transfer) => transfer,
        Err(failure) => return job.conclude(&shared, Err(failure), Some(body)).await,
    };
    let expected = transfer.body_crc32c();
    let (lease, body) = body.lend();
    let body = body.expecting(expected);
    job.lent(body.tally());
    let (give_back, reader_back) = oneshot::channel();
    tasks.spawn(send(shared, job, calls.clone(), transfer, lease, body, give_back));
    // An error means that the task panicked, and the reader is lost with it.
    reader_back.await.unwrap_or(Next::Close(None))
}

/// Decides whether the body may be sent, before any of its bytes is.
async fn permit(
    shared: &Shared,
    job: &mut Job,
    request: Streamed,
    body: &mut Body,
) -> Result<Transfer, Failure> {
    match request {
        Streamed::WriteAt(mut turn, args) => {
            let permitted = tokio::select! {
                biased;
                permitted = permit_write(job, &mut turn, &args, body) => permitted?,
                () = shared.shutdown.cut.cancelled() => return Err(refusal::cut(&turn)),
            };
            Ok(Transfer::WriteAt(turn, permitted))
        }
        Streamed::PutObject(args) => {
            body.check_empty(args.body_crc32c).map_err(refusal::unread_body)?;
            body.expect(MAX_BODY_LEN.min(job.max_object_size()), false);
            Ok(Transfer::PutObject(args))
        }
        Streamed::UploadPart(args) => {
            body.check_empty(args.body_crc32c).map_err(refusal::unread_body)?;
            Ok(Transfer::UploadPart(args))
        }
    }
}

/// Waits for the request's turn on its upload, and for the first bytes of a body in pieces: GCS is not bothered with
/// one that has none.
async fn permit_write(
    job: &mut Job,
    turn: &mut Turn,
    args: &Args,
    body: &mut Body,
) -> Result<Permitted, Failure> {
    turn.wait().await;
    job.in_turn(turn)?;
    let permitted = write_at::permit(turn, args, body.len())?;
    let end = args.total.unwrap_or(MAX_BODY_LEN.min(job.max_object_size()));
    body.expect(end.saturating_sub(args.offset), args.total.is_some());
    let begun = body.begin().await;
    match begun.and_then(|bytes| body.check_empty(args.body_crc32c).map(|()| bytes)) {
        Ok(true) => Ok(permitted),
        Ok(false) => Ok(permitted.without_bytes()),
        Err(error) => Err(refusal::on_upload(refusal::unread_body(error), turn)),
    }
}

/// Makes the call, answers, and gives the reader back in between or afterwards.
async fn send(
    shared: Arc<Shared>,
    job: Job,
    calls: Account,
    transfer: Transfer,
    mut lease: Lease<BodySource>,
    body: UploadBody,
    give_back: oneshot::Sender<Next>,
) {
    // A part is named by its number: its sender repeats it, and has no use for one that comes beside the repeat.
    let is_part = matches!(transfer, Transfer::UploadPart(_));
    let cancel = job.cancel();
    let (outcome, give_back) = {
        let mut call = pin!(call(&shared, &calls, &cancel, transfer, body));
        tokio::select! {
            biased;
            outcome = &mut call => (outcome, Some(give_back)),
            () = useless(&job, &lease, is_part) => (Err(refusal::abandoned()), Some(give_back)),
            // Only a complete body leaves the reader at the next request. In every other state it stays lent until there
            // is an answer.
            BodyState::Complete = lease.settled() => {
                let body = Body::take_back(&mut lease);
                // The connection waits for it.
                let _ = give_back.send(body.map_or(Next::Close(None), |body| Next::Read(body.into_reader())));
                let outcome = tokio::select! {
                    biased;
                    outcome = call => outcome,
                    _ = job.replier.gone(), if is_part => Err(refusal::abandoned()),
                };
                (outcome, None)
            }
        }
    };
    let Some(give_back) = give_back else {
        return job.finish(outcome, shared.shutdown.cut.is_cancelled()).await;
    };
    let next = job.conclude(&shared, outcome, Body::take_back(&mut lease)).await;
    // The connection waits for it.
    let _ = give_back.send(next);
}

/// Returns once the client is gone and the request is of no use to it, not even later: its body will never be complete,
/// or it is a part. Work that others can find, an object or an upload's bytes, is finished where that is possible.
async fn useless(job: &Job, lease: &Lease<BodySource>, is_part: bool) {
    job.replier.gone().await;
    if !is_part && Body::is_received(lease) {
        std::future::pending().await
    }
}

/// Makes the call. The request's turn on its upload ends with it.
async fn call(
    shared: &Shared,
    calls: &Account,
    cancel: &CancellationToken,
    transfer: Transfer,
    body: UploadBody,
) -> Result<Answer, Failure> {
    let tally = body.tally();
    let begun = AtomicBool::new(false);
    let run = async {
        // Until there is a place nothing is taken from the client, whose clock does not run either.
        let _place = match &transfer {
            Transfer::WriteAt(turn, _) => place_in_turn(shared, calls, turn).await,
            Transfer::PutObject(_) | Transfer::UploadPart(_) => Some(place(shared, calls).await),
        };
        begun.store(true, Ordering::Relaxed);
        transfer.run(&shared.context, body).await
    };
    tokio::select! {
        biased;
        outcome = run => outcome,
        () = shared.shutdown.cut.cancelled() => Err(cut(&transfer, &tally)),
        // The client cannot be heard before its body was read.
        () = cancel.cancelled() => Err(cancelled(&transfer, begun.load(Ordering::Relaxed))),
    }
}

/// The failure of a call that the client cancels; it was `begun` if GCS may have been sent something.
fn cancelled(transfer: &Transfer, begun: bool) -> Failure {
    match transfer {
        Transfer::WriteAt(turn, _) => refusal::on_upload(refusal::cancelled(!begun), turn),
        Transfer::PutObject(args) => {
            refusal::cancelled(!begun || args.destination.preconditions.pins_generation())
        }
        Transfer::UploadPart(_) => refusal::cancelled(true),
    }
}

/// The failure of a call that is cut because the daemon stops.
fn cut(transfer: &Transfer, tally: &Tally) -> Failure {
    match transfer {
        Transfer::WriteAt(turn, _) => refusal::cut(turn),
        // GCS may have all of it, and sending it again could make the object twice.
        Transfer::PutObject(args)
            if tally.is_whole() && !args.destination.preconditions.pins_generation() =>
        {
            refusal::interrupted()
        }
        Transfer::PutObject(_) | Transfer::UploadPart(_) => refusal::draining(),
    }
}
