//! A connection: reads requests one after the other, and lets them run side by side.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info};

use super::body::Body;
use super::foreign::Foreign;
use super::in_flight::{InFlight, Permit};
use super::job::Job;
use super::reader::{Next, ReadError, Reader};
use super::{Shared, lending, refusal, room, work, writer};
use crate::ops::{Account, Answer, Failure, FrameQueue, Local, Replier, Share, Uploads, Work, cancel};
use gcsd_net::Stream as _;
use gcsd_wire::{Kind, Opcode, Reply, RequestFrame, hello};

/// How long a closing connection discards its input, so that a reset by the kernel does not overtake the last reply.
const LINGER: Duration = Duration::from_secs(2);
/// How much of it.
const LINGER_BYTES: u64 = 1 << 30;

struct Connection {
    shared: Arc<Shared>,
    peer: SocketAddr,
    frames: FrameQueue,
    in_flight: InFlight,
    uploads: Uploads,
    /// Keeps nothing of tasks that have ended.
    tasks: TaskTracker,
    memory: Account,
    calls: Account,
    authenticated: bool,
    /// A request was read.
    spoken: bool,
}

/// A request whose head and args were read, with what it needs to be in flight.
struct Begun {
    frame: RequestFrame,
    permit: Option<Permit>,
    room: Share,
}

/// Serves a connection until it ends.
pub(super) async fn serve(mut stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let limits = shared.context.limits;
    if let Err(error) = gcsd_net::prepare(&stream) {
        debug!(%peer, %error, "the connection ended before it was served");
        return;
    }
    // What is written and lies in the kernel is held to the same limit as what still waits to be written.
    stream.set_user_timeout(limits.client_timeout);
    let (read_half, write_half) = stream.into_split();
    let (frames, queue) = mpsc::channel(writer::QUEUE);
    let writer = tokio::spawn(writer::run(write_half, queue, limits.client_timeout));
    let mut connection = Connection {
        authenticated: shared.context.secret.is_none(),
        spoken: false,
        shared: shared.clone(),
        peer,
        frames: FrameQueue::new(frames),
        in_flight: InFlight::new(limits.max_in_flight),
        uploads: Uploads::new(limits.max_uploads),
        tasks: TaskTracker::new(),
        memory: shared.memory.account(),
        calls: shared.calls.account(),
    };
    let reader = Reader::new(read_half, shared.config.read_buffer, &limits);
    let reader = connection.read(reader).await;
    let Connection { tasks, frames, .. } = connection;
    drop(frames);
    tasks.close();
    tasks.wait().await;
    match writer.await {
        Ok(Ok(())) => {
            if let Some(mut reader) = reader {
                let _ = tokio::time::timeout(LINGER, reader.skip(LINGER_BYTES)).await;
            }
        }
        Ok(Err(error)) => debug!(%peer, %error, "replies could not be written"),
        Err(error) => error!(%error, "a connection's writer panicked"),
    }
    debug!(%peer, "connection closed");
}

impl Connection {
    /// Reads requests until the connection ends. Returns the reader if input may still arrive.
    async fn read(&mut self, mut reader: Reader) -> Option<Reader> {
        let drain = self.shared.shutdown.drain.clone();
        loop {
            let drained = async {
                drain.cancelled().await;
                self.in_flight.idle().await;
            };
            let frame = tokio::select! {
                biased;
                () = self.frames.closed() => return None,
                frame = self.next(&mut reader) => frame,
                () = drained => return Some(reader),
            };
            let next = match frame {
                // Boxed: what a request needs would otherwise be part of every idle connection.
                Ok(Some(begun)) => Box::pin(self.request(begun, reader)).await,
                Ok(None) => return None,
                Err(error) => self.unreadable(&error, reader).await,
            };
            match next {
                Next::Read(back) => {
                    reader = back;
                    if self.authenticated {
                        reader.established();
                    }
                }
                Next::Close(back) => return back,
                Next::Lost(back, failure) => {
                    self.lost(*failure).await;
                    return Some(back);
                }
            }
        }
    }

    /// The next request; `None` at the end, or when the client has been idle for too long.
    ///
    /// Its place and its memory are there before its args are read: a connection that waits for them costs what it costs when
    /// it is idle, and one small buffer.
    async fn next(&self, reader: &mut Reader) -> Result<Option<Begun>, ReadError> {
        let begun = tokio::select! {
            biased;
            begun = reader.begin() => begun?,
            () = idle(&self.in_flight, self.shared.context.limits.idle_timeout) => {
                debug!(peer = %self.peer, "idle for too long");
                false
            }
        };
        if !begun {
            return Ok(None);
        }
        let head = reader.head().await?;
        let max_args = self.shared.context.limits.max_args;
        let room = room::of(&head, max_args, self.shared.config.read_buffer);
        let since = Instant::now();
        let permit = match Opcode::from_code(head.opcode) {
            // They have a place beside all others. One is enough: each is answered before anything behind it is read.
            Some(Opcode::Cancel | Opcode::Ping) => None,
            _ => Some(self.in_flight.acquire().await),
        };
        let room = self.memory.take(room).await;
        reader.excuse(since.elapsed());
        let frame = reader.frame().await?;
        Ok(Some(Begun { frame, permit, room }))
    }

    /// What to do when the client's bytes cannot be framed.
    async fn unreadable(&self, error: &ReadError, reader: Reader) -> Next {
        match error {
            ReadError::Broken(error) => debug!(peer = %self.peer, %error, "the client's stream broke"),
            ReadError::Silent => debug!(peer = %self.peer, "the client said nothing in time"),
            _ => {}
        }
        // Where a request was read before, these are bytes of a body.
        if !self.spoken
            && let Some(foreign) = Foreign::of(error)
        {
            self.shared.strangers.log(self.peer, foreign);
            // A client that is gone needs no answer.
            let _ = self.frames.foreign(foreign.answer()).await;
            return Next::Close(Some(reader));
        }
        match refusal::unreadable(error) {
            Some(failure) => Next::Lost(reader, Box::new(failure)),
            None => Next::Close(None),
        }
    }

    /// Tells the client why no further request can be found in its bytes.
    async fn lost(&self, failure: Failure) {
        info!(peer = %self.peer, status = %failure.status, message = failure.reply.message, "closing");
        let replier = Replier::to_nothing(self.frames.clone());
        // A client that is gone needs no reply.
        let _ = replier.end(&Err(failure), true, None).await;
    }

    /// Answers a request, or starts the task that does.
    async fn request(&mut self, begun: Begun, reader: Reader) -> Next {
        let Begun { frame, permit, room } = begun;
        let head = frame.head;
        self.spoken = true;
        let Some(reserved) = self.in_flight.reserve(head.sequence) else {
            // Under its sequence, this would be the answer of the request in flight.
            return Next::Lost(reader, Box::new(refusal::duplicate(&head)));
        };
        let replier = Replier::to(self.frames.clone(), &head);
        let job = Job::new(self.peer, head, replier, reserved, permit, room);
        // Args beyond the limit are still to be read.
        let unread = if frame.args.is_none() { head.args_len } else { 0 };
        let body = Body::new(reader, &head, unread);
        if self.shared.shutdown.drain.is_cancelled() {
            job.finish(Err(refusal::draining()), true).await;
            return Next::Close(Some(body.into_reader()));
        }
        let shared = self.shared.clone();
        let (work, repeatable) = match self.admit(&frame) {
            Ok(admitted) => admitted,
            Err(failure) => return job.conclude(&shared, Err(failure), Some(body)).await,
        };
        match work {
            Work::Local(local) => self.answer(job, local, body).await,
            Work::Cancel(target) => {
                // It cannot end itself.
                let was_in_flight = target != head.sequence && self.in_flight.cancel(target).await;
                job.finish(Ok(cancel::answer(was_in_flight)), false).await;
                Next::Read(body.into_reader())
            }
            Work::Call(call) => {
                let calls = self.calls.clone();
                self.tasks.spawn(work::call(shared, job, calls, call, repeatable));
                Next::Read(body.into_reader())
            }
            Work::UploadCall(turn, call) => {
                let calls = self.calls.clone();
                self.tasks
                    .spawn(work::upload_call(shared, job, calls, turn, call));
                Next::Read(body.into_reader())
            }
            Work::CompleteMultipart(args) => {
                work::complete_multipart(shared, job, &self.calls, args, body, &self.tasks).await
            }
            Work::Streamed(request) => {
                lending::run(shared, job, &self.calls, request, body, &self.tasks).await
            }
        }
    }

    /// What the request asks for, and whether it may be repeated; or why it is refused.
    fn admit(&mut self, frame: &RequestFrame) -> Result<(Work, bool), Failure> {
        let max_args = self.shared.context.limits.max_args;
        let request = refusal::read_request(frame, max_args, self.authenticated)?;
        let repeatable = request.is_repeatable();
        let work = Work::new(request, frame.head.upload, &mut self.uploads)?;
        Ok((work, repeatable))
    }

    /// Answers a request that needs no call.
    async fn answer(&mut self, job: Job, local: Local, body: Body) -> Next {
        let hello = matches!(local, Local::Hello(_));
        let mut outcome = local.run(&self.shared.context);
        let mut checked = self.frames.is_checked();
        if let Ok(Answer {
            reply: Reply::Hello(reply),
            ..
        }) = &mut outcome
        {
            // What was agreed stays.
            reply.features |= if checked { hello::CHECKED } else { 0 };
            checked = reply.features & hello::CHECKED != 0;
        }
        let refused =
            matches!(&outcome, Err(failure) if failure.status.kind() == Some(Kind::Unauthenticated));
        self.authenticated |= hello && outcome.is_ok();
        if refused {
            self.delay().await;
        }
        job.finish(outcome, refused).await;
        let mut reader = body.into_reader();
        if checked {
            // All frames behind Hello's reply, and all requests behind Hello.
            self.frames.agree_checked();
            reader.agree_checked();
        }
        match refused {
            true => Next::Close(Some(reader)),
            false => Next::Read(reader),
        }
    }
}

impl Connection {
    /// Keeps a client waiting that has a wrong secret, so that guessing is slow. As long as it waits it has the place of a
    /// connection: no more than a quarter of the places are used for it, and what is beyond that is answered at once.
    async fn delay(&self) {
        let Ok(_permit) = self.shared.delayed.try_acquire() else {
            return;
        };
        tokio::select! {
            () = tokio::time::sleep(self.shared.config.refusal_delay) => {}
            () = self.shared.shutdown.drain.cancelled() => {}
        }
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
