//! What a connection may cost.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use gcsd_wire::DEFAULT_MAX_ARGS;

/// How a connection is made, and what it may cost.
///
/// ```
/// use std::time::Duration;
///
/// use gcsd_client::Options;
///
/// let options = Options::default()
///     .with_connect_timeout(Duration::from_secs(3))
///     .with_secret("the daemon's --auth-file");
/// assert_eq!(options.max_in_flight, 64);
/// assert!(!format!("{options:?}").contains("auth-file"));
/// ```
#[derive(Clone)]
#[non_exhaustive]
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
    /// Agrees with the daemon, by Hello, that every frame of the connection is checked. Each request is checked anyway; with
    /// this, the daemon notices, too, if the mark of one is lost on the way, and it also holds for errors that answer no
    /// request. It costs a round trip for each connection, unless there is a secret: then it is agreed along with that.
    pub checked: bool,
    /// Whom to trust at addresses such as `tls://host:port`, which cannot be connected to without it.
    #[cfg(feature = "tls")]
    pub tls: Option<super::Tls>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            stall: Duration::from_secs(150),
            max_in_flight: 64,
            max_args: DEFAULT_MAX_ARGS,
            secret: None,
            checked: false,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl Options {
    /// Bounds how long connecting may take.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Bounds how long the daemon may be still: see [`stall`](Self::stall).
    #[must_use]
    pub fn with_stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// Bounds the requests in flight.
    #[must_use]
    pub fn with_max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// Bounds the args of a request, in bytes. The daemon has a bound of its own (`--max-args`).
    #[must_use]
    pub fn with_max_args(mut self, bytes: u32) -> Self {
        self.max_args = bytes;
        self
    }

    /// Agrees that every frame is checked: see [`checked`](Self::checked).
    #[must_use]
    pub fn with_checked(mut self, checked: bool) -> Self {
        self.checked = checked;
        self
    }

    /// Says whom to trust at addresses such as `tls://host:port`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: super::Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Proves itself with the daemon's secret.
    #[must_use]
    pub fn with_secret(mut self, secret: impl Into<Bytes>) -> Self {
        self.secret = Some(secret.into());
        self
    }
}

// The secret is a credential: it is never printed.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Options");
        #[cfg(feature = "tls")]
        shown.field("tls", &self.tls);
        shown
            .field("connect_timeout", &self.connect_timeout)
            .field("stall", &self.stall)
            .field("max_in_flight", &self.max_in_flight)
            .field("max_args", &self.max_args)
            .field("secret", &self.secret.as_ref().map(|_| "[redacted]"))
            .field("checked", &self.checked)
            .finish()
    }
}
