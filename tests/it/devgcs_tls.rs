//! devgcs over HTTPS.

use std::sync::Arc;

use devgcs::{Server, StartError, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::devgcs::server_with;

async fn get(server: &Server, name: &str, ca: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(ca.as_bytes()).expect("a certificate");
    roots.add(certificate).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address()).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let request = format!(
        "GET /storage/v1/b/bucket HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        server.address()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_generated_certificate_is_trusted_by_its_authority() {
    let folder = tempfile::tempdir().expect("a directory");
    let start = async || {
        let tls = Tls::generated_in(folder.path().join("made"));
        server_with(Server::builder().tls(tls)).await
    };
    let server = start().await;
    assert!(server.endpoint().starts_with("https://127.0.0.1:"));
    let ca = std::fs::read_to_string(server.ca_file().expect("it was made")).expect("PEM");
    assert_eq!(Some(ca.as_str()), server.ca_pem());
    for name in ["localhost", "127.0.0.1"] {
        let answer = get(&server, name, &ca).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(
            answer.contains(&format!("{}/storage/v1/b/bucket", server.endpoint())),
            "{answer}"
        );
    }
    assert!(get(&server, "example.com", &ca).await.is_err(), "another name");
    let other = start().await;
    assert!(get(&other, "localhost", &ca).await.is_err(), "another authority");
}

#[tokio::test]
async fn a_generated_certificate_needs_no_file() {
    let server = server_with(Server::builder().tls(Tls::generated())).await;
    assert_eq!(server.ca_file(), None);
    let ca = server.ca_pem().expect("it was made");
    let answer = get(&server, "localhost", ca).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_no_start() {
    let tls = Tls::from_files("/nowhere/cert.pem", "/nowhere/key.pem");
    let error = Server::builder().tls(tls).start().await.expect_err("no file");
    let StartError::Tls(source) = error else {
        panic!("{error}")
    };
    assert!(source.to_string().contains("/nowhere/cert.pem"), "{source}");
}

#[tokio::test]
async fn a_generated_certificate_has_the_names_that_are_asked_for() {
    let tls = Tls::generated().name("storage.googleapis.com");
    let server = server_with(Server::builder().tls(tls)).await;
    let ca = server.ca_pem().expect("it was made").to_owned();
    for name in ["storage.googleapis.com", "localhost"] {
        let answer = get(&server, name, &ca).await.expect("it is trusted");
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
    }
    assert!(get(&server, "other.googleapis.com", &ca).await.is_err());
}
