//! What is counted: the metrics that the admin listener gives out.
//!
//! ```text
//!   server: requests, connections --+
//!   gcsd-gcs (its Observer): calls --+--> Stats --> text for Prometheus
//!   whoever has a number: sampled ---+
//! ```
//!
//! Counting takes a few atomic additions per request, call or connection, and nothing per chunk of a body. No label names a
//! bucket, an object or a client: how many there are of each label is known beforehand.

mod gcs;
mod process;
mod sampled;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use gcs::Calls;
pub use sampled::{Kind, Sample};

/// The media type of the text: OpenMetrics.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds that a request takes: from a look at a kept connection to a body of minutes.
const DURATIONS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// What is counted. Shared by all that count.
pub struct Stats {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<OpcodeLabel, Histogram, fn() -> Histogram>,
    stalls: Family<CulpritLabel, Counter>,
    received: Counter,
    sent: Arc<AtomicU64>,
    accepted: Family<ListenerLabel, Counter>,
    open: Family<ListenerLabel, Gauge>,
    before_request: Gauge,
    ended: Family<EndLabel, Counter>,
    refused: Family<ReasonLabel, Counter>,
    reloads: Family<OutcomeLabel, Counter>,
    calls: Calls,
    /// When a reload last took, as seconds since 1970.
    reloaded: AtomicU64,
    since: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    opcode: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpcodeLabel {
    opcode: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CulpritLabel {
    culprit: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabel {
    end: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Who kept whom waiting for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Culprit {
    /// The client: it sent nothing, or took nothing.
    Client,
    /// Cloud Storage, or the way to it.
    Gcs,
}

/// An open connection of a listener, until it is dropped.
#[derive(Debug)]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A connection whose first request is not complete yet, until it is dropped.
#[derive(Debug)]
pub struct BeforeRequest(Gauge);

impl Drop for BeforeRequest {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn histogram() -> Histogram {
    Histogram::new(DURATIONS)
}

impl Default for Stats {
    fn default() -> Self {
        let stats = Self {
            registry: Mutex::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            stalls: Family::default(),
            received: Counter::default(),
            sent: Arc::default(),
            accepted: Family::default(),
            open: Family::default(),
            before_request: Gauge::default(),
            ended: Family::default(),
            refused: Family::default(),
            reloads: Family::default(),
            calls: Calls::default(),
            reloaded: AtomicU64::new(0),
            since: Instant::now(),
        };
        stats.register();
        stats
    }
}

impl Stats {
    fn register(&self) {
        let mut registry = Registry::with_prefix("gcsd");
        let version = env!("CARGO_PKG_VERSION");
        registry.register("build", "The build", Info::new([("version", version)]));
        registry.register("requests", "Requests that were answered", self.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "From a request's head to its answer, body included",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register_with_unit(
            "received",
            "Bodies that clients sent",
            Unit::Bytes,
            self.received.clone(),
        );
        for culprit in [Culprit::Client, Culprit::Gcs] {
            // Zeros from the start: what grows from nothing has no rate.
            drop(self.stalls.get_or_create(&culprit.label()));
        }
        registry.register(
            "stalls",
            "Waits that ended a request or a connection",
            self.stalls.clone(),
        );
        registry.register(
            "connections_accepted",
            "Connections that were accepted",
            self.accepted.clone(),
        );
        registry.register("connections", "Connections that are open", self.open.clone());
        registry.register(
            "connections_before_request",
            "Open connections whose first request is not complete",
            self.before_request.clone(),
        );
        registry.register(
            "connections_ended",
            "Connections that ended, by the reason",
            self.ended.clone(),
        );
        for reason in [Self::WRONG_SECRET, Self::OTHER_PROTOCOL] {
            drop(self.refused.get_or_create(&ReasonLabel { reason }));
        }
        registry.register(
            "connections_refused",
            "Connections that got no further",
            self.refused.clone(),
        );
        for outcome in ["taken", "failed"] {
            drop(self.reloads.get_or_create(&OutcomeLabel { outcome }));
        }
        registry.register("reloads", "Reloads of settings and secrets", self.reloads.clone());
        self.calls.register(&mut registry);
        *self.lock() = registry;
        process::register(self);
        let sent = self.sent.clone();
        self.sample(
            Kind::Counter,
            "sent",
            "Bodies that clients were sent",
            Some(Unit::Bytes),
            move || vec![Sample::of(sampled::float(sent.load(Ordering::Relaxed)))],
        );
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client sent another secret than the daemon's.
    pub const WRONG_SECRET: &'static str = "wrong_secret";
    /// The client speaks another protocol.
    pub const OTHER_PROTOCOL: &'static str = "other_protocol";

    /// A request was answered.
    pub fn answered(&self, opcode: &'static str, status: &'static str, took: std::time::Duration) {
        self.requests
            .get_or_create(&RequestLabels { opcode, status })
            .inc();
        let durations = self.durations.get_or_create(&OpcodeLabel { opcode });
        durations.observe(took.as_secs_f64());
    }

    /// So many bytes of bodies came from clients.
    pub fn received(&self, bytes: u64) {
        self.received.inc_by(bytes);
    }

    /// Counts the bytes of bodies that clients are sent.
    pub fn sent(&self) -> Arc<AtomicU64> {
        self.sent.clone()
    }

    /// Somebody was waited for too long.
    pub fn stalled(&self, culprit: Culprit) {
        self.stalls.get_or_create(&culprit.label()).inc();
    }

    /// A listener accepted a connection.
    pub fn accepted(&self, listener: &str) -> Open {
        let listener = ListenerLabel {
            listener: listener.to_owned(),
        };
        self.accepted.get_or_create(&listener).inc();
        let open = self.open.get_or_create_owned(&listener);
        open.inc();
        Open(open)
    }

    /// A connection waits for its first request.
    pub fn before_request(&self) -> BeforeRequest {
        self.before_request.inc();
        BeforeRequest(self.before_request.clone())
    }

    /// A connection ended.
    pub fn ended(&self, end: &'static str) {
        self.ended.get_or_create(&EndLabel { end }).inc();
    }

    /// A connection was refused.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Settings and secrets were read again: taken, or left as they were.
    pub fn reloaded(&self, taken: bool) {
        let outcome = if taken { "taken" } else { "failed" };
        self.reloads.get_or_create(&OutcomeLabel { outcome }).inc();
        if taken {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
            self.reloaded.store(now.as_secs(), Ordering::Relaxed);
        }
    }

    /// When a reload last took, as seconds since 1970; `None` if there was none.
    pub fn last_reload(&self) -> Option<u64> {
        Some(self.reloaded.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// How long there has been something to count.
    pub fn age(&self) -> std::time::Duration {
        self.since.elapsed()
    }

    /// Adds a metric whose values are asked for when somebody reads the metrics: `gcsd_NAME`, with the unit and, for a counter,
    /// `_total` behind it.
    pub fn sample(
        &self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        read: impl Fn() -> Vec<Sample> + Send + Sync + 'static,
    ) {
        self.lock()
            .register_collector(Box::new(sampled::Sampled::new(kind, name, help, unit, read)));
    }

    /// As [`sample`](Self::sample), for a gauge with one value and no labels.
    pub fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.sample(Kind::Gauge, name, help, unit, move || vec![Sample::of(read())]);
    }

    /// All metrics, as text of the type [`MEDIA_TYPE`].
    pub fn text(&self) -> String {
        let mut text = String::new();
        // A String takes everything.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.lock());
        text
    }
}

impl Culprit {
    fn label(self) -> CulpritLabel {
        let culprit = match self {
            Self::Client => "client",
            Self::Gcs => "gcs",
        };
        CulpritLabel { culprit }
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stats").finish_non_exhaustive()
    }
}
