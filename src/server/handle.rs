//! A look at a server from outside, and the request that it stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::registry::Unit;

use super::Shared;
use super::ledger::Request;
use crate::ops::{OpenUpload, Sealer, Secret};
use crate::policy::Policy;
use crate::stats::{Kind, Sample, Stats};

/// A server, for whoever looks after it.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Shared>);

/// Whether a server takes what clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not listen yet.
    Starting,
    /// It stops, or is about to.
    Draining,
    /// There are as many connections as there may be.
    Full,
}

impl Readiness {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::Full => "full",
        }
    }
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Whether it takes what clients ask for. Whether Cloud Storage can be reached is no part of it: that would take every
    /// daemon out of service at once, and none would be better.
    pub fn readiness(&self) -> Readiness {
        let Shared { shutdown, places, .. } = &*self.0;
        if shutdown.asked.is_cancelled() || shutdown.drain.is_cancelled() {
            Readiness::Draining
        } else if !self.has_started() {
            Readiness::Starting
        } else if places.is_full() {
            Readiness::Full
        } else {
            Readiness::Ready
        }
    }

    /// Whether it has begun to accept connections.
    pub fn has_started(&self) -> bool {
        self.0.started.load(Ordering::Relaxed)
    }

    /// Waits until it was asked to stop. Cancel safe.
    pub async fn stopping(&self) {
        self.0.shutdown.asked.cancelled().await;
    }

    /// How many requests have no answer yet.
    pub fn requests_in_flight(&self) -> usize {
        self.0.ledger.len()
    }

    /// How many uploads connections have open.
    pub fn uploads_open(&self) -> usize {
        self.0.context.fences.uploads()
    }

    /// Asks it to stop, as a signal does.
    pub fn stop(&self) {
        self.0.shutdown.asked.cancel();
    }

    /// Seals upload tokens by other keys from now on.
    pub fn replace_token_keys(&self, sealer: Sealer) {
        self.0.context.sealer.replace(sealer);
    }

    /// Expects another secret from now on. Whether one is expected at all stays as it was: fails with `false` if that would change.
    #[must_use]
    pub fn replace_secret(&self, secret: Option<Secret>) -> bool {
        match (&self.0.context.secret, secret) {
            (Some(expected), Some(secret)) => {
                expected.replace(secret);
                true
            }
            (None, None) => true,
            _ => false,
        }
    }

    /// Puts another policy in force: connections are held to it from their next request on.
    pub fn replace_policy(&self, policy: Option<Policy>) {
        self.0.context.access.replace(policy);
    }

    /// What it has counted.
    pub fn stats(&self) -> &Arc<Stats> {
        self.0.ledger.stats()
    }

    /// The requests that are under way, the oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.0.ledger.requests()
    }

    /// The uploads that connections have open, the oldest first.
    pub fn uploads(&self) -> Vec<OpenUpload> {
        self.0.context.fences.open()
    }

    /// How many connections are open, and how many there may be.
    pub fn connections(&self) -> (usize, usize) {
        (self.0.places.open(), self.0.config.max_connections)
    }

    /// What requests hold of the memory, and what they may, in bytes.
    pub fn memory(&self) -> (u64, u64) {
        let total = self.0.config.max_memory.max(1);
        (total.saturating_sub(self.0.memory.free()), total)
    }

    /// How many calls to Cloud Storage are under way, and how many there may be.
    pub fn calls(&self) -> (u64, u64) {
        let total = (self.0.config.max_calls as u64).max(1);
        (total.saturating_sub(self.0.calls.free()), total)
    }

    /// The metrics, as text.
    pub fn metrics(&self) -> String {
        self.0.ledger.settle();
        self.stats().text()
    }
}

/// Adds what the server itself knows to what is counted. The server may be gone before its metrics are.
pub(super) fn register(shared: &Arc<Shared>) {
    type Read = fn(&Handle) -> f64;
    let gauges: [(&str, &str, Option<Unit>, Read); 12] = [
        (
            "requests_in_flight",
            "Requests that have no answer yet",
            None,
            |of| count(of.0.ledger.len()),
        ),
        ("uploads_open", "Uploads that connections have open", None, |of| {
            count(of.0.context.fences.uploads())
        }),
        (
            "connections_limit",
            "How many connections there may be",
            None,
            |of| count(of.connections().1),
        ),
        (
            "memory_held",
            "What requests may hold of the daemon's memory",
            Some(Unit::Bytes),
            |of| float(of.memory().0),
        ),
        ("memory_limit", "How much that may be", Some(Unit::Bytes), |of| {
            float(of.memory().1)
        }),
        ("memory_waiting", "Requests that wait for memory", None, |of| {
            count(of.0.memory.waiting())
        }),
        (
            "gcs_calls_in_flight",
            "Calls to Cloud Storage that are under way",
            None,
            |of| float(of.calls().0),
        ),
        ("gcs_calls_limit", "How many there may be", None, |of| {
            float(of.calls().1)
        }),
        ("gcs_calls_waiting", "Calls that wait for a place", None, |of| {
            count(of.0.calls.waiting())
        }),
        (
            "gcs_connections_idle",
            "Connections to Cloud Storage that are kept",
            None,
            |of| count(of.0.context.gcs.idle_connections()),
        ),
        (
            "ready",
            "1 where it takes what clients ask for, else 0",
            None,
            |of| f64::from(u8::from(of.readiness() == Readiness::Ready)),
        ),
        ("draining", "1 where it stops, else 0", None, |of| {
            f64::from(u8::from(of.readiness() == Readiness::Draining))
        }),
    ];
    let stats = shared.ledger.stats();
    for (name, help, unit, read) in gauges {
        let shared = Arc::downgrade(shared);
        stats.sample(Kind::Gauge, name, help, unit, move || {
            let handle = shared.upgrade().map(Handle);
            handle
                .map(|handle| Sample::of(read(&handle)))
                .into_iter()
                .collect()
        });
    }
}

fn count(number: usize) -> f64 {
    float(number as u64)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric is a float, and exact up to 2^53"
)]
fn float(number: u64) -> f64 {
    number as f64
}
