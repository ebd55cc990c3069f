//! An upload as a pure state machine: which requests it permits, and what GCS's answers mean. No I/O.
//!
//! Of the four facts of a byte (received, sent, committed, finished) it holds the last two: `committed` is
//! only ever what GCS reported.
//!
//! ```text
//!                 write / finish failed, and GCS may have seen it
//!            +-------------------------------------------------+
//!            |                                                 v
//!         settled <---------------------------------------- unsettled <--- attached
//!   started ^ |             a query succeeded                  |
//!             |                                                |
//!             +----> finished / cancelled / lost <-------------+
//! ```

use super::error::{Call, Error, ErrorKind, Recovery};
use super::resource::Object;
use gcsd_types::{CHUNK_ALIGNMENT, Crc32c, ObjectInfo};

/// The largest end that a range can have: GCS counts in signed 64-bit integers.
const MAX_END: u64 = i64::MAX as u64;

/// Which bytes of an object a write carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteRange {
    /// Where the first byte goes.
    pub offset: u64,
    /// How many bytes there are. A range that is not the last must end on a multiple of [`CHUNK_ALIGNMENT`], and have at
    /// least as many bytes.
    ///
    /// `None` where only the end of the body tells: that end is then the object's.
    pub len: Option<u64>,
    /// The object's size, if this is its last range.
    pub total: Option<u64>,
    /// The checksum of the whole object, in the last range: GCS makes no object that differs.
    pub object_crc32c: Option<Crc32c>,
}

/// What GCS says of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionStatus {
    /// The upload is unfinished.
    Active {
        /// Bytes that GCS has persisted. `None` where it named no range: nothing is known to be persisted, which must be
        /// taken as 0 (google-cloud-cpp#7877).
        committed: Option<u64>,
    },
    /// The object is there.
    Finished(Object),
}

/// What became of a session that was to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelOutcome {
    /// GCS deleted it.
    Cancelled,
    /// The object was finished before.
    Finished(Object),
    /// GCS knows no such session: cancelled before, finished before, or expired.
    Unknown,
}

/// Why an upload does not permit a request. A closed set: code that gives each a meaning must cover all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is unknown what arrived.
    #[error(
        "it is unknown what arrived of an earlier request: send QueryUpload, then go on from its 'committed'"
    )]
    Unsettled,
    /// The upload is finished, cancelled or lost.
    #[error("the upload has ended")]
    Ended,
    /// The range starts beyond what is committed.
    #[error("the range starts at {offset}, and only {committed} bytes are committed")]
    Gap {
        /// Where the range starts.
        offset: u64,
        /// The latest offset at which it could start.
        committed: u64,
    },
    /// The range is not the last, and does not end on a multiple of 256 KiB.
    #[error("the range ends at {end}: one that is not the last must end on a multiple of 262144")]
    Alignment {
        /// Where the range ends.
        end: u64,
    },
    /// The range is not the last, and is shorter than 256 KiB: GCS refuses it.
    #[error("the range has {len} bytes: one that is not the last must have at least 262144")]
    Short {
        /// How long it is.
        len: u64,
    },
    /// The range is empty, and not the last.
    #[error("a range that is not the last must hold at least one byte")]
    Empty,
    /// The last range does not end at the object's size.
    #[error("the range ends at {end}, and 'total' says {total}")]
    Total {
        /// Where the range ends.
        end: u64,
        /// The object's size as the request gives it.
        total: u64,
    },
    /// The range ends beyond the largest offset.
    #[error("the range reaches beyond 2^63 - 1")]
    TooLong,
}

/// What is wrong with GCS's answer to a request on an upload. A closed set, as [`Refusal`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Anomaly {
    /// GCS holds less than it should after the request.
    #[error("GCS holds {committed} bytes after the request: go on from there")]
    Incomplete {
        /// What it holds.
        committed: u64,
    },
    /// GCS reports less than it did before.
    #[error("GCS reports {now} bytes, and had reported {before}: bytes that it had confirmed are lost")]
    Regress {
        /// What it reported before.
        before: u64,
        /// What it reports now.
        now: u64,
    },
    /// A 308 had no `Range`, though bytes were committed: what it means is unknown.
    #[error("GCS answered 308 without saying what it holds, and had reported {before} bytes")]
    NoRange {
        /// What it reported before.
        before: u64,
    },
    /// The finished object has another size than the request said.
    #[error("GCS finished the object with {size} bytes, and the request said {total}")]
    Size {
        /// The object's size.
        size: u64,
        /// What the request said.
        total: u64,
    },
}

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// What is committed is known exactly.
    Settled,
    /// More may be committed than is known.
    Unsettled,
    Finished(ObjectInfo),
    Cancelled,
    /// GCS does not have the session any more.
    Lost,
}

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    phase: Phase,
    committed: u64,
}

impl Upload {
    /// One that GCS has just started.
    pub(super) fn started() -> Self {
        Self {
            phase: Phase::Settled,
            committed: 0,
        }
    }

    /// One that was started elsewhere.
    pub(super) fn attached() -> Self {
        Self {
            phase: Phase::Unsettled,
            committed: 0,
        }
    }

    /// The last that GCS reported as persisted: a lower bound.
    pub(super) fn committed(&self) -> u64 {
        self.committed
    }

    /// Whether it is finished, cancelled or lost.
    pub(super) fn has_ended(&self) -> bool {
        !matches!(self.phase, Phase::Settled | Phase::Unsettled)
    }

    /// The object, once it is finished.
    pub(super) fn object(&self) -> Option<ObjectInfo> {
        match self.phase {
            Phase::Finished(object) => Some(object),
            _ => None,
        }
    }

    /// Whether a range may be written now.
    pub(super) fn check_write(&self, range: &WriteRange) -> Result<(), Refusal> {
        self.check_open()?;
        let WriteRange { offset, total, .. } = *range;
        match range.len {
            Some(len) => {
                let end = offset
                    .checked_add(len)
                    .filter(|end| *end <= MAX_END)
                    .ok_or(Refusal::TooLong)?;
                match total {
                    Some(total) if total != end => return Err(Refusal::Total { end, total }),
                    Some(_) => {}
                    None if len == 0 => return Err(Refusal::Empty),
                    None if !end.is_multiple_of(CHUNK_ALIGNMENT) => return Err(Refusal::Alignment { end }),
                    None if len < CHUNK_ALIGNMENT => return Err(Refusal::Short { len }),
                    None => {}
                }
            }
            None if offset.max(total.unwrap_or(0)) > MAX_END => return Err(Refusal::TooLong),
            None => {
                if let Some(total) = total.filter(|total| *total < offset) {
                    return Err(Refusal::Total { end: offset, total });
                }
            }
        }
        self.check_gap(offset)
    }

    fn check_gap(&self, offset: u64) -> Result<(), Refusal> {
        if offset > self.committed {
            return Err(Refusal::Gap {
                offset,
                committed: self.committed,
            });
        }
        Ok(())
    }

    /// Whether the upload may be finished now.
    pub(super) fn check_finish(&self) -> Result<(), Refusal> {
        self.check_open()
    }

    fn check_open(&self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Settled => Ok(()),
            Phase::Unsettled => Err(Refusal::Unsettled),
            Phase::Finished(_) | Phase::Cancelled | Phase::Lost => Err(Refusal::Ended),
        }
    }

    /// Takes GCS's answer to a range of which `received` bytes came. `Ok` means that all of it is committed, and the
    /// object finished if it was the last.
    pub(super) fn after_write(
        &mut self,
        range: &WriteRange,
        received: u64,
        status: &SessionStatus,
    ) -> Result<(), Anomaly> {
        let end = range.offset.saturating_add(range.len.unwrap_or(received));
        let total = match range.len {
            Some(_) => range.total,
            // GCS takes the end of the body for the object's.
            None => Some(range.total.unwrap_or(end)),
        };
        self.after_bytes(end, total, status)
    }

    /// Takes GCS's answer to a finish. `Ok` means that the object is finished.
    pub(super) fn after_finish(&mut self, total: u64, status: &SessionStatus) -> Result<(), Anomaly> {
        self.after_bytes(total, Some(total), status)
    }

    fn after_bytes(
        &mut self,
        wanted: u64,
        total: Option<u64>,
        status: &SessionStatus,
    ) -> Result<(), Anomaly> {
        match status {
            SessionStatus::Finished(object) => {
                let size = object.info.size;
                self.finished(object.info);
                match total {
                    Some(total) if total != size => Err(Anomaly::Size { size, total }),
                    _ => Ok(()),
                }
            }
            // Nothing known to be persisted, and something was before: what it means is unknown.
            SessionStatus::Active { committed: None } if self.committed > 0 => Err(self.no_range()),
            SessionStatus::Active { committed: now } => {
                self.advance(now.unwrap_or(0))?;
                if total.is_some() || self.committed < wanted {
                    return Err(Anomaly::Incomplete {
                        committed: self.committed,
                    });
                }
                Ok(())
            }
        }
    }

    /// Takes GCS's answer to a query, which settles the upload.
    pub(super) fn after_query(&mut self, status: &SessionStatus) -> Result<(), Anomaly> {
        match status {
            SessionStatus::Finished(object) => self.finished(object.info),
            // What has ended here does not come back to life, whatever GCS still says of its session.
            SessionStatus::Active { .. } if self.has_ended() => {}
            // As behind a write: one such answer is no proof that confirmed bytes are lost.
            SessionStatus::Active { committed: None } if self.committed > 0 => return Err(self.no_range()),
            SessionStatus::Active { committed: now } => {
                self.advance(now.unwrap_or(0))?;
                self.phase = Phase::Settled;
            }
        }
        Ok(())
    }

    /// Takes GCS's answer to a cancel.
    pub(super) fn after_cancel(&mut self, outcome: &CancelOutcome) {
        match outcome {
            CancelOutcome::Cancelled => self.ended(Phase::Cancelled),
            CancelOutcome::Finished(object) => self.finished(object.info),
            CancelOutcome::Unknown => self.ended(Phase::Lost),
        }
    }

    /// Takes the failure of a call.
    pub(super) fn after_error(&mut self, error: &Error) {
        match error.recovery() {
            // GCS does not have the session any more, or it holds bytes that are not the sender's.
            Recovery::Restart => self.ended(Phase::Lost),
            _ if error.kind() == ErrorKind::SessionCancelled => self.ended(Phase::Lost),
            // A cancel may be repeated, whatever arrived.
            Recovery::Query if error.call() != Some(Call::Cancel) => self.unsettle(),
            Recovery::Query | Recovery::Same | Recovery::Never => {}
        }
    }

    /// GCS has no session any more. An object that was made before stands.
    fn ended(&mut self, phase: Phase) {
        if !matches!(self.phase, Phase::Finished(_)) {
            self.phase = phase;
        }
    }

    fn finished(&mut self, object: ObjectInfo) {
        self.committed = object.size;
        self.phase = Phase::Finished(object);
    }

    fn no_range(&mut self) -> Anomaly {
        self.phase = Phase::Unsettled;
        Anomaly::NoRange {
            before: self.committed,
        }
    }

    fn advance(&mut self, now: u64) -> Result<(), Anomaly> {
        if now < self.committed {
            self.phase = Phase::Unsettled;
            return Err(Anomaly::Regress {
                before: self.committed,
                now,
            });
        }
        self.committed = now;
        Ok(())
    }

    /// It is unknown what arrived of a request.
    pub(super) fn unsettle(&mut self) {
        if self.phase == Phase::Settled {
            self.phase = Phase::Unsettled;
        }
    }
}

#[cfg(test)]
#[path = "upload_tests.rs"]
mod tests;
