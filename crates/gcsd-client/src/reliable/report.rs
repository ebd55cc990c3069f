//! What can be seen of an upload in progress.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::Error;
use super::checkpoint::Checkpoint;
use super::recovery::Reaction;
use gcsd_wire::Retry;

/// Where an upload stands, and what it went through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Bytes that GCS has confirmed.
    pub committed: u64,
    /// What another process needs to resume it; `None` until the upload has started.
    pub checkpoint: Option<Checkpoint>,
    /// Failures after which the same was sent again.
    pub repeats: u64,
    /// Failures after which GCS was asked what it holds.
    pub queries: u64,
    /// Failures after which another connection was made.
    pub reconnects: u64,
    /// Failures after which the upload began again from byte 0.
    pub restarts: u64,
    /// How often each failure was recovered from, by its stable name ([`Error::name`]).
    pub failures: BTreeMap<&'static str, u64>,
    /// The last failure that was recovered from.
    pub last_failure: Option<Error>,
    /// GCS's JSON resource of the finished object, unchanged.
    pub resource: Option<Bytes>,
}

impl Report {
    /// How many failures were recovered from.
    pub fn recovered(&self) -> u64 {
        self.repeats + self.queries + self.reconnects + self.restarts
    }

    /// Counts a failure of a request that belongs to no upload, and is made again.
    pub(crate) fn count_request(&mut self, error: &Error) {
        let reaction = match error.retry() {
            Retry::Reconnect => Reaction::Reconnect,
            _ => Reaction::Again,
        };
        self.count(error, reaction);
    }

    /// Adds the progress and the recoveries of another upload.
    pub fn add(&mut self, other: &Self) {
        self.committed += other.committed;
        self.repeats += other.repeats;
        self.queries += other.queries;
        self.reconnects += other.reconnects;
        self.restarts += other.restarts;
        for (name, count) in &other.failures {
            *self.failures.entry(name).or_default() += count;
        }
    }

    pub(super) fn count(&mut self, error: &Error, reaction: Reaction) {
        let counter = match reaction {
            Reaction::Again if error.retry() == Retry::Query => &mut self.queries,
            Reaction::Look => &mut self.queries,
            Reaction::Again => &mut self.repeats,
            Reaction::Reconnect => &mut self.reconnects,
            Reaction::Restart => &mut self.restarts,
        };
        *counter += 1;
        *self.failures.entry(error.name()).or_default() += 1;
        self.last_failure = Some(error.clone());
    }
}
