//! How GCS is reached.

use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::proxies::{Proxies, ProxyError};
use super::universe::UniverseMismatch;

/// Where access tokens come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CredentialsSource {
    /// Send none: for emulators and public objects.
    Anonymous,
    /// Application default credentials
    /// (<https://cloud.google.com/docs/authentication/application-default-credentials>).
    #[default]
    Default,
    /// A credentials file of any type that Google documents: a service account key, an external account
    /// (workload identity federation), an impersonated service account, a user.
    File(PathBuf),
}

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
    /// proxies are refused ([`ConfigError::TokenProxies`]). In the environment, `NO_PROXY` should except the metadata server
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
        }
    }
}

/// Why no [`Gcs`](super::Gcs) could be made of a [`Config`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The CA file is unreadable, or holds no usable certificate.
    #[error("the CA file {path}: {problem}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The proxy to the endpoint cannot be used.
    #[error("the proxy (--proxy, or HTTPS_PROXY, HTTP_PROXY, ALL_PROXY in the environment): {0}")]
    Proxy(#[from] ProxyError),
    /// Access tokens would be asked for on another way than GCS.
    #[error(
        "access tokens are asked for through the proxies that the environment names, and GCS would be reached through \
         others: set HTTPS_PROXY, HTTP_PROXY and NO_PROXY to the same"
    )]
    TokenProxies,
    /// The system has no certificates to trust.
    #[error("no trusted certificates were found on this system ({0}): install them, or name a CA file")]
    NoCertificates(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The credentials cannot be used.
    #[error("credentials: {0}")]
    Credentials(String),
    /// The credentials belong to another universe than the endpoint.
    #[error("credentials: {0}")]
    Universe(Box<UniverseMismatch>),
    /// The credentials name a universe that is no domain.
    #[error("credentials: their universe_domain {0:?} is not a domain")]
    BadUniverse(String),
    /// An access token would cross a network in the clear.
    #[error("credentials are not sent over plain http to {0}: use https, or no credentials")]
    PlainHttp(Endpoint),
    /// The `User-Agent` is not a valid header value.
    #[error("the user agent holds a character that a header cannot carry")]
    UserAgent,
}
