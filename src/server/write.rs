//! Requests with a body on a connection: it is lent to the HTTP request, and comes back when that needs no more.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::body::{Body, Skipped};
use super::connection::{Job, Next, cut};
use super::reader::Reader;
use super::{Shared, refusal};
use crate::ops::write_at::Permitted;
use crate::ops::{self, Answer, Context, Failure, Seat};
use gcsd_gcs::{BodyState, Lease, SourceError, Tally, UploadBody, lend, lend_all};
use gcsd_types::Part;
use gcsd_wire::multipart::{MAX_PARTS_LEN, decode_parts};
use gcsd_wire::{Kind, MAX_BODY_LEN, Request, Retry, complete_multipart, put_object, upload_part, write_at};

/// The reader on its way back to the connection's loop.
pub(super) type Back = (Next, Option<Reader>);

/// A request with a body, as soon as that may be sent to GCS.
enum Prepared {
    WriteAt(Permitted),
    PutObject(Box<put_object::Args>),
    UploadPart(Box<upload_part::Args>),
    /// Its body is small, and has been read.
    CompleteMultipart(Box<complete_multipart::Args>, Vec<Part>),
}

impl Prepared {
    async fn run(&self, context: &Context, seat: Option<&Seat>, body: UploadBody) -> Result<Answer, Failure> {
        // Boxed: each is as large as all that it takes to speak HTTP.
        match (self, seat) {
            (Self::WriteAt(permitted), Some(seat)) => {
                Box::pin(ops::write_at::run(seat, permitted, body)).await
            }
            (Self::PutObject(args), _) => Box::pin(ops::put_object::run(context, args, body)).await,
            (Self::UploadPart(args), _) => Box::pin(ops::upload_part::run(context, args, body)).await,
            (Self::CompleteMultipart(args, parts), _) => {
                Box::pin(ops::complete_multipart::run(context, args, parts)).await
            }
            (Self::WriteAt(_), None) => Err(unfit()),
        }
    }

    /// What to tell the client when the daemon stops in the middle of it.
    fn stopped(&self, seat: Option<&Seat>, tally: &Tally) -> Failure {
        match self {
            // GCS may have it all, and sending it again could make it twice.
            Self::PutObject(args)
                if tally.is_whole() && !args.destination.preconditions.pins_generation() =>
            {
                refusal::interrupted()
            }
            Self::CompleteMultipart(..) => refusal::interrupted(),
            _ => cut(seat),
        }
    }
}

/// Carries out a request that has a body. Returns as soon as the reader is free again, which can be before GCS has
/// answered.
pub(super) async fn run(
    shared: Arc<Shared>,
    job: Job,
    request: Request,
    mut seat: Option<Seat>,
    mut body: Body,
    tasks: &mut JoinSet<()>,
) -> Back {
    let prepared = tokio::select! {
        biased;
        prepared = prepare(request, &mut seat, &mut body) => prepared,
        () = shared.shutdown.cut.cancelled() => Err(cut(seat.as_ref())),
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            drop(seat);
            return turn_away(&shared, job, failure, body).await;
        }
    };
    let len = match &prepared {
        Prepared::WriteAt(permitted) => permitted.body_len(),
        Prepared::PutObject(_) | Prepared::UploadPart(_) => body.len(),
        Prepared::CompleteMultipart(..) => Some(0),
    };
    let (lease, body) = match len {
        Some(len) => lend(body, len),
        None => lend_all(body),
    };
    let (give_back, back) = oneshot::channel();
    tasks.spawn(write(shared, job, seat, prepared, lease, body, give_back));
    // An error means that the task failed, and the reader with it.
    back.await.unwrap_or((Next::Close, None))
}

/// Decides whether a request may be carried out, before a byte of its body is taken.
async fn prepare(request: Request, seat: &mut Option<Seat>, body: &mut Body) -> Result<Prepared, Failure> {
    match (request, seat) {
        (Request::WriteAt(args), Some(seat)) => {
            seat.turn().await;
            let permitted = ops::write_at::permit(seat, &args, body.len())?;
            begin(seat, &args, permitted, body).await.map(Prepared::WriteAt)
        }
        (Request::PutObject(args), _) => Ok(Prepared::PutObject(Box::new(args))),
        (Request::UploadPart(args), _) => Ok(Prepared::UploadPart(Box::new(args))),
        (Request::CompleteMultipart(args), _) => {
            let parts = decode_parts(collect(body).await?)?;
            Ok(Prepared::CompleteMultipart(Box::new(args), parts))
        }
        _ => Err(unfit()),
    }
}

/// Reads a body whole that is a list of parts.
async fn collect(body: &mut Body) -> Result<Bytes, Failure> {
    if !body.len().is_some_and(|len| (1..=MAX_PARTS_LEN).contains(&len)) {
        let message = format!("the list of parts has no bytes, or more than {MAX_PARTS_LEN}");
        return Err(Failure::new(Kind::BadBody, Retry::Never, message));
    }
    body.collect().await.map_err(unread)
}

/// The connection's loop brings only requests that have a body: this is its defect.
fn unfit() -> Failure {
    Failure::new(
        Kind::Internal,
        Retry::Never,
        "a request came without what it needs",
    )
}

/// Waits for the first bytes of a body in pieces, so that GCS is not troubled for one without any.
async fn begin(
    seat: &Seat,
    args: &write_at::Args,
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
            let failure = unread(error);
            Err(match seat.committed() {
                Some(committed) => failure.with_committed(committed),
                None => failure,
            })
        }
    }
}

/// What to tell a client whose body failed before anything of it was sent to GCS.
fn unread(error: SourceError) -> Failure {
    let (kind, message) = match error {
        SourceError::Io(error) if error.kind() == io::ErrorKind::TimedOut => (
            Kind::ClientStalled,
            "the client sent nothing for too long inside a body",
        ),
        SourceError::Io(_) => (Kind::BodyTruncated, "the client left inside a body"),
        SourceError::Aborted => (Kind::BodyAborted, "the client took the body back"),
        SourceError::Damaged => (
            Kind::BodyDamaged,
            "the body has no bytes, and its end says another checksum than theirs",
        ),
        SourceError::Malformed(why) => (Kind::BadBody, why),
    };
    Failure::new(kind, Retry::Same, message)
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
    seat: Option<Seat>,
    prepared: Prepared,
    mut lease: Lease<Body>,
    body: UploadBody,
    give_back: oneshot::Sender<Back>,
) {
    let (mut give_back, mut lent, mut rest) = (Some(give_back), true, None);
    let tally = body.tally();
    let outcome = {
        let mut call = pin!(prepared.run(&shared.context, seat.as_ref(), body));
        let mut stop = pin!(shared.shutdown.cut.cancelled());
        loop {
            tokio::select! {
                biased;
                outcome = &mut call => break outcome,
                () = &mut stop => break Err(prepared.stopped(seat.as_ref(), &tally)),
                state = lease.settled(), if lent => {
                    lent = false;
                    let returned = lease.take();
                    // Only a complete body leaves the stream at the border of the next request.
                    match give_back.take() {
                        Some(give_back) if state == BodyState::Complete => {
                            // The loop waits for it.
                            let _ = give_back.send((Next::Read, returned.map(Body::into_reader)));
                        }
                        kept => (give_back, rest) = (kept, returned),
                    }
                }
            }
        }
    };
    drop(seat);
    let rest = rest.or_else(|| lease.take());
    conclude(&shared, job, rest, outcome, give_back).await;
}

/// Answers, and gives the reader back if it has not been given back before.
async fn conclude(
    shared: &Shared,
    job: Job,
    rest: Option<Body>,
    outcome: Result<Answer, Failure>,
    give_back: Option<oneshot::Sender<Back>>,
) {
    let cap = shared.context.limits.drain_cap;
    let stalled = matches!(&outcome, Err(failure) if failure.status.kind() == Some(Kind::ClientStalled));
    let skippable = rest.as_ref().is_some_and(|rest| rest.can_be_skipped(cap)) && !stalled;
    let closing = give_back.is_some() && !skippable || shared.shutdown.cut.is_cancelled();
    job.finish(outcome, closing).await;
    let Some(give_back) = give_back else { return };
    let back = match rest {
        Some(rest) if !closing => skip(rest, cap).await,
        rest => (Next::Close, rest.map(Body::into_reader)),
    };
    // The loop waits for it.
    let _ = give_back.send(back);
}
