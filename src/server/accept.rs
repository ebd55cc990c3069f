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

    /// How many are taken.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether no further connection is accepted.
    pub(super) fn is_full(&self) -> bool {
        self.open() >= self.max
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
    let names: Vec<String> = listeners.iter().map(name).collect();
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
            Ok((listener, incoming)) => {
                failing = false;
                place.occupy();
                let shared = shared.clone();
                let open = shared.ledger.stats().accepted(&names[listener]);
                connections.spawn(async move {
                    connection::serve(incoming, shared).await;
                    drop((place, open));
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

/// How metrics name a listener.
fn name(listener: &Listener) -> String {
    let address = listener.address();
    address.map_or_else(|| "unknown".to_owned(), |address| address.to_string())
}

/// The next connection of any listener, and which of them has it. They take turns at being asked first.
async fn accept(listeners: &[Listener], first: usize) -> io::Result<(usize, Incoming)> {
    std::future::poll_fn(|cx| {
        let count = listeners.len();
        for turn in 0..count {
            let at = (first % count + turn) % count;
            if let Poll::Ready(accepted) = listeners[at].poll_accept(cx) {
                return Poll::Ready(accepted.map(|incoming| (at, incoming)));
            }
        }
        Poll::Pending
    })
    .await
}
