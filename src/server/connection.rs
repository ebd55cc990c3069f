//! A connection: reads requests one after the other, and lets them run side by side.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::body::Body;
use super::foreign::Foreign;
use super::handshake;
use super::in_flight::{InFlight, Permit};
use super::job::Job;
use super::lines::{Client, End};
use super::listener::Incoming;
use super::reader::{Next, ReadError, Reader};
use super::{Shared, lending, refusal, room, work, writer};
use crate::ops::{
    Account, Answer, Caller, Failure, FrameQueue, Local, Replier, Share, Subject, Uploads, Work, cancel,
    decide,
};
use crate::policy::{Evidence, Place};
use crate::stats::{BeforeRequest, Culprit, Stats};
use gcsd_wire::{Kind, Opcode, Reply, RequestFrame, hello};

/// How long a closing connection discards its input, so that a reset by the kernel does not overtake the last reply.
const LINGER: Duration = Duration::from_secs(2);
/// How much of it.
const LINGER_BYTES: u64 = 1 << 30;

struct Connection {
    shared: Arc<Shared>,
    client: Arc<Client>,
    end: End,
    frames: FrameQueue,
    in_flight: InFlight,
    uploads: Uploads,
    /// Keeps nothing of tasks that have ended.
    tasks: TaskTracker,
    memory: Account,
    calls: Account,
    caller: Caller,
    /// A request was read.
    spoken: bool,
    /// Until then.
    before_request: Option<BeforeRequest>,
}

/// A request whose head and args were read, with what it needs to be in flight.
struct Begun {
    frame: RequestFrame,
    permit: Option<Permit>,
    place: Option<Place>,
    room: Share,
}

/// Serves a connection until it ends.
pub(super) async fn serve(incoming: Incoming, shared: Arc<Shared>) {
    let limits = shared.context.limits;
    let id = 1 + shared.accepted.fetch_add(1, Ordering::Relaxed);
    let deadline = tokio::time::Instant::now() + limits.handshake_timeout;
    let opened = match handshake::open(incoming, &shared, deadline).await {
        Ok(opened) => opened,
        Err((peer, end)) => {
            shared.ledger.stats().ended(end.name());
            return Client::new(id, peer).ended(&end);
        }
    };
    let evidence = Evidence::from(&opened.peer);
    let client = Client::new(id, opened.peer);
    let (frames, queue) = mpsc::channel(writer::QUEUE);
    let writer = tokio::spawn(writer::run(opened.write, queue, limits.client_timeout));
    let mut connection = Connection {
        caller: Caller::new(&shared.context, evidence),
        spoken: false,
        before_request: Some(shared.ledger.stats().before_request()),
        shared: shared.clone(),
        client: client.clone(),
        end: End::Closed,
        frames: FrameQueue::new(frames, shared.ledger.stats().sent()),
        in_flight: InFlight::new(limits.max_in_flight),
        uploads: Uploads::new(limits.max_uploads),
        tasks: TaskTracker::new(),
        memory: shared.memory.account(),
        calls: shared.calls.account(),
    };
    let reader = Reader::new(opened.read, shared.config.read_buffer, &limits, deadline);
    let reader = match opened.foreign {
        None => connection.read(reader).await,
        Some(foreign) => {
            connection.end = End::Failed;
            connection.refer(foreign).await;
            Some(reader)
        }
    };
    let Connection {
        tasks,
        frames,
        uploads,
        end,
        ..
    } = connection;
    drop(frames);
    tasks.close();
    tasks.wait().await;
    let end = match writer.await {
        Ok(Ok(())) => {
            if let Some(mut reader) = reader {
                let _ = tokio::time::timeout(LINGER, reader.skip(LINGER_BYTES)).await;
            }
            end
        }
        Ok(Err(error)) => End::Unread(error),
        Err(error) => End::Defect(error),
    };
    for (upload, committed) in uploads.unfinished() {
        client.left(&upload, committed);
    }
    shared.ledger.stats().ended(end.name());
    if matches!(&end, End::Unread(error) if error.kind() == std::io::ErrorKind::TimedOut) {
        shared.ledger.stats().stalled(Culprit::Client);
    }
    client.ended(&end);
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
                () = drained => {
                    self.end = End::Draining;
                    return Some(reader);
                }
            };
            let next = match frame {
                // Boxed: what a request needs would otherwise be part of every idle connection.
                Ok(Some(begun)) => Box::pin(self.request(begun, reader)).await,
                Ok(None) => return None,
                Err(error) => match Foreign::of(&error).filter(|_| !self.spoken) {
                    Some(foreign) => {
                        self.refer(foreign).await;
                        Next::Close(Some(reader))
                    }
                    None => unreadable(error, reader),
                },
            };
            match next {
                Next::Read(back) => {
                    reader = back;
                    if self.caller.is_known(&self.shared.context) {
                        reader.established();
                    }
                }
                Next::Close(back) => {
                    self.end = match drain.is_cancelled() {
                        true => End::Draining,
                        false => End::Failed,
                    };
                    return back;
                }
                Next::Gone(end) => {
                    self.end = end;
                    return None;
                }
                Next::Lost(back, failure) => {
                    self.end = End::Unframed;
                    self.lost(*failure).await;
                    return Some(back);
                }
            }
        }
    }

    /// The next request; `None` at the end.
    ///
    /// Its place and its memory are there before its args are read: a connection that waits for them costs what it costs when
    /// it is idle, and one small buffer.
    async fn next(&self, reader: &mut Reader) -> Result<Option<Begun>, ReadError> {
        let begun = tokio::select! {
            biased;
            begun = reader.begin() => begun?,
            () = idle(&self.in_flight, self.shared.context.limits.idle_timeout) => return Err(ReadError::Idle),
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
        let place = match Opcode::from_code(head.opcode) {
            // They ask GCS for nothing, and an attach ends what holds a place for no use.
            Some(
                Opcode::Hello | Opcode::Ping | Opcode::Cancel | Opcode::AttachUpload | Opcode::DetachUpload,
            ) => None,
            _ => match self.caller.rule(&self.shared.context) {
                Ok(Some(rule)) => Some(rule.begin().await),
                _ => None,
            },
        };
        let room = self.memory.take(room).await;
        reader.excuse(since.elapsed());
        let frame = reader.frame().await?;
        Ok(Some(Begun {
            frame,
            permit,
            place,
            room,
        }))
    }

    /// Answers a client of another protocol in it. Where a request was read before, such bytes are those of a body.
    async fn refer(&self, foreign: Foreign) {
        let new = self.shared.strangers.is_new(self.client.origin());
        self.client.foreign(foreign.name(), new);
        self.shared.ledger.stats().refused(Stats::OTHER_PROTOCOL);
        match foreign.answer() {
            Ok(answer) => {
                // A client that is gone needs no answer.
                let _ = self.frames.foreign(answer).await;
            }
            Err(failure) => self.lost(failure).await,
        }
    }

    /// Tells the client why no further request can be found in its bytes.
    async fn lost(&self, failure: Failure) {
        self.client.lost(&failure);
        let replier = Replier::to_nothing(self.frames.clone());
        // A client that is gone needs no reply.
        let _ = replier.end(&Err(failure), true, None).await;
    }

    /// Answers a request, or starts the task that does.
    async fn request(&mut self, begun: Begun, reader: Reader) -> Next {
        let Begun {
            frame,
            permit,
            place,
            room,
        } = begun;
        let head = frame.head;
        self.spoken = true;
        self.before_request = None;
        let Some(reserved) = self.in_flight.reserve(head.sequence) else {
            // Under its sequence, this would be the answer of the request in flight.
            return Next::Lost(reader, Box::new(refusal::duplicate(&head)));
        };
        let replier = Replier::to(self.frames.clone(), &head);
        let under_way = self.shared.ledger.enter(self.client.clone(), &head);
        let mut job = Job::new(
            self.client.clone(),
            under_way,
            &head,
            replier,
            reserved,
            (permit, place),
            room,
        );
        // Args beyond the limit are still to be read.
        let unread = if frame.args.is_none() { head.args_len } else { 0 };
        let body = Body::new(reader, &head, unread);
        if self.shared.shutdown.drain.is_cancelled() {
            job.finish(Err(refusal::draining()), true).await;
            return Next::Close(Some(body.into_reader()));
        }
        let shared = self.shared.clone();
        let (work, repeatable) = match self.admit(&frame, &mut job) {
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
    fn admit(&mut self, frame: &RequestFrame, job: &mut Job) -> Result<(Work, bool), Failure> {
        let context = &self.shared.context;
        let rule = self.caller.rule(context);
        let mut request = refusal::read_request(frame, context.limits.max_args, rule.as_ref().err())?;
        job.about(Subject::of(&request, &context.sealer).map(Arc::new));
        let rule = match request.opcode() {
            Opcode::Hello => None,
            _ => rule?,
        };
        let decided = match &rule {
            None => Ok(None),
            Some(rule) => {
                self.caller.settle(context, rule);
                let body_len = (!frame.head.streamed()).then_some(frame.head.body_len);
                let (decided, permitted) = decide(rule, &mut request, body_len);
                job.decided(decided);
                permitted.map(|()| Some(rule.clone()))
            }
        };
        let repeatable = request.is_repeatable();
        let work = Work::new(request, frame.head.upload, &mut self.uploads, decided)?;
        Ok((work, repeatable))
    }

    /// Answers a request that needs no call.
    async fn answer(&mut self, job: Job, local: Local, body: Body) -> Next {
        let mut outcome = local.run(&self.shared.context, &mut self.caller);
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

/// What to do when there is no further frame in the client's bytes.
fn unreadable(error: ReadError, reader: Reader) -> Next {
    match refusal::unreadable(&error) {
        Some(failure) => Next::Lost(reader, Box::new(failure)),
        None => Next::Gone(match error {
            ReadError::Broken(error) => End::Broke(error),
            ReadError::Silent => End::Silent,
            _ => End::Idle,
        }),
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
