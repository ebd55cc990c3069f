//! The requests of a connection that are not answered yet: how many, and their sequences.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds the requests in flight, and knows their sequences.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    sequences: Arc<Mutex<HashSet<u64>>>,
    permits: Arc<Semaphore>,
    max: usize,
}

/// Allows one request to be in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _permit: OwnedSemaphorePermit,
}

/// Reserves a sequence until it is dropped.
#[derive(Debug)]
pub(super) struct SequenceGuard {
    sequences: Arc<Mutex<HashSet<u64>>>,
    sequence: u64,
}

impl InFlight {
    pub(super) fn new(max: u32) -> Self {
        let max = usize::try_from(max)
            .unwrap_or(usize::MAX)
            .clamp(1, Semaphore::MAX_PERMITS);
        Self {
            sequences: Arc::default(),
            permits: Arc::new(Semaphore::new(max)),
            max,
        }
    }

    /// Waits until another request may be in flight. Cancel safe.
    pub(super) async fn acquire(&self) -> Option<Permit> {
        // The semaphore is never closed.
        let permit = self.permits.clone().acquire_owned().await.ok()?;
        Some(Permit { _permit: permit })
    }

    /// Waits until no request is in flight beside the permit that the caller holds. Cancel safe.
    pub(super) async fn idle(&self) {
        let others = u32::try_from(self.max - 1).unwrap_or(u32::MAX);
        drop(self.permits.acquire_many(others).await);
    }

    /// Reserves a sequence; `None` if a request in flight has it.
    pub(super) fn reserve(&self, sequence: u64) -> Option<SequenceGuard> {
        lock(&self.sequences).insert(sequence).then(|| SequenceGuard {
            sequences: self.sequences.clone(),
            sequence,
        })
    }
}

impl Drop for SequenceGuard {
    fn drop(&mut self) {
        lock(&self.sequences).remove(&self.sequence);
    }
}

fn lock(sequences: &Mutex<HashSet<u64>>) -> MutexGuard<'_, HashSet<u64>> {
    // An insertion or a removal is never half done.
    sequences.lock().unwrap_or_else(PoisonError::into_inner)
}
