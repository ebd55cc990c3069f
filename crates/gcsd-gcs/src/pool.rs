//! Idle connections, kept for the next request.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::connection::Connection;
use super::endpoint::Endpoint;

/// Idle connections, the most recently used last.
pub(super) struct Pool {
    max_idle: usize,
    idle_timeout: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    /// Closes connections that were idle for too long, and ends when none is left.
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
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most recently used connection to `endpoint` that still works. Connections that the server closed, or spoke on
    /// unasked, are dropped.
    pub(super) fn take(&self, endpoint: &Endpoint) -> Option<Box<Connection>> {
        loop {
            let idle = {
                let mut state = self.lock();
                let at = state
                    .idle
                    .iter()
                    .rposition(|idle| idle.connection.endpoint == *endpoint)?;
                state.idle.remove(at)
            };
            let mut connection = idle.connection;
            let fresh = idle.since.elapsed() < self.idle_timeout;
            if fresh && connection.is_reusable(&mut Context::from_waker(Waker::noop())) {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection that has no request in flight.
    pub(super) fn put(self: &Arc<Self>, connection: Box<Connection>) {
        if self.max_idle == 0 {
            return;
        }
        let mut state = self.lock();
        let surplus = (state.idle.len() >= self.max_idle).then(|| state.idle.remove(0));
        state.idle.push(Idle {
            connection,
            since: Instant::now(),
        });
        if state.reaper.as_ref().is_none_or(AbortHandle::is_finished) {
            state.reaper = Some(tokio::spawn(reap(Arc::downgrade(self))).abort_handle());
        }
        drop(state);
        // Closed outside the lock.
        drop(surplus);
    }

    /// Closes connections that were idle for too long, and says when to look again.
    fn prune(&self) -> Option<Instant> {
        let mut state = self.lock();
        let expired = state
            .idle
            .partition_point(|idle| idle.since.elapsed() >= self.idle_timeout);
        let expired: Vec<Idle> = state.idle.drain(..expired).collect();
        let next = state.idle.first().map(|idle| idle.since + self.idle_timeout);
        if next.is_none() {
            state.reaper = None;
        }
        drop(state);
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
