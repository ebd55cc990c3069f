//! The task that owns the upload, its writer and its bytes.
//!
//! It asks [`Recovery`] for the next step, takes it, and reports the outcome back. Nothing else touches the upload.

use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::{Error, Last, OpenUpload, Progress, Token, UnreliableWriter as _};
use super::abort::{self, Aborted};
use super::checkpoint::Checkpoint;
use super::current::CurrentUpload;
use super::error::UploadError;
use super::given_up::GivenUp;
use super::options::RetryPolicy;
use super::recovery::{Reaction, Recovery, Stage, Step};
use super::report::Report;
use super::retry::{Attempts, after};
use super::supply::Supply;
use gcsd_types::{Crc32c, ObjectInfo};
use gcsd_wire::{Kind, Retry};

/// How long an object that is there is kept waiting, at most, for the uploads before it that were given up and could not be
/// cancelled at the time.
const TIDYING: Duration = Duration::from_secs(10);

/// What the task returns.
pub(super) struct TaskOutput {
    pub(super) result: Result<ObjectInfo, UploadError>,
    /// Cancels the upload at GCS. Does nothing until it is polled.
    pub(super) cancel: Pin<Box<dyn Future<Output = Aborted> + Send>>,
}

/// Drives one upload to its end.
pub(super) struct Engine<U: OpenUpload, S> {
    pub(super) open: U,
    pub(super) supply: S,
    pub(super) policy: RetryPolicy,
    pub(super) recovery: Recovery,
    pub(super) current: Option<CurrentUpload<U::Writer>>,
    /// Uploads that were given up, and could not be cancelled.
    pub(super) discarded: Vec<Token>,
    /// How the object ends, once that has been sent.
    pub(super) last: Option<Last>,
    /// The failure that made it look.
    pub(super) doubt: Option<Error>,
    pub(super) reports: watch::Sender<Report>,
    pub(super) stop: CancellationToken,
}

impl<U: OpenUpload, S: Supply> Engine<U, S> {
    /// Runs until the object exists and is verified, nothing helps any more, or it is stopped.
    pub(super) async fn run(mut self) -> TaskOutput {
        let mut attempts = Attempts::new(&self.policy, self.policy.budget);
        let result = self.drive(&mut attempts).await;
        if result.is_ok() {
            let end = after(TIDYING.min(self.policy.abort_budget));
            let discarded = std::mem::take(&mut self.discarded);
            let tidied = abort::tidy(&mut self.open, discarded, &self.policy, end);
            let _stopped = self.stop.run_until_cancelled(tidied).await;
        }
        let cancel: Pin<Box<dyn Future<Output = Aborted> + Send>> = match &result {
            // Attaching once more would take the upload from the client that has it now.
            Err(UploadError::TakenOver(error)) => {
                let error = Some(error.clone());
                Box::pin(ready(Aborted::Unknown { error }))
            }
            _ => Box::pin(abort::cancel(
                self.open,
                self.current,
                self.discarded,
                self.recovery.may_have_ended().then_some(self.last),
                self.policy,
            )),
        };
        TaskOutput { result, cancel }
    }

    async fn drive(&mut self, attempts: &mut Attempts) -> Result<ObjectInfo, UploadError> {
        self.publish();
        loop {
            if self.stop.is_cancelled() {
                return Err(UploadError::Stopped);
            }
            self.supply.absorb();
            let view = self.supply.view();
            let step = self.recovery.next(self.stage(), &view, self.supply.sizes())?;
            let outcome = match step {
                Step::Wait => {
                    attempts.idle();
                    if !until(&self.stop, self.supply.more()).await? {
                        return Err(UploadError::Stopped);
                    }
                    attempts.busy();
                    continue;
                }
                Step::Verify(object) => {
                    let crc32c = self.whole().await?;
                    match self.recovery.verify(object, view.end, crc32c)? {
                        Some(object) => return Ok(object),
                        None => continue,
                    }
                }
                Step::Look => {
                    if let Some((error, reaction)) = self.look(attempts.left(), &view).await? {
                        self.react(attempts, error, reaction, false).await?;
                    }
                    continue;
                }
                Step::Start => self.start().await?,
                Step::Attach => self.attach().await?,
                Step::Query => self.request(Request::Query).await?,
                Step::Finish => {
                    let crc32c = self.whole().await?;
                    self.supply.check()?;
                    let total = view.end;
                    self.request(Request::Finish(Last { total, crc32c })).await?
                }
                Step::Write { offset, len, last } => {
                    let last = match last {
                        true => Some(Last {
                            total: view.end,
                            crc32c: self.whole().await?,
                        }),
                        false => None,
                    };
                    self.request(Request::Write { offset, len, last }).await?
                }
            };
            if outcome.progressed {
                attempts.progressed();
            }
            if let Some(error) = outcome.error {
                match self.wait(attempts, error).await {
                    Err(UploadError::GivenUp(given_up @ GivenUp::Exhausted { .. })) => {
                        self.last_look(given_up).await?;
                    }
                    waited => waited?,
                }
            }
            self.supply.release(self.recovery.released());
            self.publish();
        }
    }

    fn stage(&self) -> Stage {
        match &self.current {
            None => Stage::Nothing,
            Some(CurrentUpload { writer: None, .. }) => Stage::Detached,
            Some(CurrentUpload { writer: Some(_), .. }) => Stage::Attached,
        }
    }

    /// The checksum of the whole object.
    pub(super) async fn whole(&mut self) -> Result<Crc32c, UploadError> {
        until(&self.stop, self.supply.whole()).await?
    }

    /// Starts an upload. A stop does not cut it off at once: an upload that starts unnoticed could not be cancelled.
    async fn start(&mut self) -> Result<Outcome, UploadError> {
        let patience = async {
            self.stop.cancelled().await;
            sleep(self.policy.abort_budget).await;
        };
        let started = tokio::select! {
            biased;
            started = self.open.start() => started,
            () = patience => return Err(UploadError::Stopped),
        };
        Ok(match started {
            Ok((writer, token)) => {
                self.current = Some(CurrentUpload {
                    token,
                    writer: Some(writer),
                });
                self.recovery.started();
                Outcome::done(true)
            }
            Err(error) => Outcome::failed(error),
        })
    }

    async fn attach(&mut self) -> Result<Outcome, UploadError> {
        let Some(current) = &mut self.current else {
            return Ok(Outcome::done(false));
        };
        match until(&self.stop, self.open.attach(&current.token)).await? {
            Ok(writer) => {
                current.writer = Some(writer);
                self.recovery.attached();
                Ok(Outcome::done(false))
            }
            Err(error) => Ok(Outcome::failed(error)),
        }
    }

    /// One request on the upload.
    async fn request(&mut self, request: Request) -> Result<Outcome, UploadError> {
        let Some(mut writer) = self.current.as_mut().and_then(|current| current.writer.take()) else {
            return Ok(Outcome::done(false));
        };
        let answer = match request {
            Request::Query => until(&self.stop, writer.query()).await?,
            Request::Finish(last) => {
                self.ending(last);
                until(&self.stop, writer.finish(last)).await?
            }
            Request::Write { offset, len, last } => {
                let body = until(&self.stop, self.supply.body(offset, len)).await??;
                self.recovery.sending(offset + len);
                if let Some(last) = last {
                    self.ending(last);
                }
                until(&self.stop, writer.write_at(offset, body, last)).await?
            }
        };
        let damaged = match (&answer, request) {
            // A finished object is judged as a whole: GCS may have had the damaged bytes intact already.
            (Ok(progress), Request::Write { offset, len, .. }) if progress.object.is_none() => {
                self.damaged(progress, offset, len)
            }
            // The daemon has seen it, and GCS may have a part of it.
            (Err(error), Request::Write { .. })
                if error.is(Kind::BodyDamaged) && error.retry() == Retry::Restart =>
            {
                Some(error.clone())
            }
            _ => None,
        };
        if let Some(damaged) = damaged {
            self.supply.check()?;
            return self.discard(writer, damaged).await;
        }
        if let Some(current) = &mut self.current {
            current.writer = Some(writer);
        }
        let progress = match answer {
            Ok(progress) => progress,
            Err(error) => {
                if request.is_end() && error.may_have_happened() {
                    self.recovery.end_unanswered();
                }
                // If the source changed, that is why it failed.
                self.supply.check()?;
                return Ok(Outcome::failed(error));
            }
        };
        if progress.object.is_some() {
            let resource = self
                .current
                .as_ref()
                .and_then(|current| current.writer.as_ref()?.resource());
            self.reports.send_modify(|report| report.resource = resource);
        }
        let progressed = self.recovery.succeeded(&progress)?;
        // A query may tell nothing new; a write must commit something.
        let error = (!progressed && !matches!(request, Request::Query)).then_some(Error::NoProgress);
        Ok(Outcome { progressed, error })
    }

    /// The error if other bytes were received than were sent.
    fn damaged(&mut self, progress: &Progress, offset: u64, len: u64) -> Option<Error> {
        let sent = self.supply.sum(offset, len);
        let received = Some(progress.received_crc32c);
        // After an early answer, not all bytes were received, and nothing is known of their checksum.
        if progress.received < len || sent == received {
            return None;
        }
        Some(Error::BodyDamaged {
            offset,
            end: offset + len,
            sent,
            received: progress.received_crc32c,
        })
    }

    /// Gives up an upload that holds damaged bytes, since what GCS has persisted cannot be overwritten.
    async fn discard(&mut self, mut writer: U::Writer, damaged: Error) -> Result<Outcome, UploadError> {
        // Only to be tidy: nobody will finish it, and GCS forgets it after a week.
        let cancelled = until(&self.stop, writer.cancel()).await?;
        if cancelled.is_err()
            && let Some(current) = &self.current
        {
            self.discarded.push(current.token.clone());
        }
        Ok(Outcome::failed(damaged))
    }

    /// The request that makes the object is about to be sent.
    fn ending(&mut self, last: Last) {
        self.recovery.ending();
        self.last = Some(last);
    }

    /// Reacts to a failure, and waits before the next attempt.
    async fn wait(&mut self, attempts: &mut Attempts, error: Error) -> Result<(), UploadError> {
        let before = self.recovery.committed();
        let view = self.supply.view();
        let reaction = self.recovery.failed(self.stage(), &error, &view)?;
        if matches!(reaction, Reaction::Look | Reaction::Restart) {
            self.doubt = Some(error.clone());
            attempts.begin();
        }
        if reaction == Reaction::Look {
            return Ok(());
        }
        let progressed = reaction != Reaction::Restart && self.recovery.committed() > before;
        self.react(attempts, error, reaction, progressed).await
    }

    async fn react(
        &mut self,
        attempts: &mut Attempts,
        error: Error,
        reaction: Reaction,
        progressed: bool,
    ) -> Result<(), UploadError> {
        match reaction {
            Reaction::Again | Reaction::Look => {}
            Reaction::Reconnect => {
                if let Some(current) = &mut self.current {
                    current.writer = None;
                }
            }
            Reaction::Restart => self.current = None,
        }
        if progressed {
            attempts.progressed();
        }
        let delay = match progressed && self.recovery.is_settled() {
            // GCS took a part, and says how much: there is no need to wait.
            true => Duration::ZERO,
            false => attempts.failed(&error)?,
        };
        self.reports.send_modify(|report| report.count(&error, reaction));
        until(&self.stop, sleep(delay)).await
    }

    /// Updates the report.
    fn publish(&self) {
        let committed = self.recovery.committed();
        let checkpoint = self.current.as_ref().map(|current| {
            let (offset, crc32c) = self.supply.resume_point(committed);
            Checkpoint {
                token: current.token.clone(),
                offset,
                crc32c,
            }
        });
        self.reports.send_if_modified(|report| {
            let changed = report.committed != committed || report.checkpoint != checkpoint;
            report.committed = committed;
            report.checkpoint = checkpoint;
            changed
        });
    }
}

/// Does `work`, or drops it when the task is stopped.
pub(super) async fn until<T>(
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, UploadError> {
    stop.run_until_cancelled(work).await.ok_or(UploadError::Stopped)
}

/// A request on an open upload.
#[derive(Debug, Clone, Copy)]
enum Request {
    Query,
    Finish(Last),
    Write {
        offset: u64,
        len: u64,
        last: Option<Last>,
    },
}

impl Request {
    /// Whether it makes the object.
    fn is_end(&self) -> bool {
        match self {
            Self::Query => false,
            Self::Finish(_) => true,
            Self::Write { last, .. } => last.is_some(),
        }
    }
}

/// The outcome of a step.
struct Outcome {
    progressed: bool,
    error: Option<Error>,
}

impl Outcome {
    fn done(progressed: bool) -> Self {
        Self {
            progressed,
            error: None,
        }
    }

    fn failed(error: Error) -> Self {
        Self {
            progressed: false,
            error: Some(error),
        }
    }
}
