//! What an identity may have at once, and how large its objects may be.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of a rule, which hold for all connections of its identity on a daemon together. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests in flight at once.
    pub max_in_flight: Option<u32>,
    /// The bytes of an object that is sent through the daemon.
    pub max_object_size: Option<u64>,
}

/// What an identity has of its limits just now.
#[derive(Debug, Clone)]
pub(super) struct Usage {
    in_flight: Option<Arc<Semaphore>>,
}

/// A place within a limit, until it is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Usage {
    pub(super) fn new(limits: &Limits) -> Self {
        let places = |max: Option<u32>| {
            let max = usize::try_from(max?)
                .unwrap_or(usize::MAX)
                .min(Semaphore::MAX_PERMITS);
            Some(Arc::new(Semaphore::new(max)))
        };
        Self {
            in_flight: places(limits.max_in_flight),
        }
    }

    /// Waits for the place of another request, in line with the identity's other connections. Cancel safe.
    pub(super) async fn begin(&self) -> Place {
        match self.in_flight.clone() {
            // Nobody closes it.
            Some(places) => Place {
                _permit: places.acquire_owned().await.ok(),
            },
            None => Place { _permit: None },
        }
    }
}
