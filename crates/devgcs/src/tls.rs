//! HTTPS: with a certificate that is given, or one that is made for the occasion.

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

/// How a server speaks HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// A certificate for `localhost`, the loopback addresses and the address listened on, made at each
    /// start, of a certificate authority made with it. The authority's certificate, which clients must
    /// trust, is written to `ca.pem` in this directory; its key is kept nowhere.
    Generated(PathBuf),
    /// A certificate chain and its key, in PEM files.
    Files {
        /// The server's certificate, and what lies between it and its authority.
        certificates: PathBuf,
        /// The certificate's private key.
        key: PathBuf,
    },
}

/// What accepts TLS, and the certificate to trust for it, if it was made here.
pub(crate) struct Acceptor {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) ca_file: Option<PathBuf>,
}

impl Tls {
    /// Reads or makes the certificate of a server on `address`. Blocks.
    pub(crate) fn acceptor(&self, address: IpAddr) -> io::Result<Acceptor> {
        let (chain, key, ca_file) = match self {
            Self::Generated(directory) => {
                let (chain, key, path) = generate(directory, address)?;
                (chain, key, Some(path))
            }
            Self::Files { certificates, key } => (
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
            ca_file,
        })
    }
}

type Generated = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, PathBuf);

fn generate(directory: &Path, address: IpAddr) -> io::Result<Generated> {
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
    let mut server = CertificateParams::new(names).map_err(io::Error::other)?;
    server.distinguished_name = named("devgcs");
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = server.signed_by(&key, &issuer).map_err(io::Error::other)?;

    fs::create_dir_all(directory)?;
    let path = directory.join(CA_FILE);
    fs::write(&path, issuer.pem())?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok((vec![certificate.der().clone()], key.into(), path))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn bad_file(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
}
