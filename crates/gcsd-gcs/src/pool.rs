//! Connections kept for the next request.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::endpoint::Endpoint;
use super::transport::Connection;

/// Unused connections, the latest used last.
pub(super) struct Pool {
    max_idle: usize,
    idle_timeout: Duration,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    idle: Vec<Idle>,
    /// Closes what is unused for too long, and ends when nothing is left.
    reaper: Option<AbortHandle>,
}

struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(max_idle: usize, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            max_idle,
            idle_timeout,
            kept: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest used connection to `endpoint` that is still good: one that the server closed, or spoke on
    /// unasked, is dropped instead.
    pub(super) fn take(&self, endpoint: &Endpoint) -> Option<Box<Connection>> {
        loop {
            let idle = {
                let mut kept = self.lock();
                let at = kept
                    .idle
                    .iter()
                    .rposition(|idle| idle.connection.endpoint == *endpoint)?;
                kept.idle.remove(at)
            };
            let mut connection = idle.connection;
            let fresh = idle.since.elapsed() < self.idle_timeout;
            if fresh && connection.is_reusable(&mut Context::from_waker(Waker::noop())) {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection on which no request is under way.
    pub(super) fn put(self: &Arc<Self>, connection: Box<Connection>) {
        if self.max_idle == 0 {
            return;
        }
        let mut kept = self.lock();
        let surplus = (kept.idle.len() >= self.max_idle).then(|| kept.idle.remove(0));
        kept.idle.push(Idle {
            connection,
            since: Instant::now(),
        });
        if kept.reaper.as_ref().is_none_or(AbortHandle::is_finished) {
            kept.reaper = Some(tokio::spawn(reap(Arc::downgrade(self))).abort_handle());
        }
        drop(kept);
        // Closed outside of the lock.
        drop(surplus);
    }

    /// Closes what is unused for too long, and says when to look again.
    fn prune(&self) -> Option<Instant> {
        let mut kept = self.lock();
        let expired = kept
            .idle
            .partition_point(|idle| idle.since.elapsed() >= self.idle_timeout);
        let expired: Vec<Idle> = kept.idle.drain(..expired).collect();
        let next = kept.idle.first().map(|idle| idle.since + self.idle_timeout);
        if next.is_none() {
            kept.reaper = None;
        }
        drop(kept);
        drop(expired);
        next
    }
}

async fn reap(pool: Weak<Pool>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.prune()) {
        sleep_until(next).await;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(reaper) = self.lock().reaper.take() {
            reaper.abort();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("idle", &self.lock().idle.len())
            .finish_non_exhaustive()
    }
}
