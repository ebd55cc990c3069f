//! TLS to GCS.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::config_error::ConfigError;
use super::error::{Error, ErrorKind};

/// How many plain bytes rustls buffers before it must send: two reads of 256 KiB. With its default of 64 KiB each read
/// would be split.
pub(super) const BUFFER_LIMIT: usize = 512 * 1024;

/// A connector that trusts the certificates in `ca_file`, or else the system's, and speaks only HTTP/1.1.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, ConfigError> {
    let roots = match ca_file {
        Some(path) => file_roots(path).map_err(|problem| ConfigError::CaFile {
            path: path.to_owned(),
            problem,
        })?,
        None => system_roots()?,
    };
    // Named, so that another crate's choice of a process-wide provider does not matter.
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // HTTP/2's connection window caps parallel transfers (clickhouse-backup#1434).
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn file_roots(path: &Path) -> Result<RootCertStore, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("not PEM: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("a certificate cannot be used: {error}"))?;
    }
    if roots.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, ConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems carry certificates that no verifier accepts: skip those.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let problem = found
            .errors
            .first()
            .map_or("none installed".to_owned(), ToString::to_string);
        return Err(ConfigError::NoCertificates(problem));
    }
    Ok(roots)
}

/// The error of a failed handshake with `peer`.
pub(super) fn handshake_error(peer: impl fmt::Display, error: &io::Error) -> Error {
    let kind = match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(_)) => ErrorKind::Certificate,
        Some(_) => ErrorKind::Tls,
        None if error.kind() == io::ErrorKind::UnexpectedEof => ErrorKind::EarlyClose,
        None => ErrorKind::Reset,
    };
    Error::new(kind, format!("TLS handshake with {peer}: {error}"))
}

/// The TLS error inside an I/O error, if it is one.
pub(super) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_ca_file_is_a_clear_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        let error = |text: &str| {
            std::fs::write(&path, text).expect("write");
            connector(Some(&path)).err().expect("refused").to_string()
        };
        assert!(error("").contains("it holds no certificate"));
        assert!(error("hello").contains("it holds no certificate"));
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(error(cut).contains("not PEM"), "{}", error(cut));
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(error(junk).contains("cannot be used"), "{}", error(junk));
        let missing = connector(Some(&folder.path().join("none")))
            .err()
            .expect("refused");
        assert!(missing.to_string().contains("No such file"), "{missing}");
    }
}
