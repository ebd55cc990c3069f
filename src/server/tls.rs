//! TLS of the listeners: certificates, which may change while the daemon runs.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tracing::{info, warn};

use crate::peer::Certificate;

/// The files of a TLS listener, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate that clients see, and those between it and the authority that they trust.
    pub cert: PathBuf,
    /// Its private key, which only the daemon's user and group may read.
    pub key: PathBuf,
    /// The authorities whose clients are let in. Without it, no client is asked for a certificate.
    pub client_ca: Option<PathBuf>,
}

/// Why a listener can have no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Others can read the private key.
    #[error("{path}: others can read this private key: take the right away with `chmod o-rwx {path}`", path = path.display())]
    Open {
        /// Which one.
        path: PathBuf,
    },
    /// A file holds something else than it should.
    #[error("{}: {problem}", path.display())]
    Content {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The files do not go together.
    #[error("{} and {}: {problem}", cert.display(), key.display())]
    Pair {
        /// The file of the certificate.
        cert: PathBuf,
        /// That of the key.
        key: PathBuf,
        /// Why not.
        problem: String,
    },
}

/// What the listeners of a daemon need for TLS. New handshakes use what was loaded last; connections that are there go on.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    config: Arc<ServerConfig>,
    not_after: SystemTime,
    /// What the files were when they were looked at last.
    stamps: Stamps,
}

/// What was loaded, and is not used yet.
#[derive(Debug)]
pub struct Loaded {
    config: Arc<ServerConfig>,
    not_after: SystemTime,
}

/// What shows that a file is another one, or has another content: of each file, where it can be looked at.
type Stamps = [Option<(u64, u64, u64, i64, i64)>; 3];

impl Tls {
    /// Loads the files.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let stamps = stamps(&files);
        let (config, not_after) = load(&files)?;
        let state = State {
            config,
            not_after,
            stamps,
        };
        Ok(Self {
            files,
            state: Mutex::new(state),
        })
    }

    /// The files.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Whether clients must show a certificate.
    pub fn is_mutual(&self) -> bool {
        self.files.client_ca.is_some()
    }

    /// The certificate is not valid after this moment.
    pub fn not_after(&self) -> SystemTime {
        self.state().not_after
    }

    /// Loads the files again: all of them, or none. With an error, everything is as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.replace(self.read()?);
        Ok(())
    }

    /// Loads the files again, for [`replace`](Self::replace).
    pub fn read(&self) -> Result<Loaded, TlsError> {
        let stamps = stamps(&self.files);
        let loaded = load(&self.files);
        self.state().stamps = stamps;
        loaded.map(|(config, not_after)| Loaded { config, not_after })
    }

    /// New handshakes use this.
    pub fn replace(&self, loaded: Loaded) {
        let mut state = self.state();
        (state.config, state.not_after) = (loaded.config, loaded.not_after);
    }

    /// Whether a file has changed since the files were loaded, or could not be.
    pub fn has_changed(&self) -> bool {
        stamps(&self.files) != self.state().stamps
    }

    /// Loads the files again when they have changed, which is looked at every so often. Does not return.
    ///
    /// Files that cannot be used are told once, for as long as they stay what they are.
    pub async fn follow(&self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A few small files, every so often: reading them does not hold anything up.
            if self.has_changed() {
                self.reload_and_tell();
            }
        }
    }

    /// Loads the files again, and logs what became of it. False with files that cannot be used.
    pub fn reload_and_tell(&self) -> bool {
        let cert = self.files.cert.display().to_string();
        match self.reload() {
            Ok(()) => info!(
                cert,
                days_left = self.days_left(),
                "the certificate was loaded again"
            ),
            Err(ref error) => {
                warn!(%error, "the certificate cannot be loaded again: the one before stays in use");
                return false;
            }
        }
        true
    }

    /// How many days the certificate is still valid; 0 where it is not any more.
    pub fn days_left(&self) -> u64 {
        let left = self.not_after().duration_since(SystemTime::now());
        left.map_or(0, |left| left.as_secs() / (24 * 60 * 60))
    }

    /// What the next handshake uses.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.state().config.clone())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    let stamp = |path: &Path| {
        let stamp = |file: Metadata| {
            (
                file.dev(),
                file.ino(),
                file.size(),
                file.mtime(),
                file.mtime_nsec(),
            )
        };
        std::fs::metadata(path).map(stamp).ok()
    };
    [
        stamp(&files.cert),
        stamp(&files.key),
        files.client_ca.as_deref().and_then(stamp),
    ]
}

fn load(files: &TlsFiles) -> Result<(Arc<ServerConfig>, SystemTime), TlsError> {
    // Named, so that another crate's choice of a process-wide provider does not matter.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(&files.cert)?;
    let not_after = match Certificate::from_der(&chain[0]) {
        Ok(certificate) => certificate.not_after,
        Err(error) => return Err(content(&files.cert, error.to_string())),
    };
    let key = private_key(&files.key)?;
    let unusable = |error: rustls::Error| TlsError::Pair {
        cert: files.cert.clone(),
        key: files.key.clone(),
        problem: match error {
            rustls::Error::InconsistentKeys(_) => "the key is not the certificate's".to_owned(),
            error => error.to_string(),
        },
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
    };
    let config = builder.with_single_cert(chain, key).map_err(unusable)?;
    Ok((Arc::new(config), not_after))
}

/// Lets in whom one of the authorities in `path` has signed.
fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| content(path, format!("a certificate cannot be used: {error}")))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier
        .map(|verifier| verifier as _)
        .map_err(|error| content(path, error.to_string()))
}

/// The certificates in a file, of which there is at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(content(path, "it holds no certificate in PEM".to_owned()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(content(path, format!("not PEM: {error}"))),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let metadata = std::fs::metadata(path).map_err(|error| file(path, error))?;
    if metadata.mode() & 0o007 != 0 {
        return Err(TlsError::Open {
            path: path.to_owned(),
        });
    }
    // What is wrong with a key is told without any of its text.
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        PemError::NoItemsFound => content(path, "it holds no private key in PEM".to_owned()),
        _ => content(path, "the private key is not PEM".to_owned()),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| file(path, error))
}

fn file(path: &Path, error: io::Error) -> TlsError {
    let path = path.to_owned();
    TlsError::File { path, error }
}

fn content(path: &Path, problem: String) -> TlsError {
    let path = path.to_owned();
    TlsError::Content { path, problem }
}
