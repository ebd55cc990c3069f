//! The accept loop of all listeners.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::listener::{Incoming, Listener};
use super::{Shared, connection};

/// How long to wait after the system could not accept a connection.
const BACK_OFF: Duration = Duration::from_millis(100);

/// A place for each connection that may be open at once.
#[derive(Debug, Clone)]
pub(super) struct Places {
    permits: Arc<Semaphore>,
    max: usize,
    /// The connections that are open. A place is taken before there is a connection for it.
    open: Arc<AtomicUsize>,
    /// It was said that there are none left, and not yet that there are some again.
    full: Arc<AtomicBool>,
}

/// The place of a connection.
struct Place {
    permit: Option<OwnedSemaphorePermit>,
    /// There is a connection.
    occupied: bool,
    places: Places,
}

impl Places {
    pub(super) fn new(max_connections: usize) -> Self {
        let max = max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(max)),
            max,
            open: Arc::default(),
            full: Arc::default(),
        }
    }

    /// Waits for a place. Cancel safe.
    async fn take(&self) -> Place {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                let connections = self.open.load(Ordering::Relaxed);
                if connections >= self.max && !self.full.swap(true, Ordering::Relaxed) {
                    warn!(
                        connections,
                        "as many connections as there may be: further ones wait"
                    );
                }
                // The semaphore is never closed.
                self.permits.clone().acquire_owned().await.ok()
            }
        };
        Place {
            permit,
            occupied: false,
            places: self.clone(),
        }
    }

    /// Says once that there are places again: when a tenth is free, so that it is not said of each.
    fn look(&self) {
        let free = self.max.saturating_sub(self.open.load(Ordering::Relaxed));
        if free >= (self.max / 10).max(1) && self.full.swap(false, Ordering::Relaxed) {
            info!(free, "there is room for connections again");
        }
    }
}

impl Place {
    fn occupy(&mut self) {
        self.occupied = true;
        self.places.open.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.occupied {
            self.places.open.fetch_sub(1, Ordering::Relaxed);
        }
        drop(self.permit.take());
        if self.places.full.load(Ordering::Relaxed) {
            self.places.look();
        }
    }
}

/// Accepts until the server drains. A place is taken before a connection is accepted, so that surplus
/// connections wait in the kernel's backlog; and one for all listeners, so that none of them keeps a place that another needs.
pub(super) async fn run(
    listeners: Vec<Listener>,
    shared: Arc<Shared>,
    places: Places,
    connections: TaskTracker,
) {
    let drain = shared.shutdown.drain.clone();
    let mut failing = false;
    let mut first: usize = 0;
    loop {
        first = first.wrapping_add(1);
        let accepted = async {
            let place = places.take().await;
            (place, accept(&listeners, first).await)
        };
        let (mut place, accepted) = tokio::select! {
            biased;
            () = drain.cancelled() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok(incoming) => {
                failing = false;
                place.occupy();
                let shared = shared.clone();
                connections.spawn(async move {
                    connection::serve(incoming, shared).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Ten times a second for as long as it lasts, and said once.
                if !failing {
                    warn!(%error, "connections cannot be accepted");
                }
                failing = true;
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

/// The next connection of any listener. They take turns at being asked first.
async fn accept(listeners: &[Listener], first: usize) -> io::Result<Incoming> {
    std::future::poll_fn(|cx| {
        let (front, back) = listeners.split_at(first % listeners.len().max(1));
        let mut accepted = back.iter().chain(front).map(|listener| listener.poll_accept(cx));
        accepted.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}
