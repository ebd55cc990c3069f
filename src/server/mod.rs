//! The daemon's side of the wire: listeners, connections, limits, shutdown.
//!
//! ```text
//!   accept loop --spawns--> connection --spawns--> one task per request in flight
//!                               |                      | frames
//!                               +--spawns--> writer <--+
//! ```
//!
//! A connection outlives its requests, and a writer its connection's last reply. Draining ends connections
//! between two requests; when the grace period is over, what is left is cut and answered `draining`.
//!
//! What all connections together may hold is bounded by two budgets ([`crate::ops::Budget`]): `room` says what a request takes
//! of the memory, which the connection gets before it reads the request's args; the place of a call is taken by the
//! task that makes it.
//!
//! The modules, from the socket inwards: `listener`, `accept`, `handshake` and `tls`, `connection` (the loop that reads requests), then `work` for requests
//! without a streamed body and `lending` for those with one; both end in a `job`, which answers. `body` and `pieces`
//! know where a body ends, `reader` holds the read half of a `socket`, and `writer` its write half. `in_flight` knows what has no
//! answer yet, `foreign` other protocols.

mod accept;
mod audit;
mod body;
mod connection;
mod foreign;
mod handle;
mod handshake;
mod in_flight;
mod job;
mod ledger;
mod lending;
mod lines;
mod listener;
mod pieces;
mod reader;
mod refusal;
mod room;
mod socket;
mod state;
mod tls;
mod work;
mod writer;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

pub use handle::{Handle, Readiness};
pub use ledger::Request;
pub use listener::{ListenAddress, Listener, SocketFile};
pub use state::{StateError, load_or_create_token_key, load_token_key};
pub use tls::{Loaded, Tls, TlsError, TlsFiles};

use crate::ops::{Budget, Context};
use crate::stats::Stats;
use accept::Places;
use ledger::Ledger;

/// How long cut connections may take to send their last replies.
const CUT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a server serves. The limits of a connection are in [`crate::ops::Limits`].
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Connections at once; further ones wait in the listener's backlog.
    pub max_connections: usize,
    /// Calls to GCS at once, on all connections; further ones wait.
    pub max_calls: usize,
    /// How many bytes requests may hold at once, on all connections; then the daemon reads no further ones.
    pub max_memory: u64,
    /// The largest read from a client's socket, in bytes, and so the size of a connection's one buffer.
    pub read_buffer: usize,
    /// How much the kernel may keep of what a client sends and is not read yet, in bytes; 0 for as much as the system
    /// allows. The client takes what is there for received, and waits while it drains.
    pub receive_buffer: usize,
    /// How long to go on as before once the daemon is asked to stop, so that whoever sends clients here learns of it.
    pub drain_delay: Duration,
    /// How long requests in flight may continue once the daemon stops.
    pub grace: Duration,
    /// How long a wrong secret waits for its answer.
    pub refusal_delay: Duration,
}

/// The steps of a stop.
#[derive(Debug, Clone, Default)]
struct Shutdown {
    /// Somebody asked for it. All goes on as before, but the server is not ready any more.
    asked: CancellationToken,
    /// No new requests.
    drain: CancellationToken,
    /// No more time.
    cut: CancellationToken,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    context: Context,
    config: Config,
    shutdown: Shutdown,
    /// What requests hold, in bytes.
    memory: Budget,
    /// The calls to GCS.
    calls: Budget,
    /// The wrong secrets that may wait for their answers: each holds the place of a connection.
    delayed: Semaphore,
    /// Who speaks other protocols.
    strangers: foreign::Strangers,
    /// How many connections were accepted.
    accepted: AtomicU64,
    /// A place for each connection.
    places: Places,
    /// What is under way.
    ledger: Arc<Ledger>,
    /// It accepts connections.
    started: AtomicBool,
}

/// A server with its listeners bound.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Every request in flight was answered.
    Drained,
    /// Some were cut when the grace period was over.
    Cut,
}

impl Server {
    /// A server on `listeners`, which counts for itself.
    pub fn new(context: Context, config: Config, listeners: Vec<Listener>) -> Self {
        Self::counting(context, config, listeners, Arc::default())
    }

    /// A server on `listeners`. What happens is added to `stats`, to which others add, too.
    pub fn counting(context: Context, config: Config, listeners: Vec<Listener>, stats: Arc<Stats>) -> Self {
        let shared = Shared {
            context,
            config,
            shutdown: Shutdown::default(),
            memory: Budget::new(config.max_memory),
            calls: Budget::new(config.max_calls as u64),
            delayed: Semaphore::new((config.max_connections / 4).clamp(1, Semaphore::MAX_PERMITS)),
            strangers: foreign::Strangers::default(),
            accepted: AtomicU64::new(0),
            places: Places::new(config.max_connections),
            ledger: Arc::new(Ledger::new(stats)),
            started: AtomicBool::new(false),
        };
        let shared = Arc::new(shared);
        handle::register(&shared);
        Self { shared, listeners }
    }

    /// For whoever looks after it.
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    /// What it listens on.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// What all connections together may hold: memory in bytes, and calls to GCS.
    pub fn budgets(&self) -> (Budget, Budget) {
        (self.shared.memory.clone(), self.shared.calls.clone())
    }

    /// Serves until `stop` resolves, then drains: returns once every connection has ended.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Stopped {
        let connections = TaskTracker::new();
        let places = self.shared.places.clone();
        let accept = accept::run(self.listeners, self.shared.clone(), places, connections.clone());
        let accepting = tokio::spawn(accept);
        self.shared.started.store(true, Ordering::Relaxed);
        let Shutdown { asked, .. } = &self.shared.shutdown;
        tokio::select! {
            () = stop => asked.cancel(),
            () = asked.cancelled() => {}
        }
        let delay = self.shared.config.drain_delay;
        if !delay.is_zero() {
            info!(
                drain_delay_s = delay.as_secs(),
                "asked to stop: going on for a while, not ready"
            );
            tokio::time::sleep(delay).await;
        }
        info!(
            connections = connections.len(),
            grace_s = self.shared.config.grace.as_secs(),
            "stopping"
        );
        self.shared.shutdown.drain.cancel();
        if let Err(error) = accepting.await {
            error!(%error, "accepting connections failed");
        }
        connections.close();
        if tokio::time::timeout(self.shared.config.grace, connections.wait())
            .await
            .is_ok()
        {
            info!("stopped: every request in flight was answered");
            return Stopped::Drained;
        }
        warn!(
            connections = connections.len(),
            "the grace period is over: cutting what is left"
        );
        self.shared.shutdown.cut.cancel();
        if tokio::time::timeout(CUT_TIMEOUT, connections.wait())
            .await
            .is_err()
        {
            warn!(
                connections = connections.len(),
                "connections did not take their last replies"
            );
        }
        Stopped::Cut
    }
}
