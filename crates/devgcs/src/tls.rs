//! HTTPS, with a certificate from files or one made at the start.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The name of the file that clients must trust.
const CA_FILE: &str = "ca.pem";

/// Where the certificate of an HTTPS server comes from.
#[derive(Debug, Clone)]
pub struct Tls {
    source: Source,
    names: Vec<String>,
}

#[derive(Debug, Clone)]
enum Source {
    Generated { directory: Option<PathBuf> },
    Files { certificates: PathBuf, key: PathBuf },
}

impl Tls {
    /// A certificate for `localhost`, the loopback addresses and the address listened on, made at the start together
    /// with the certificate authority that signs it. Clients must trust that authority:
    /// [`Server::ca_pem`](crate::Server::ca_pem). Its key is kept nowhere.
    pub fn generated() -> Self {
        Self::of(Source::Generated { directory: None })
    }

    /// As [`generated`](Self::generated); the authority's certificate is also written to `ca.pem` in `directory`.
    pub fn generated_in(directory: impl Into<PathBuf>) -> Self {
        let directory = Some(directory.into());
        Self::of(Source::Generated { directory })
    }

    /// A certificate chain, the server's own certificate first, and its private key, both in PEM files.
    pub fn from_files(certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::of(Source::Files {
            certificates: certificates.into(),
            key: key.into(),
        })
    }

    fn of(source: Source) -> Self {
        let names = Vec::new();
        Self { source, names }
    }

    /// Adds a host name to a certificate that is made, such as `storage.googleapis.com` or `*.storage.googleapis.com`, for
    /// programs that know one address only and are led here by the resolver.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Reads or makes the certificate of a server on `address`. Blocks.
    pub(crate) fn acceptor(&self, address: IpAddr) -> io::Result<Acceptor> {
        let (chain, key, authority) = match &self.source {
            Source::Generated { directory } => {
                let (chain, key, pem) = generate(address, &self.names)?;
                let file = directory.as_deref().map(|directory| write(directory, &pem));
                let file = file.transpose()?;
                (chain, key, Some(Authority { pem, file }))
            }
            Source::Files { certificates, key } => (
                CertificateDer::pem_file_iter(certificates)
                    .and_then(Iterator::collect)
                    .map_err(|error| bad_file(certificates, error))?,
                PrivateKeyDer::from_pem_file(key).map_err(|error| bad_file(key, error))?,
                None,
            ),
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Acceptor {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            authority,
        })
    }
}

/// What accepts TLS, and the authority to trust for it, if it was made here.
pub(crate) struct Acceptor {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) authority: Option<Authority>,
}

/// The certificate of an authority that was made at the start.
pub(crate) struct Authority {
    pub(crate) pem: String,
    /// Where it was written to.
    pub(crate) file: Option<PathBuf>,
}

/// A certificate chain, its key, and the authority's certificate in PEM.
type Generated = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, String);

fn generate(address: IpAddr, more: &[String]) -> io::Result<Generated> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name = named("devgcs certificate authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = KeyPair::generate()
        .and_then(|key| CertifiedIssuer::self_signed(authority, key))
        .map_err(io::Error::other)?;

    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    if !address.is_unspecified() && !address.is_loopback() {
        names.push(address.to_string());
    }
    names.extend_from_slice(more);
    let mut server = CertificateParams::new(names).map_err(io::Error::other)?;
    server.distinguished_name = named("devgcs");
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = server.signed_by(&key, &issuer).map_err(io::Error::other)?;

    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok((vec![certificate.der().clone()], key.into(), issuer.pem()))
}

fn write(directory: &Path, pem: &str) -> io::Result<PathBuf> {
    let path = directory.join(CA_FILE);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, pem))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(path)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn bad_file(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
}
