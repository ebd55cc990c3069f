//! What can be wrong with a configuration.

use std::path::PathBuf;

use super::endpoint::Endpoint;
use super::proxies::ProxyError;
use super::universe::UniverseMismatch;

/// Why no [`Gcs`](super::Gcs) could be made of a [`Config`](super::Config).
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
    /// The credentials name a universe that is not a domain.
    #[error("credentials: their universe_domain {0:?} is not a domain")]
    BadUniverse(String),
    /// An access token would cross a network in the clear.
    #[error("credentials are not sent over plain http to {0}: use https, or no credentials")]
    PlainHttp(Endpoint),
    /// The `User-Agent` is not a valid header value.
    #[error("the user agent holds a character that a header cannot carry")]
    UserAgent,
}
