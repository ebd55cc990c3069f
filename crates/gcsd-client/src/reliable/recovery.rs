//! What to do next: the recovery as a pure state machine. No I/O, no clock.
//!
//! It takes what GCS answered and how requests failed, and returns the next request. It holds nothing that can be
//! derived: whether an upload is open is known from the [`Stage`], what can be sent from the [`View`].
//!
//! | after a failure of class | |
//! | --- | --- |
//! | `never` | the end; after `fenced`, another client has the upload; where the answer to the object's end was lost, a look first |
//! | `same` | the same request again |
//! | `query` | a query, then continue from what is committed |
//! | `restart` | a new upload from byte 0, if byte 0 is still held; where the end of the object had been sent, a look first |
//! | `reconnect` | attach by token, on another connection; then as `query` |

use super::super::sight::Whose;
use super::super::{Error, Progress};
use super::error::UploadError;
use super::plan::{Plan, Sizes, View, plan};
use gcsd_types::{Crc32c, ObjectInfo};
use gcsd_wire::{Kind, Layer, Retry, Status};

/// What the task has of the upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// No upload.
    Nothing,
    /// A token.
    Detached,
    /// A token, and a writer that uses it.
    Attached,
}

/// The next request, or what to do instead of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Start,
    Attach,
    Query,
    Write {
        offset: u64,
        len: u64,
        last: bool,
    },
    Finish,
    /// Wait for the producer to bring more.
    Wait,
    /// Look whether the object was made.
    Look,
    /// The object exists: compare it with what was written.
    Verify(ObjectInfo),
}

/// What to do with the upload after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Keep it.
    Again,
    /// Drop the writer, and attach again.
    Reconnect,
    /// Drop the token too, and start again.
    Restart,
    /// Nothing yet: the failure counts only if the object was not made.
    Look,
}

/// What is known of the upload at GCS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Recovery {
    /// What GCS last reported.
    committed: u64,
    /// That is all that GCS holds, so that writing can continue there.
    settled: bool,
    /// The end of everything that was sent into this upload, which GCS cannot be ahead of; `None` if another process sent
    /// some of it.
    sent: Option<u64>,
    finished: Option<ObjectInfo>,
    /// The object did not verify once. GCS is asked again, so that a damaged reply condemns no good object.
    doubted: bool,
    /// The end of the object has been sent, so that it may exist.
    end_sent: bool,
    /// An answer to that was lost.
    end_unsure: bool,
    /// There was a failure that means something else if the object exists.
    looking: bool,
    /// The upload of an earlier process was lost before its end was known here: whether that process made the object can be
    /// looked at only then.
    look_owed: bool,
    restarts: u32,
    max_restarts: u32,
}

impl Recovery {
    /// For an upload that has not been started.
    pub(super) fn new(max_restarts: u32) -> Self {
        Self {
            committed: 0,
            settled: true,
            sent: Some(0),
            finished: None,
            doubted: false,
            end_sent: false,
            end_unsure: false,
            looking: false,
            look_owed: false,
            restarts: 0,
            max_restarts,
        }
    }

    /// For one that another process started, and of which GCS had reported `committed`.
    pub(super) fn resumed(committed: u64, max_restarts: u32) -> Self {
        Self {
            committed,
            settled: false,
            sent: None,
            ..Self::new(max_restarts)
        }
    }

    pub(super) fn committed(&self) -> u64 {
        self.committed
    }

    /// The end of the bytes that are no longer needed.
    pub(super) fn released(&self) -> u64 {
        match self.finished {
            // The producer may have to get there yet, only to be compared.
            Some(object) if self.sent.is_none() => object.size.max(self.committed),
            _ => self.committed,
        }
    }

    /// Whether writing can continue from [`committed`](Self::committed).
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// The next step.
    pub(super) fn next(&self, stage: Stage, view: &View, sizes: Sizes) -> Result<Step, UploadError> {
        let size = view.end;
        if let Some(declared) = view.declared.filter(|declared| match view.ended {
            true => size != *declared,
            false => size > *declared,
        }) {
            return Err(UploadError::Size { size, declared });
        }
        if self.looking || (self.look_owed && view.ended) {
            return Ok(Step::Look);
        }
        match stage {
            Stage::Nothing if self.finished.is_none() => return Ok(Step::Start),
            // A finished object needs no writer.
            Stage::Detached if self.finished.is_none() => return Ok(Step::Attach),
            Stage::Nothing | Stage::Detached | Stage::Attached => {}
        }
        match self.finished {
            Some(object) if view.ended => return Ok(Step::Verify(object)),
            // It is ours, once the producer has caught up with the process before.
            Some(_) if self.sent.is_none() => return Ok(Step::Wait),
            Some(object) => return Err(UploadError::FinishedElsewhere { object }),
            None if !self.settled => return Ok(Step::Query),
            None => {}
        }
        let offset = self.committed;
        if offset < view.from {
            // It was finished before, and is not now.
            let (before, now) = (view.from, offset);
            return Err(UploadError::Regress { before, now });
        }
        if offset > view.end {
            let (committed, sent) = (offset, view.end);
            return match view.ended {
                true => Err(UploadError::Ahead { committed, sent }),
                // The producer began before what is committed, and has to catch up.
                false => Ok(Step::Wait),
            };
        }
        Ok(match plan(offset, view, sizes) {
            Plan::Wait => Step::Wait,
            Plan::Write { len, last } => Step::Write { offset, len, last },
            Plan::Finish => Step::Finish,
        })
    }

    /// There is a new upload, or will be, with nothing in it.
    pub(super) fn started(&mut self) {
        self.committed = 0;
        self.settled = true;
        self.sent = Some(0);
        self.finished = None;
        self.doubted = false;
    }

    /// A writer attached to the upload: how much GCS holds is unknown.
    pub(super) fn attached(&mut self) {
        self.settled = false;
    }

    /// Bytes up to `end` are about to be sent.
    pub(super) fn sending(&mut self, end: u64) {
        self.sent = self.sent.map(|sent| sent.max(end));
    }

    /// The end of the object is about to be sent.
    pub(super) fn ending(&mut self) {
        self.end_sent = true;
    }

    /// The answer to the end of the object was lost.
    pub(super) fn end_unanswered(&mut self) {
        self.end_unsure = true;
    }

    /// Whether the object may have been made by a request whose answer was lost.
    pub(super) fn is_end_unsure(&self) -> bool {
        self.end_unsure
    }

    /// The object was found, after everything else was given up.
    pub(super) fn found(&mut self, object: ObjectInfo) {
        self.finished = Some(object);
    }

    /// Whether the object may have been made, by this process or by the one before.
    pub(super) fn may_have_ended(&self) -> bool {
        self.end_sent || self.look_owed || self.sent.is_none()
    }

    /// A request succeeded. Returns whether more is committed than before.
    pub(super) fn succeeded(&mut self, progress: &Progress) -> Result<bool, UploadError> {
        if let Some(object) = progress.object {
            self.finished = Some(object);
            return Ok(true);
        }
        let before = self.committed;
        let grown = self.learn(progress.committed)?;
        if progress.committed < before {
            let now = progress.committed;
            return Err(UploadError::Regress { before, now });
        }
        self.settled = true;
        // GCS answers for a finished upload with its object, for a week.
        self.end_unsure = false;
        Ok(grown)
    }

    /// GCS reported `committed`, now or earlier.
    fn learn(&mut self, committed: u64) -> Result<bool, UploadError> {
        if let Some(sent) = self.sent.filter(|sent| committed > *sent) {
            return Err(UploadError::Ahead { committed, sent });
        }
        let grown = committed > self.committed;
        self.committed = self.committed.max(committed);
        Ok(grown)
    }

    /// A request failed. `stage` is what there was while it ran.
    pub(super) fn failed(
        &mut self,
        stage: Stage,
        error: &Error,
        view: &View,
    ) -> Result<Reaction, UploadError> {
        if error.is(Kind::Fenced) {
            return Err(UploadError::TakenOver(error.clone()));
        }
        // An end that comes late can only be compared with what is known as a whole.
        let looks = view.ended && self.may_have_ended();
        if error.retry() == Retry::Never {
            // A first refusal says by itself that nothing was made; that of a repeat does not.
            if looks
                && (self.end_unsure || self.sent.is_none() || stage == Stage::Nothing)
                && is_about_gcs(error)
            {
                self.looking = true;
                return Ok(Reaction::Look);
            }
            return Err(UploadError::refused(error.clone()));
        }
        if stage == Stage::Nothing {
            // Nothing was started yet, so nothing can be in doubt.
            return Ok(Reaction::Again);
        }
        if let Some(committed) = error.committed() {
            self.learn(committed)?;
        }
        match error.retry() {
            Retry::Never | Retry::Same => Ok(Reaction::Again),
            Retry::Query => {
                // Only `incomplete` says how much GCS holds after the request.
                self.settled = error.is(Kind::Incomplete) && error.committed().is_some();
                self.end_unsure &= !self.settled;
                Ok(Reaction::Again)
            }
            Retry::Reconnect => {
                self.settled = false;
                Ok(Reaction::Reconnect)
            }
            Retry::Restart if looks => {
                self.looking = true;
                Ok(Reaction::Look)
            }
            Retry::Restart => {
                self.look_owed |= self.may_have_ended();
                self.restart(error, view)
            }
        }
    }

    /// It was looked whether the object was made, because of `error`. Returns how to react to that, where it was put off.
    pub(super) fn looked(
        &mut self,
        whose: Whose,
        error: &Error,
        view: &View,
    ) -> Result<Option<Reaction>, UploadError> {
        let owed = !std::mem::take(&mut self.looking);
        self.look_owed = false;
        match whose {
            Whose::Ours(object) => {
                self.finished = Some(object.info);
                Ok(None)
            }
            Whose::NotMade if owed => Ok(None),
            Whose::NotMade if error.retry() == Retry::Restart => self.restart(error, view).map(Some),
            Whose::NotMade => Err(UploadError::refused(error.clone())),
            Whose::Unknown(seen) => {
                let (error, seen) = (error.clone(), Box::new(seen));
                Err(UploadError::Unknown { error, seen })
            }
        }
    }

    /// Only a new upload from byte 0 helps.
    fn restart(&mut self, error: &Error, view: &View) -> Result<Reaction, UploadError> {
        let error = error.clone();
        if view.from > 0 {
            let released = view.from;
            return Err(UploadError::CannotRestart { error, released });
        }
        if self.restarts >= self.max_restarts {
            let restarts = self.restarts;
            return Err(UploadError::TooManyRestarts { error, restarts });
        }
        self.restarts += 1;
        self.started();
        Ok(Reaction::Restart)
    }

    /// Compares the object with what was written. Returns `None` if GCS must be asked once more.
    pub(super) fn verify(
        &mut self,
        object: ObjectInfo,
        size: u64,
        crc32c: Crc32c,
    ) -> Result<Option<ObjectInfo>, UploadError> {
        if object.size == size && object.crc32c == Some(crc32c) {
            return Ok(Some(object));
        }
        if !self.doubted {
            self.doubted = true;
            self.finished = None;
            self.settled = false;
            return Ok(None);
        }
        Err(match object.crc32c {
            None if object.size == size => UploadError::Unverified { object },
            _ => UploadError::Mismatch { object, size, crc32c },
        })
    }
}

/// Whether GCS refused, and not the daemon or this process.
fn is_about_gcs(error: &Error) -> bool {
    error.status().and_then(Status::layer) == Some(Layer::Gcs)
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "recovery_look_tests.rs"]
mod look_tests;

#[cfg(test)]
#[path = "recovery_model.rs"]
mod model;
