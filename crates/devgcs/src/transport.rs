//! What connections speak below HTTP: nothing, or TLS.

#[cfg(feature = "tls")]
use tokio_rustls::TlsAcceptor;

/// How a connection is accepted.
#[derive(Clone)]
pub(crate) enum Transport {
    /// As it is.
    Plain,
    /// By a TLS handshake.
    #[cfg(feature = "tls")]
    Tls(TlsAcceptor),
}

impl Transport {
    /// The scheme of the URLs that lead here.
    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "https",
        }
    }
}
