//! The requests of a connection that are not answered yet.

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

/// Room for one more request.
#[derive(Debug)]
pub(super) struct Room {
    _permit: OwnedSemaphorePermit,
}

/// A request in flight. It holds its room until it is dropped, its sequence until it is about to be answered.
#[derive(Debug)]
pub(super) struct Flight {
    sequences: Arc<Mutex<HashSet<u64>>>,
    sequence: Option<u64>,
    _room: Room,
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

    /// Waits for room. Cancel safe.
    pub(super) async fn room(&self) -> Option<Room> {
        self.permits
            .clone()
            .acquire_owned()
            .await
            .ok()
            .map(|permit| Room { _permit: permit })
    }

    /// Waits until nothing is in flight beside the room that the caller holds. Cancel safe.
    pub(super) async fn idle(&self) {
        let others = u32::try_from(self.max - 1).unwrap_or(u32::MAX);
        drop(self.permits.acquire_many(others).await);
    }

    /// Puts a request in flight; gives the room back where its sequence is in flight already.
    pub(super) fn take_off(&self, sequence: u64, room: Room) -> Result<Flight, Room> {
        if !lock(&self.sequences).insert(sequence) {
            return Err(room);
        }
        Ok(Flight {
            sequences: self.sequences.clone(),
            sequence: Some(sequence),
            _room: room,
        })
    }
}

impl Flight {
    /// The request is about to be answered: from now on its sequence may come again.
    pub(super) fn land(&mut self) {
        if let Some(sequence) = self.sequence.take() {
            lock(&self.sequences).remove(&sequence);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.land();
    }
}

fn lock(sequences: &Mutex<HashSet<u64>>) -> MutexGuard<'_, HashSet<u64>> {
    // An insertion or a removal is never half done.
    sequences.lock().unwrap_or_else(PoisonError::into_inner)
}
