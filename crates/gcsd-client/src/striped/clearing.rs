//! The time that clearing up may take, and what it has done so far.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::super::reliable::retry::after;
use gcsd_types::ObjectName;

/// How much longer it may take for each object that it deletes.
const PER_OBJECT: Duration = Duration::from_millis(250);

/// A temporary object, and its generation.
pub(super) type Temporary = (ObjectName, u64);

/// Clearing up that has begun.
#[derive(Debug)]
pub(super) struct Clearing {
    end: Instant,
    gone: Mutex<Vec<Temporary>>,
}

impl Clearing {
    /// It begins now, and may take `grace`, and longer only as long as objects are deleted.
    pub(super) fn new(grace: Duration) -> Self {
        Self {
            end: after(grace),
            gone: Mutex::default(),
        }
    }

    /// What is left of its time.
    pub(super) fn left(&self) -> Duration {
        self.end().saturating_duration_since(Instant::now())
    }

    /// Does `work`; `None` where that takes too long.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let late = async {
            while !self.left().is_zero() {
                sleep_until(self.end()).await;
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = late => None,
        }
    }

    /// This is not there any more.
    pub(super) fn is_gone(&self, temporary: Temporary) {
        self.gone().push(temporary);
    }

    /// Those of `temporaries` that may be there yet.
    pub(super) fn remaining(&self, temporaries: Vec<Temporary>) -> Vec<Temporary> {
        let gone = self.gone();
        let there = temporaries.into_iter().filter(|there| !gone.contains(there));
        there.collect()
    }

    fn end(&self) -> Instant {
        let deleted = u32::try_from(self.gone().len()).unwrap_or(u32::MAX);
        self.end + PER_OBJECT.saturating_mul(deleted)
    }

    fn gone(&self) -> MutexGuard<'_, Vec<Temporary>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
