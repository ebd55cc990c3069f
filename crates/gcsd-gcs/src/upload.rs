//! An upload as a pure state machine: what may be asked of it, and what GCS's answers mean. No I/O.
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

use gcsd_types::{CHUNK_ALIGNMENT, ObjectInfo};

/// The largest end that a range can have: GCS counts in signed 64-bit integers.
const MAX_END: u64 = i64::MAX as u64;

/// A range of an upload's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The object's byte that is the range's first.
    pub offset: u64,
    /// Bytes in the range.
    pub len: u64,
    /// The object's size, if the range is its last.
    pub total: Option<u64>,
}

/// What GCS reported of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// It is unfinished; `None` where a 308 had no `Range` header.
    Committed(Option<u64>),
    /// It is finished.
    Finished(ObjectInfo),
}

/// Why a request on an upload is refused before GCS is asked.
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
        /// Where it could start at the latest.
        committed: u64,
    },
    /// The range is not the last, and does not end on a multiple of 256 KiB.
    #[error("the range ends at {end}: one that is not the last must end on a multiple of 262144")]
    Alignment {
        /// Where the range ends.
        end: u64,
    },
    /// The range is not the last, and holds nothing.
    #[error("a range that is not the last must hold at least one byte")]
    Empty,
    /// The range is said to be the last, and does not end at the object's size.
    #[error("the range ends at {end}, and 'total' says {total}")]
    Total {
        /// Where the range ends.
        end: u64,
        /// The object's size as the request gives it.
        total: u64,
    },
    /// The range reaches beyond what an offset can be.
    #[error("the range reaches beyond 2^63 - 1")]
    TooLong,
}

/// Why GCS's answer is not what the request should have led to.
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
    /// What is committed is known to be all that can be.
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
pub struct Upload {
    phase: Phase,
    committed: u64,
}

impl Upload {
    /// One that GCS has just started.
    pub fn started() -> Self {
        Self {
            phase: Phase::Settled,
            committed: 0,
        }
    }

    /// One that was started elsewhere.
    pub fn attached() -> Self {
        Self {
            phase: Phase::Unsettled,
            committed: 0,
        }
    }

    /// The last that GCS reported as persisted: a lower bound.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Whether it is finished, cancelled or lost.
    pub fn has_ended(&self) -> bool {
        !matches!(self.phase, Phase::Settled | Phase::Unsettled)
    }

    /// The object, once it is finished.
    pub fn object(&self) -> Option<ObjectInfo> {
        match self.phase {
            Phase::Finished(object) => Some(object),
            _ => None,
        }
    }

    /// Whether a range may be written now.
    pub fn check_write(&self, range: &Range) -> Result<(), Refusal> {
        self.check_open()?;
        let end = range
            .offset
            .checked_add(range.len)
            .filter(|end| *end <= MAX_END)
            .ok_or(Refusal::TooLong)?;
        match range.total {
            Some(total) if total != end => return Err(Refusal::Total { end, total }),
            Some(_) => {}
            None if range.len == 0 => return Err(Refusal::Empty),
            None if !end.is_multiple_of(CHUNK_ALIGNMENT) => return Err(Refusal::Alignment { end }),
            None => {}
        }
        self.check_gap(range.offset)
    }

    /// Whether all bytes from `offset` on may be written now, however many there are. With `total`, they must end there.
    pub fn check_rest(&self, offset: u64, total: Option<u64>) -> Result<(), Refusal> {
        self.check_open()?;
        if offset.max(total.unwrap_or(0)) > MAX_END {
            return Err(Refusal::TooLong);
        }
        if let Some(total) = total
            && total < offset
        {
            return Err(Refusal::Total { end: offset, total });
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
    pub fn check_finish(&self) -> Result<(), Refusal> {
        self.check_open()
    }

    fn check_open(&self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Settled => Ok(()),
            Phase::Unsettled => Err(Refusal::Unsettled),
            Phase::Finished(_) | Phase::Cancelled | Phase::Lost => Err(Refusal::Ended),
        }
    }

    /// Takes GCS's answer to a range. `Ok` means that all of it is committed, and finished if it was the last.
    pub fn after_write(&mut self, range: &Range, reported: Reported) -> Result<(), Anomaly> {
        let wanted = range.offset.saturating_add(range.len);
        self.after_bytes(wanted, range.total, reported)
    }

    /// Takes GCS's answer to a finish. `Ok` means that the object is finished.
    pub fn after_finish(&mut self, total: u64, reported: Reported) -> Result<(), Anomaly> {
        self.after_bytes(total, Some(total), reported)
    }

    fn after_bytes(&mut self, wanted: u64, total: Option<u64>, reported: Reported) -> Result<(), Anomaly> {
        match reported {
            Reported::Finished(object) => {
                self.finished(object);
                match total {
                    Some(total) if total != object.size => Err(Anomaly::Size {
                        size: object.size,
                        total,
                    }),
                    _ => Ok(()),
                }
            }
            // Nothing known to be persisted, and nothing was before: the range did not arrive.
            Reported::Committed(None) if self.committed > 0 => {
                self.phase = Phase::Unsettled;
                Err(Anomaly::NoRange {
                    before: self.committed,
                })
            }
            Reported::Committed(now) => {
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
    pub fn after_query(&mut self, reported: Reported) -> Result<(), Anomaly> {
        match reported {
            Reported::Finished(object) => self.finished(object),
            // What has ended here does not come back to life, whatever GCS still says of its session.
            Reported::Committed(_) if self.has_ended() => {}
            Reported::Committed(now) => {
                self.advance(now.unwrap_or(0))?;
                self.phase = Phase::Settled;
            }
        }
        Ok(())
    }

    fn finished(&mut self, object: ObjectInfo) {
        self.committed = object.size;
        self.phase = Phase::Finished(object);
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

    /// A request failed in a way that leaves unknown what arrived.
    pub fn unsettle(&mut self) {
        if self.phase == Phase::Settled {
            self.phase = Phase::Unsettled;
        }
    }

    /// GCS cancelled the upload.
    pub fn cancelled(&mut self) {
        self.phase = Phase::Cancelled;
    }

    /// GCS does not have the session any more.
    pub fn lost(&mut self) {
        self.phase = Phase::Lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn range(offset: u64, len: u64, total: Option<u64>) -> Range {
        Range { offset, len, total }
    }

    fn object(size: u64) -> ObjectInfo {
        ObjectInfo {
            size,
            generation: 1,
            ..ObjectInfo::default()
        }
    }

    #[test]
    fn a_range_must_fit_what_gcs_takes() {
        let mut upload = Upload::started();
        assert_eq!(upload.check_write(&range(0, MIB, None)), Ok(()));
        assert_eq!(
            upload.check_write(&range(0, 1, None)),
            Err(Refusal::Alignment { end: 1 })
        );
        assert_eq!(upload.check_write(&range(0, 0, None)), Err(Refusal::Empty));
        assert_eq!(upload.check_write(&range(0, 0, Some(0))), Ok(()));
        assert_eq!(
            upload.check_write(&range(0, 1, Some(2))),
            Err(Refusal::Total { end: 1, total: 2 })
        );
        assert_eq!(
            upload.check_write(&range(MIB, MIB, None)),
            Err(Refusal::Gap {
                offset: MIB,
                committed: 0
            })
        );
        assert_eq!(
            upload.check_write(&range(u64::MAX, 1, None)),
            Err(Refusal::TooLong)
        );
        assert_eq!(
            upload.check_write(&range(1, i64::MAX as u64, None)),
            Err(Refusal::TooLong)
        );
        upload
            .after_write(&range(0, MIB, None), Reported::Committed(Some(MIB)))
            .expect("all committed");
        assert_eq!(
            upload.check_write(&range(MIB - 7, MIB + 7, None)),
            Ok(()),
            "an overlap is allowed"
        );
    }

    #[test]
    fn less_than_asked_is_incomplete_and_stays_settled() {
        let mut upload = Upload::started();
        let all = range(0, MIB, None);
        for reported in [None, Some(0)] {
            let answer = upload.after_write(&all, Reported::Committed(reported));
            assert_eq!(answer, Err(Anomaly::Incomplete { committed: 0 }));
        }
        let answer = upload.after_write(&all, Reported::Committed(Some(MIB / 2)));
        assert_eq!(answer, Err(Anomaly::Incomplete { committed: MIB / 2 }));
        assert_eq!(upload.check_write(&range(MIB / 2, MIB / 2, None)), Ok(()));
        let last = range(MIB / 2, MIB / 2, Some(MIB));
        let answer = upload.after_write(&last, Reported::Committed(Some(MIB)));
        assert_eq!(
            answer,
            Err(Anomaly::Incomplete { committed: MIB }),
            "the last range should have finished it"
        );
        assert_eq!(upload.after_finish(MIB, Reported::Finished(object(MIB))), Ok(()));
        assert!(upload.has_ended());
        assert_eq!(upload.check_finish(), Err(Refusal::Ended));
    }

    #[test]
    fn confirmed_bytes_never_vanish_silently() {
        let mut upload = Upload::started();
        upload
            .after_write(&range(0, MIB, None), Reported::Committed(Some(MIB)))
            .expect("all committed");
        let answer = upload.after_write(&range(MIB, MIB, None), Reported::Committed(None));
        assert_eq!(answer, Err(Anomaly::NoRange { before: MIB }));
        assert_eq!(upload.check_finish(), Err(Refusal::Unsettled));
        let answer = upload.after_query(Reported::Committed(None));
        assert_eq!(answer, Err(Anomaly::Regress { before: MIB, now: 0 }));
        assert_eq!(upload.committed(), MIB);
        assert_eq!(upload.check_finish(), Err(Refusal::Unsettled));
    }

    #[test]
    fn a_query_settles_and_may_find_growth_or_the_end() {
        let mut upload = Upload::attached();
        assert_eq!(upload.check_write(&range(0, MIB, None)), Err(Refusal::Unsettled));
        assert_eq!(upload.after_query(Reported::Committed(Some(MIB))), Ok(()));
        assert_eq!(upload.check_write(&range(MIB, MIB, None)), Ok(()));
        upload.unsettle();
        assert_eq!(upload.after_query(Reported::Finished(object(2 * MIB))), Ok(()));
        assert_eq!(upload.object(), Some(object(2 * MIB)));
        upload.unsettle();
        upload
            .after_query(Reported::Committed(Some(0)))
            .expect("no regress of what has ended");
        assert!(upload.has_ended(), "an ended upload stays so");
    }

    #[test]
    fn a_finished_object_of_another_size_is_told() {
        let mut upload = Upload::started();
        let answer = upload.after_finish(5, Reported::Finished(object(4)));
        assert_eq!(answer, Err(Anomaly::Size { size: 4, total: 5 }));
    }
}
