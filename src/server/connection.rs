//! A connection: reads requests one after the other, and lets them run beside each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, error, info};

use super::body::Body;
use super::in_flight::{Flight, InFlight, Room};
use super::reader::{ReadError, Reader};
use super::{Shared, refusal, write, writer};
use crate::ops::{self, Answer, Failure, OutFrame, Replier, Seat, Uploads};
use gcsd_net::Stream as _;
use gcsd_wire::{Kind, Opcode, Request, RequestFrame, RequestHead};

/// How long the input of a connection that is being closed is thrown away, so that a reset by the kernel
/// does not overtake the last reply.
const LINGER: Duration = Duration::from_secs(2);
/// How much of it.
const LINGER_BYTES: u64 = 1 << 30;

/// Whether the connection goes on after a request.
#[derive(Debug)]
pub(super) enum Next {
    Read,
    Close,
    /// The border to the next request is lost: the client is told why, then the connection closes.
    Lost(Box<Failure>),
}

struct Connection {
    shared: Arc<Shared>,
    peer: SocketAddr,
    frames: mpsc::Sender<Box<OutFrame>>,
    in_flight: InFlight,
    uploads: Uploads,
    tasks: JoinSet<()>,
    authenticated: bool,
}

/// Serves a connection until it ends.
pub(super) async fn serve(mut stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let limits = shared.context.limits;
    if let Err(error) = gcsd_net::prepare(&stream) {
        debug!(%peer, %error, "the connection ended before it began");
        return;
    }
    // What is written and lies in the kernel is held to the same limit as what still waits to be written.
    stream.set_user_timeout(limits.client_timeout);
    let (read_half, write_half) = stream.into_split();
    let (frames, queue) = mpsc::channel(writer::QUEUE);
    let writer = tokio::spawn(writer::run(write_half, queue, limits.client_timeout));
    let mut connection = Connection {
        authenticated: shared.context.secret.is_none(),
        shared: shared.clone(),
        peer,
        frames,
        in_flight: InFlight::new(limits.max_in_flight),
        uploads: Uploads::new(limits.max_uploads),
        tasks: JoinSet::new(),
    };
    let reader = Reader::new(
        read_half,
        shared.config.read_buffer,
        limits.max_args,
        limits.client_timeout,
    );
    let reader = connection.read(reader).await;
    let Connection {
        mut tasks, frames, ..
    } = connection;
    drop(frames);
    while let Some(ended) = tasks.join_next().await {
        report_panic(ended);
    }
    match writer.await {
        Ok(Ok(())) => {
            if let Some(mut reader) = reader {
                let _ = tokio::time::timeout(LINGER, reader.skip(LINGER_BYTES)).await;
            }
        }
        Ok(Err(error)) => debug!(%peer, %error, "the client did not take its replies"),
        Err(error) => error!(%error, "the writer of a connection failed"),
    }
    debug!(%peer, "connection closed");
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(%error, "a request ended by a defect of the daemon");
    }
}

impl Connection {
    /// Reads requests until the connection ends. Gives the reader back where input may still be under way.
    async fn read(&mut self, mut reader: Reader) -> Option<Reader> {
        let drain = self.shared.shutdown.drain.clone();
        let idle_timeout = self.shared.context.limits.idle_timeout;
        loop {
            while let Some(ended) = self.tasks.try_join_next() {
                report_panic(ended);
            }
            let room = tokio::select! {
                room = self.in_flight.room() => room?,
                () = self.frames.closed() => return None,
            };
            let draining = drain.is_cancelled();
            let frame = tokio::select! {
                biased;
                () = self.frames.closed() => return None,
                frame = reader.frame() => frame,
                () = drain.cancelled(), if !draining => {
                    drop(room);
                    continue;
                }
                () = self.in_flight.idle(), if draining => return Some(reader),
                () = idle(&self.in_flight, idle_timeout) => {
                    debug!(peer = %self.peer, "idle for too long");
                    return None;
                }
            };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(error) => return self.unreadable(&error, reader).await,
            };
            // Boxed: what a request needs would otherwise be part of every idle connection.
            let (next, back) = Box::pin(self.request(frame, room, reader, draining)).await;
            match (next, back) {
                (Next::Read, Some(back)) => reader = back,
                (Next::Lost(failure), back) => {
                    self.lost(*failure).await;
                    return back;
                }
                (_, back) => return back,
            }
        }
    }

    /// Tells the client that its bytes cannot be framed.
    async fn unreadable(&self, error: &ReadError, reader: Reader) -> Option<Reader> {
        let Some(failure) = refusal::unreadable(error) else {
            if let ReadError::Broken(error) = error {
                debug!(peer = %self.peer, %error, "the client's stream broke");
            }
            return None;
        };
        self.lost(failure).await;
        Some(reader)
    }

    /// Tells the client why no further request can be found in its bytes.
    async fn lost(&self, failure: Failure) {
        info!(peer = %self.peer, status = %failure.status, message = failure.reply.message, "closing");
        let replier = Replier::to_nothing(self.frames.clone());
        // A client that is gone needs no reply.
        let _ = replier.end(&Err(failure), true).await;
    }

    /// Takes on a request: answers it, or lets a task do so.
    async fn request(
        &mut self,
        frame: RequestFrame,
        room: Room,
        reader: Reader,
        draining: bool,
    ) -> (Next, Option<Reader>) {
        let head = frame.head;
        let replier = Replier::to(self.frames.clone(), &head);
        let mut job = Job {
            peer: self.peer,
            head,
            replier,
            started: Instant::now(),
            flight: None,
        };
        // Args beyond the limit are still to be read.
        let unread = if frame.args.is_none() { head.args_len } else { 0 };
        let body = Body::new(reader, &head);
        if draining {
            job.finish(Err(refusal::draining()), true).await;
            return (Next::Close, Some(body.into_reader()));
        }
        match self.in_flight.take_off(head.sequence, room) {
            Ok(flight) => job.flight = Some(flight),
            Err(_room) => {
                return self
                    .refuse(job, refusal::duplicate(head.sequence), unread, body)
                    .await;
            }
        }
        let max_args = self.shared.context.limits.max_args;
        let request = match refusal::read_request(&frame, max_args, self.authenticated) {
            Ok(request) => request,
            Err(failure) => return self.refuse(job, failure, unread, body).await,
        };
        let opcode = request.opcode();
        let seat = if opcode.has_upload() {
            match self.uploads.take_seat(opcode, head.upload) {
                Ok(seat) => Some(seat),
                Err(failure) => return self.refuse(job, failure, unread, body).await,
            }
        } else {
            None
        };
        match (request, seat) {
            (request, seat) if opcode.has_body() => {
                let shared = self.shared.clone();
                write::run(shared, job, request, seat, body, &mut self.tasks).await
            }
            (request @ (Request::Hello(_) | Request::Ping(_)), _) => {
                (self.local(job, request).await, Some(body.into_reader()))
            }
            (request, seat) => {
                self.tasks
                    .spawn(carry_out(self.shared.clone(), job, request, seat));
                (Next::Read, Some(body.into_reader()))
            }
        }
    }

    /// Answers what takes no time.
    async fn local(&mut self, job: Job, request: Request) -> Next {
        let hello = request.opcode() == Opcode::Hello;
        let outcome = ops::dispatch(&self.shared.context, request, None, &job.replier).await;
        let refused =
            matches!(&outcome, Err(failure) if failure.status.kind() == Some(Kind::Unauthenticated));
        self.authenticated |= hello && outcome.is_ok();
        job.finish(outcome, refused).await;
        if refused { Next::Close } else { Next::Read }
    }

    /// Answers at once that a request is not carried out, then gets its `unread` args and its body out of the way.
    async fn refuse(&self, job: Job, failure: Failure, unread: u32, body: Body) -> (Next, Option<Reader>) {
        write::turn_away(&self.shared, job, failure, body.behind(unread)).await
    }
}

/// Resolves when nothing has been in flight for `idle_timeout`.
async fn idle(in_flight: &InFlight, idle_timeout: Duration) {
    if idle_timeout.is_zero() {
        return std::future::pending().await;
    }
    in_flight.idle().await;
    tokio::time::sleep(idle_timeout).await;
}

/// Carries out a request that has no body, in its turn.
async fn carry_out(shared: Arc<Shared>, job: Job, request: Request, mut seat: Option<Seat>) {
    let repeatable = request.is_repeatable();
    let work = async {
        if let Some(seat) = &mut seat {
            seat.turn().await;
        }
        ops::dispatch(&shared.context, request, seat.as_ref(), &job.replier).await
    };
    let outcome = tokio::select! {
        biased;
        outcome = work => outcome,
        () = shared.shutdown.cut.cancelled(), if repeatable => Err(cut(seat.as_ref())),
        () = shared.shutdown.cut.cancelled() => Err(refusal::interrupted()),
    };
    job.finish(outcome, shared.shutdown.cut.is_cancelled()).await;
}

/// The failure of a request that was cut because the daemon stops.
pub(super) fn cut(seat: Option<&Seat>) -> Failure {
    let failure = refusal::draining();
    match seat.and_then(Seat::committed) {
        Some(committed) => failure.with_committed(committed),
        None => failure,
    }
}

/// A request in hand, up to its reply and its line in the log.
#[derive(Debug)]
pub(super) struct Job {
    peer: SocketAddr,
    pub(super) head: RequestHead,
    pub(super) replier: Replier,
    started: Instant,
    flight: Option<Flight>,
}

impl Job {
    /// Answers the request.
    pub(super) async fn finish(mut self, outcome: Result<Answer, Failure>, closing: bool) {
        self.log(&outcome);
        if let Some(flight) = &mut self.flight {
            flight.land();
        }
        if self.replier.end(&outcome, closing).await.is_err() {
            debug!(peer = %self.peer, sequence = self.head.sequence, "the client is gone, its reply is dropped");
        }
    }

    fn log(&self, outcome: &Result<Answer, Failure>) {
        let RequestHead { sequence, upload, .. } = self.head;
        let opcode = self.replier.opcode_name();
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let peer = self.peer;
        match outcome {
            Ok(answer) => {
                let (bytes, http) = (answer.moved, answer.http_status);
                info!(%peer, sequence, opcode, upload, bytes, status = "ok", http, ms, "request");
            }
            Err(Failure {
                status,
                http_status: http,
                reply,
            }) => {
                let retry = status.retry().map_or("", |retry| retry.name());
                let request_id = reply.request_id.as_deref();
                let message = &reply.message;
                info!(
                    %peer, sequence, opcode, upload, %status, retry, http, committed = reply.committed,
                    ms, message, request_id, "request"
                );
            }
        }
    }
}
