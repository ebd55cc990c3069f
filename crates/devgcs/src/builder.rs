//! Setting up a server.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gcsd_fault::PlanError;

use crate::config::{Config, StartError};
use crate::faults::Plan;
use crate::server::Server;
use crate::storage::Storage;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Sets up a [`Server`].
///
/// Unless told otherwise, the server listens on a loopback port that the system chooses, keeps objects in
/// memory, has no buckets, and injects no faults.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gcs = devgcs::Server::builder()
///     .bucket("photos")
///     .faults("return-503 on write call 0")
///     .start()
///     .await?;
/// assert!(gcs.endpoint().starts_with("http://127.0.0.1:"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    listen: SocketAddr,
    config: Config,
    faults: Result<Plan, PlanError>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Server {
    /// Sets up a server.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            config: Config::default(),
            faults: Ok(Plan::default()),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl Builder {
    /// Listens on `address` instead of a loopback port that the system chooses.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.listen = address.into();
        self
    }

    /// Creates a bucket at the start, unless the storage already has it.
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.config.buckets.push(name.into());
        self
    }

    /// Creates several buckets; see [`bucket`](Self::bucket).
    pub fn buckets(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.config.buckets.extend(names.into_iter().map(Into::into));
        self
    }

    /// Creates a bucket when an upload names one that is missing. GCS answers 404 instead, which is the default.
    pub fn create_missing_buckets(mut self, create: bool) -> Self {
        self.config.create_missing_buckets = create;
        self
    }

    /// Is as lax as Google's storage-testbench is, for suites that were written against that: objects under retention can be
    /// deleted and overwritten, and preconditions hold at the end of a resumable upload only. The default is what GCS does.
    pub fn like_testbench(mut self, lax: bool) -> Self {
        self.config.like_testbench = lax;
        self
    }

    /// Where to keep the bytes of objects: in memory by default.
    pub fn storage(mut self, storage: Storage) -> Self {
        self.config.storage = storage;
        self
    }

    /// Whether to compute MD5, as GCS does; the default is yes.
    ///
    /// MD5 costs more CPU than everything else. Without it objects have no `md5Hash`, and one that a client sends is
    /// not verified.
    pub fn md5(mut self, compute: bool) -> Self {
        self.config.md5 = compute;
        self
    }

    /// How long an upload session lives after its start: a week by default, as at GCS.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.config.session_lifetime = lifetime;
        self
    }

    /// How long to wait for the next bytes of a request's body before answering 408: ten minutes by default.
    pub fn body_idle_timeout(mut self, timeout: Duration) -> Self {
        self.config.body_idle_timeout = timeout;
        self
    }

    /// Which faults to inject, and into which calls: a [`Plan`], or its [text](crate::faults). It replaces any plan set
    /// before.
    ///
    /// A text that is malformed is reported by [`start`](Self::start).
    pub fn faults<P>(mut self, plan: P) -> Self
    where
        P: TryInto<Plan>,
        P::Error: Into<PlanError>,
    {
        self.faults = plan.try_into().map_err(Into::into);
        self
    }

    /// Serves HTTPS instead of HTTP.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts the server on the current Tokio runtime. It serves until the returned value is dropped.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, the storage cannot be opened, a bucket's name is not allowed, the fault plan is
    /// malformed, or (with TLS) a certificate cannot be read or made.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime, or in one without I/O and time enabled.
    pub async fn start(self) -> Result<Server, StartError> {
        let config = Config {
            faults: self.faults.map_err(StartError::Faults)?,
            ..self.config
        };
        #[cfg(feature = "tls")]
        return Server::start(self.listen, config, self.tls).await;
        #[cfg(not(feature = "tls"))]
        Server::start(self.listen, config).await
    }
}
