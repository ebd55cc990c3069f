//! How GCS is reached.

use std::path::PathBuf;
use std::time::Duration;

use super::credentials::CredentialsSource;
use super::endpoint::Endpoint;
use super::observer::SharedObserver;
use super::proxies::Proxies;

/// The settings of a [`Gcs`](super::Gcs): [`new`](Self::new) makes the defaults, of which fields can be changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where all calls go, whatever host GCS names for a session; [`CredentialsSource::endpoint`] knows the one that
    /// credentials belong to.
    pub endpoint: Endpoint,
    /// A PEM file of the certificates to trust *instead of* the system's, so that a private CA means only that
    /// CA. A server's own certificate must not be marked as a CA. Token endpoints are not affected: there,
    /// Google's library trusts the system's.
    pub ca_file: Option<PathBuf>,
    /// Where access tokens come from.
    pub credentials: CredentialsSource,
    /// The project to bill where a call names none
    /// (<https://cloud.google.com/storage/docs/requester-pays>).
    pub user_project: Option<String>,
    /// The proxies to GCS; `None` for those of the environment ([`Proxies::from_env`]).
    ///
    /// Access tokens always use the proxies of the environment: Google's library knows no others. So with credentials, other
    /// proxies are refused ([`ConfigError::TokenProxies`](super::ConfigError::TokenProxies)). In the environment, `NO_PROXY` should except the metadata server
    /// ([`Proxies::except_local`]).
    pub proxies: Option<Proxies>,
    /// The longest time for resolving the name, TCP, a proxy and TLS together.
    pub connect_timeout: Duration,
    /// How long GCS may take and send nothing while it is GCS's turn. The kernel's send buffer may hold
    /// megabytes: keep this well above the time that a slow link needs for them.
    pub stall_timeout: Duration,
    /// How long a body's source may give nothing while GCS would take more.
    pub source_timeout: Duration,
    /// The longest time to wait for an access token.
    pub credentials_timeout: Duration,
    /// How long an idle connection is kept: shorter than the server keeps it, so that it is not found closed.
    pub idle_timeout: Duration,
    /// The most idle connections that are kept.
    pub max_idle: usize,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Who is told of every call, for metrics.
    pub observer: Option<SharedObserver>,
}

impl Config {
    /// The defaults for an emulator at `endpoint`: no credentials.
    pub fn anonymous(endpoint: Endpoint) -> Self {
        Self {
            credentials: CredentialsSource::Anonymous,
            ..Self::new(endpoint)
        }
    }

    /// The defaults for `endpoint`, with application default credentials.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            ca_file: None,
            proxies: None,
            credentials: CredentialsSource::default(),
            user_project: None,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(60),
            source_timeout: Duration::from_secs(60),
            credentials_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(20),
            max_idle: 64,
            user_agent: concat!("gcsd/", env!("CARGO_PKG_VERSION")).to_owned(),
            observer: None,
        }
    }
}
