//! The arithmetic of a session: what a request may do, which of its bytes count, how it ends.
//!
//! Pure: no I/O, no locks. Bytes count in whole multiples of 256 KiB, at the offset that the session
//! has reached; those below that offset are skipped (the first persisted win), and the last
//! incomplete multiple belongs to the request alone until it finishes the upload. So a broken request loses
//! less than 256 KiB, and two requests at once cannot disturb each other: each multiple is taken from
//! whichever sends it first.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::range::ContentRange;
use crate::error::Error;
use crate::metadata::Expected;
use crate::resource::Object;
use gcsd_types::{CHUNK_ALIGNMENT, MAX_OBJECT_SIZE};

/// Where a session stands.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Bytes that a query reports: a multiple of 256 KiB, never less than before.
    pub(crate) persisted: u64,
    /// The size of the object, once a request has named it.
    pub(crate) declared: Option<u64>,
    /// The checksums that the object must have.
    pub(crate) expected: Expected,
    /// Its state.
    pub(crate) phase: Phase,
}

/// The state of a session.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// It accepts bytes.
    Open,
    /// The object exists.
    Finished(Arc<Object>),
    /// It was cancelled, or its finish was refused; every later request gets this answer.
    Ended(Error),
}

/// What a request to a session will do.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Nothing but report what is persisted.
    Report,
    /// Finish the object with what is persisted.
    Finish {
        /// The size of the object.
        total: u64,
    },
    /// Receive the body.
    Receive(Intake),
}

impl Progress {
    /// A session that has `persisted` bytes, of an object of `declared` bytes.
    pub(crate) fn new(persisted: u64, declared: Option<u64>, expected: Expected) -> Self {
        Self {
            persisted,
            declared,
            expected,
            phase: Phase::Open,
        }
    }

    /// Decides what a request with `range` and a body of `length` bytes (`None`: chunked) will do.
    ///
    /// Keeps the total that the request names, unless the request is refused.
    pub(crate) fn plan(&mut self, range: ContentRange, length: Option<u64>) -> Result<Plan, Error> {
        let (first, end, named) = match range {
            ContentRange::Query | ContentRange::Finish { .. } if length.is_some_and(|length| length > 0) => {
                return Err(body_mismatch(length.unwrap_or(0), 0, None));
            }
            ContentRange::Query => return Ok(Plan::Report),
            ContentRange::Finish { total } => {
                let whole = total == self.persisted && self.declared.is_none_or(|declared| declared == total);
                return Ok(if whole {
                    Plan::Finish { total }
                } else {
                    Plan::Report
                });
            }
            ContentRange::Whole => (0, length, length),
            ContentRange::Rest { first, total } => {
                (first, length.map(|length| first.saturating_add(length)), total)
            }
            ContentRange::Part { first, end, total } => {
                if let Some(length) = length
                    && length != end - first
                {
                    return Err(body_mismatch(length, first, Some(end)));
                }
                (first, Some(end), total)
            }
        };
        if let (Some(named), Some(declared)) = (named, self.declared)
            && named != declared
        {
            return Err(Error::text(
                StatusCode::BAD_REQUEST,
                format!("Invalid request.  The total size is {declared} byte(s), and cannot become {named}."),
            ));
        }
        let total = named.or(self.declared);
        let limit = total.unwrap_or(MAX_OBJECT_SIZE);
        if limit > MAX_OBJECT_SIZE || end.is_some_and(|end| end > limit) || first > limit {
            return Err(too_long(limit.min(MAX_OBJECT_SIZE)));
        }
        if first > self.persisted {
            return Err(Error::text(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "Invalid request.  According to the Content-Range header, the upload offset is {first} byte(s), \
                     which exceeds already uploaded size of {} byte(s).",
                    self.persisted
                ),
            ));
        }
        if total.is_some_and(|total| total < self.persisted) {
            return Ok(Plan::Report);
        }
        if let ContentRange::Part { end, .. } = range
            && total != Some(end)
            && end - first < CHUNK_ALIGNMENT
        {
            return Err(too_short(end - first));
        }
        self.declared = total;
        Ok(Plan::Receive(Intake {
            at: first,
            start: self.persisted.max(first),
            pieces: Vec::new(),
            held: 0,
            exact: match range {
                ContentRange::Part { end, .. } => Some(end),
                _ => None,
            },
            limit: end.unwrap_or(limit),
            total,
            ends_object: !matches!(range, ContentRange::Part { .. }),
        }))
    }
}

/// The bytes of one request on their way into a session.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Offset of the next byte of the body.
    at: u64,
    /// Offset of the first byte held: a multiple of 256 KiB.
    start: u64,
    pieces: Vec<Bytes>,
    held: u64,
    /// Where the body must end.
    exact: Option<u64>,
    /// The offset that the body may not pass.
    limit: u64,
    total: Option<u64>,
    /// The body's end is the object's end, unless a total says otherwise.
    ends_object: bool,
}

/// Consecutive bytes at an offset of the object.
#[derive(Debug)]
pub(crate) struct Batch {
    start: u64,
    pieces: Vec<Bytes>,
}

/// What the end of a body means.
#[derive(Debug)]
pub(crate) enum End {
    /// The object is not complete yet.
    Report,
    /// The object has `total` bytes, the last of which are `tail`.
    Finish {
        /// The size of the object.
        total: u64,
        /// The incomplete multiple at the end.
        tail: Batch,
    },
}

impl Intake {
    /// The offset of the first byte that can count.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The offset of the next byte of the body.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// Where the body ends, if the request says so.
    pub(crate) fn known_end(&self) -> Option<u64> {
        self.exact.or(self.total)
    }

    /// Takes the next bytes of the body.
    pub(crate) fn push(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        let end = self.at + bytes.len() as u64;
        if end > self.limit {
            return Err(too_long(self.limit));
        }
        let skip = usize::try_from(self.start.saturating_sub(self.at)).unwrap_or(usize::MAX);
        self.at = end;
        if skip < bytes.len() {
            let kept = bytes.split_off(skip);
            self.held += kept.len() as u64;
            self.pieces.push(kept);
        }
        Ok(())
    }

    /// Takes out the whole multiples that are held.
    pub(crate) fn take_whole(&mut self) -> Option<Batch> {
        let len = self.held - self.held % CHUNK_ALIGNMENT;
        (len > 0).then(|| self.take(len))
    }

    fn take(&mut self, len: u64) -> Batch {
        let rest = skip(&self.pieces, len);
        let mut pieces = std::mem::replace(&mut self.pieces, rest);
        truncate(&mut pieces, len);
        let start = self.start;
        self.start += len;
        self.held -= len;
        Batch { start, pieces }
    }

    /// Ends the body, which is complete.
    pub(crate) fn end(mut self) -> Result<End, Error> {
        if let Some(exact) = self.exact
            && self.at < exact
        {
            let begin = exact - (exact - self.at);
            return Err(Error::text(
                StatusCode::BAD_REQUEST,
                format!("Invalid request.  The body ended at offset {begin}, the Content-Range at {exact}."),
            ));
        }
        let size = match self.total {
            Some(total) => total,
            None if self.ends_object => self.at,
            None => return Ok(End::Report),
        };
        if size != self.at {
            return Ok(End::Report);
        }
        let tail = self.take(self.held);
        Ok(End::Finish { total: size, tail })
    }
}

impl Batch {
    /// Nothing, at `start`.
    pub(crate) fn empty(start: u64) -> Self {
        Self {
            start,
            pieces: Vec::new(),
        }
    }

    /// The offset after the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.pieces.iter().map(|piece| piece.len() as u64).sum::<u64>()
    }

    /// The bytes before `offset`.
    pub(crate) fn until(mut self, offset: u64) -> Self {
        truncate(&mut self.pieces, offset.saturating_sub(self.start));
        self
    }

    /// The pieces from `offset` on; `None` if they start behind it.
    pub(crate) fn from(self, offset: u64) -> Option<Vec<Bytes>> {
        let known = offset.checked_sub(self.start)?;
        Some(skip(&self.pieces, known))
    }
}

/// `pieces` without their first `len` bytes.
fn skip(pieces: &[Bytes], mut len: u64) -> Vec<Bytes> {
    let mut rest = Vec::new();
    for piece in pieces {
        match usize::try_from(len) {
            Ok(skip) if skip < piece.len() => {
                rest.push(piece.slice(skip..));
                len = 0;
            }
            _ => len -= piece.len() as u64,
        }
    }
    rest
}

/// Keeps the first `len` bytes of `pieces`.
fn truncate(pieces: &mut Vec<Bytes>, mut len: u64) {
    for piece in &mut *pieces {
        let keep = usize::try_from(len).map_or(piece.len(), |len| len.min(piece.len()));
        piece.truncate(keep);
        len -= keep as u64;
    }
    pieces.retain(|piece| !piece.is_empty());
}

fn body_mismatch(length: u64, first: u64, end: Option<u64>) -> Error {
    let wanted = end.map_or(0, |end| end - first);
    let place = end.map_or_else(String::new, |end| {
        format!(" (starting at offset {first} and ending at offset {})", end - 1)
    });
    Error::text(
        StatusCode::BAD_REQUEST,
        format!(
            "Invalid request.  There were {length} byte(s) in the request body.  There should have been \
             {wanted} byte(s){place} according to the Content-Range header."
        ),
    )
}

fn too_long(limit: u64) -> Error {
    Error::text(
        StatusCode::BAD_REQUEST,
        format!("Invalid request.  The body goes beyond offset {limit}, where it should have ended."),
    )
}

fn too_short(len: u64) -> Error {
    Error::too_short(format!(
        "Invalid request.  The number of bytes uploaded is required to be equal or greater than {CHUNK_ALIGNMENT}, \
             except for the final request (it's recommended to be the exact multiple of {CHUNK_ALIGNMENT}).  The \
             received request contained {len} bytes, which does not meet this requirement."
    ))
}
