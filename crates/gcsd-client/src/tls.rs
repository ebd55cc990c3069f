//! TLS to a daemon.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{AlertDescription, ClientConfig, Error as RustlsError, RootCertStore};

use gcsd_net::{BoxStream, Stream};

/// Whom a client trusts, and how it proves who it is, at an address such as `tls://host:port`.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

/// Why a client can do no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The system trusts nobody.
    #[error("the system has no certificates to trust: name a file of them")]
    NoCertificates,
    /// Something else that TLS needs cannot be had.
    #[error("TLS: {0}")]
    Other(String),
}

impl Tls {
    /// Trusts the authorities in `ca_file`, or else those of the system. With `identity`, the files of a certificate and its
    /// private key, it shows that to daemons that ask for one. All files are PEM.
    pub fn new(ca_file: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        match ca_file {
            Some(path) => {
                for certificate in certificates(path)? {
                    let added = roots.add(certificate);
                    added.map_err(|error| bad(path, format!("a certificate cannot be used: {error}")))?;
                }
            }
            None => {
                // Systems carry certificates that no verifier accepts: skip those.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(TlsError::NoCertificates);
                }
            }
        }
        // Named, so that another crate's choice of a process-wide provider does not matter.
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Other(error.to_string()))?
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = certificates(cert)?;
                // What is wrong with a key is told without any of its text.
                let der = PrivateKeyDer::from_pem_slice(&read(key)?)
                    .map_err(|_| bad(key, "it holds no private key in PEM".to_owned()))?;
                let built = builder.with_client_auth_cert(chain, der);
                built.map_err(|error| bad(cert, format!("with the key {}: {error}", key.display())))?
            }
        };
        let config = Arc::new(config);
        Ok(Self { config })
    }

    /// Does the handshake with the daemon at `host` over a stream that is connected.
    pub(super) async fn handshake(&self, host: &str, stream: BoxStream) -> io::Result<BoxStream> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let connector = TlsConnector::from(self.config.clone());
        let stream = connector.connect(name, stream).await?;
        Ok(Box::new(Secured(stream)))
    }
}

// A key is never printed.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(bad(path, "it holds no certificate in PEM".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(bad(path, format!("not PEM: {error}"))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| bad(path, error.to_string()))
}

fn bad(path: &Path, problem: String) -> TlsError {
    let path = path.to_owned();
    TlsError::File { path, problem }
}

/// Whether the two sides do not trust each other, or do not speak the same protocol, so that trying again does not help.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(RustlsError::InvalidCertificate(_) | RustlsError::NoCertificatesPresented) => true,
        Some(RustlsError::AlertReceived(alert)) => matches!(
            alert,
            AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateRequired
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure
        ),
        _ => false,
    }
}

/// A stream whose handshake has ended.
struct Secured(TlsStream<BoxStream>);

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Stream for Secured {
    fn reset_on_drop(&mut self) {
        self.0.get_mut().0.reset_on_drop();
    }

    fn set_user_timeout(&mut self, limit: Duration) {
        self.0.get_mut().0.set_user_timeout(limit);
    }

    fn acknowledged(&self) -> Option<u64> {
        self.0.get_ref().0.acknowledged()
    }
}
