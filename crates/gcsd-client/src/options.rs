//! What a connection may cost.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use gcsd_wire::DEFAULT_MAX_ARGS;

/// How a connection is made, and what it may cost.
#[derive(Clone)]
pub struct Options {
    /// How long connecting may take, by default 10 s.
    pub connect_timeout: Duration,
    /// How long the daemon may be still, neither taking nor sending a byte, while something is due from
    /// it; then the connection is over. By default 150 s. It must be longer than the daemon's own
    /// patience with GCS, or its answer comes too late. A body's slow source and a slow reader do not
    /// count against it. A bound on one request as a whole is the caller's to set
    /// (`tokio::time::timeout`).
    pub stall: Duration,
    /// Requests in flight, by default 64 as in the daemon; further ones wait for their turn.
    pub max_in_flight: usize,
    /// The largest args that are sent, in bytes, by default 64 KiB as in the daemon.
    pub max_args: u32,
    /// The daemon's secret (`--auth-file`), where it wants one: [`Connection::open`](super::Connection::open) then says Hello.
    pub secret: Option<Bytes>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            stall: Duration::from_secs(150),
            max_in_flight: 64,
            max_args: DEFAULT_MAX_ARGS,
            secret: None,
        }
    }
}

// The secret is a credential: it is never printed.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("connect_timeout", &self.connect_timeout)
            .field("stall", &self.stall)
            .field("max_in_flight", &self.max_in_flight)
            .field("max_args", &self.max_args)
            .field("secret", &self.secret.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}
