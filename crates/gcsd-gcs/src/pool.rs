//! Idle connections, kept for the next request.
//!
//! A connection can turn out to be dead only when a request is on it, and then the request is lost. Whoever made it
//! makes it again, and that must not meet the same end: what lies between here and GCS and broke one kept connection
//! (a NAT that forgot it, a middlebox that resets each second request) has broken the others that are kept, or will. So
//! a break on a kept connection empties the pool of its endpoint, and of everything that is older than the break nothing
//! comes back. If the connection broke at the first request that it was kept for, nothing is kept for a while:
//! otherwise a query on a new connection would leave that one behind for the write that follows, which would break again.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::connection::Connection;
use super::endpoint::Endpoint;

/// How long no connection is kept after one broke at the first request that it was kept for. Longer than a client waits
/// between two tries.
const DISTRUST: Duration = Duration::from_secs(60);
/// How old a connection may be to be kept: a busy one would otherwise never notice that the name has other addresses now.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

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
    /// The last break on a kept connection to each endpoint.
    breaks: Vec<Break>,
}

struct Break {
    endpoint: Endpoint,
    at: Instant,
    /// Until when no connection is kept.
    distrust: Instant,
}

impl State {
    /// Whether `connection` may serve another request.
    fn trusts(&self, connection: &Connection) -> bool {
        let now = Instant::now();
        let broken = self
            .breaks
            .iter()
            .find(|broken| broken.endpoint == connection.endpoint);
        connection.since.elapsed() < MAX_AGE
            && broken.is_none_or(|broken| connection.since > broken.at && now >= broken.distrust)
    }
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

    /// How many connections are kept.
    pub(super) fn idle(&self) -> usize {
        self.lock().idle.len()
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
            let fresh = idle.since.elapsed() < self.idle_timeout && connection.since.elapsed() < MAX_AGE;
            if fresh && connection.is_reusable(&mut Context::from_waker(Waker::noop())) {
                return Some(connection);
            }
        }
    }

    /// Notes that `connection` broke with a request on it. If it was a kept one, the others to its endpoint are closed.
    pub(super) fn broke(&self, connection: &Connection) {
        if connection.answered == 0 {
            return;
        }
        let at = Instant::now();
        let distrust = if connection.answered == 1 {
            at + DISTRUST
        } else {
            at
        };
        let mut state = self.lock();
        let (closed, kept) = std::mem::take(&mut state.idle)
            .into_iter()
            .partition(|idle| idle.connection.endpoint == connection.endpoint);
        state.idle = kept;
        let known = state
            .breaks
            .iter_mut()
            .find(|broken| broken.endpoint == connection.endpoint);
        match known {
            Some(broken) => {
                broken.at = at;
                broken.distrust = broken.distrust.max(distrust);
            }
            None => state.breaks.push(Break {
                endpoint: connection.endpoint.clone(),
                at,
                distrust,
            }),
        }
        drop(state);
        // Closed outside the lock.
        drop::<Vec<Idle>>(closed);
        tracing::debug!(
            endpoint = %connection.endpoint,
            requests = connection.answered,
            "a kept connection broke: no other that is kept is used"
        );
    }

    /// Keeps a connection that has no request in flight.
    pub(super) fn put(self: &Arc<Self>, connection: Box<Connection>) {
        if self.max_idle == 0 {
            return;
        }
        let mut state = self.lock();
        if !state.trusts(&connection) {
            drop(state);
            return;
        }
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

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
