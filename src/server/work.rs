//! Requests that stream no body: each runs in a task of its own, and the connection reads on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio_util::task::TaskTracker;

use super::body::Body;
use super::job::Job;
use super::reader::Next;
use super::{Shared, refusal};
use crate::ops::{Account, Call, Failure, Share, Turn, UploadCall};
use gcsd_types::Part;
use gcsd_wire::complete_multipart;
use gcsd_wire::multipart::{MAX_PARTS_LEN, decode_parts};
use gcsd_wire::{Kind, Retry};

/// Makes a call that is about no upload.
pub(super) async fn call(shared: Arc<Shared>, job: Job, calls: Account, call: Call, repeatable: bool) {
    let cut = &shared.shutdown.cut;
    let is_read = call.is_read();
    let cancel = job.cancel();
    let begun = AtomicBool::new(false);
    let call = async {
        let _place = place(&shared, &calls).await;
        begun.store(true, Ordering::Relaxed);
        call.run(&shared.context, &job.replier).await
    };
    let outcome = tokio::select! {
        biased;
        outcome = call => outcome,
        gone = job.replier.gone(), if is_read => Err(gone.into()),
        () = cut.cancelled() => Err(match repeatable {
            true => refusal::draining(),
            false => refusal::interrupted(),
        }),
        () = cancel.cancelled() => Err(refusal::cancelled(repeatable || !begun.load(Ordering::Relaxed))),
    };
    job.finish(outcome, cut.is_cancelled()).await;
}

/// Makes a call on an upload, in its turn, which ends once the reply is queued.
pub(super) async fn upload_call(
    shared: Arc<Shared>,
    mut job: Job,
    calls: Account,
    mut turn: Turn,
    call: UploadCall,
) {
    let cut = &shared.shutdown.cut;
    let cancel = job.cancel();
    let stage = AtomicU8::new(WAITING);
    let (opens, changes) = (
        matches!(
            call,
            UploadCall::Start(..) | UploadCall::Denied(..) | UploadCall::Attach(..)
        ),
        matches!(call, UploadCall::Finish(_)),
    );
    let in_turn = async {
        turn.wait().await;
        stage.store(IN_TURN, Ordering::Relaxed);
        match call {
            UploadCall::Start(..) | UploadCall::Denied(..) | UploadCall::Attach(..) => {}
            // Nothing is done at GCS.
            UploadCall::Detach => job.about(turn.about()),
            _ => job.in_turn(&turn)?,
        }
        let _place = match call {
            UploadCall::Attach(..) | UploadCall::Denied(..) | UploadCall::Detach => None,
            _ => place_in_turn(&shared, &calls, &turn).await,
        };
        stage.store(BEGUN, Ordering::Relaxed);
        let outcome = call.run(&shared.context, &turn).await;
        if opens && outcome.is_ok() {
            job.about(turn.about());
        }
        outcome
    };
    let outcome = tokio::select! {
        biased;
        outcome = in_turn => outcome,
        () = cut.cancelled() => Err(refusal::cut(&turn)),
        () = cancel.cancelled() => {
            let stage = stage.load(Ordering::Relaxed);
            let failure = refusal::cancelled(!(changes && stage == BEGUN));
            if opens && stage != WAITING {
                turn.opening_failed(stage == BEGUN, &failure);
            }
            Err(refusal::on_upload(failure, &turn))
        }
    };
    job.finish(outcome, cut.is_cancelled()).await;
}

/// How far a call on an upload is.
const WAITING: u8 = 0;
/// Its turn has come.
const IN_TURN: u8 = 1;
/// GCS may have been asked.
const BEGUN: u8 = 2;

/// Waits for the place of a call. What frees places when the daemon stops is no reason to begin further calls: then this
/// waits for ever, and the task that makes the call has been told to end.
pub(super) async fn place(shared: &Shared, calls: &Account) -> Share {
    let place = calls.take(1).await;
    if shared.shutdown.cut.is_cancelled() {
        std::future::pending::<()>().await;
    }
    place
}

/// Waits for the place of a call on an upload. There is none if another connection takes the upload over meanwhile: then
/// the call is refused before it begins.
pub(super) async fn place_in_turn(shared: &Shared, calls: &Account, turn: &Turn) -> Option<Share> {
    tokio::select! {
        biased;
        place = place(shared, calls) => Some(place),
        () = turn.fenced() => None,
    }
}

/// Reads the list of parts that is a CompleteMultipart's body, then makes the call in a task.
pub(super) async fn complete_multipart(
    shared: Arc<Shared>,
    job: Job,
    calls: &Account,
    args: Box<complete_multipart::Args>,
    mut body: Body,
    tasks: &TaskTracker,
) -> Next {
    let parts = tokio::select! {
        biased;
        parts = read_parts(&mut body) => parts,
        () = shared.shutdown.cut.cancelled() => Err(refusal::draining()),
    };
    match parts {
        Ok(parts) => {
            let complete = Call::CompleteMultipart(args, parts);
            tasks.spawn(call(shared, job, calls.clone(), complete, false));
            Next::Read(body.into_reader())
        }
        Err(failure) => job.conclude(&shared, Err(failure), Some(body)).await,
    }
}

async fn read_parts(body: &mut Body) -> Result<Vec<Part>, Failure> {
    if !body.len().is_some_and(|len| (1..=MAX_PARTS_LEN).contains(&len)) {
        let message = format!("the list of parts is empty, or longer than {MAX_PARTS_LEN} bytes");
        return Err(Failure::new(Kind::BadBody, Retry::Never, message));
    }
    let bytes = body.collect().await.map_err(refusal::unread_body)?;
    Ok(decode_parts(bytes)?)
}
