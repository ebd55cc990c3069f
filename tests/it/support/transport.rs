//! One daemon behind every transport.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use gcsd::server::{Listener, SocketFile, Tls, TlsFiles};
use gcsd_client::{Address, Connection, Daemons, Options as ClientOptions};
use gcsd_net::{BoxStream, Plain, SharedConnector};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::authority::Authority;
use super::daemon::{Daemon, Options};
use super::peer::patiently;
use super::uploads::tcp;

/// The name of the daemon's certificate.
pub(crate) const HOST: &str = "localhost";

/// How a client reaches a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Plain,
    Tls,
    Mutual,
    Unix,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Tls, Self::Mutual, Self::Unix];
}

/// A daemon that listens in every way, whose certificates one authority has signed.
pub(crate) struct Transports {
    pub(crate) daemon: Daemon,
    pub(crate) authority: Authority,
    tls: SocketAddr,
    mutual: SocketAddr,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Transports {
    pub(crate) async fn start(mut options: Options) -> Self {
        let authority = Authority::new();
        let (cert, key) = authority.issue(HOST);
        let files = |client_ca| TlsFiles {
            cert: cert.clone(),
            key: key.clone(),
            client_ca,
        };
        let load = |files| Arc::new(Tls::load(files).expect("certificates"));
        let (tls_listener, tls) = listen().await;
        let (mutual_listener, mutual) = listen().await;
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        let unix = UnixListener::bind(&socket).expect("a socket");
        let file = SocketFile::bound(&socket).expect("its file");
        options.listeners = vec![
            Listener::Tls(tls_listener, load(files(None))),
            Listener::Tls(mutual_listener, load(files(Some(authority.file())))),
            Listener::Unix(unix, Some(file)),
        ];
        let daemon = Daemon::with(options).await;
        Self {
            daemon,
            authority,
            tls,
            mutual,
            socket,
            _folder: folder,
        }
    }

    /// Where the TCP listener of this way is.
    pub(crate) fn port(&self, way: Way) -> SocketAddr {
        match way {
            Way::Tls => self.tls,
            Way::Mutual => self.mutual,
            Way::Plain => self.daemon.address,
            Way::Unix => panic!("it has no port"),
        }
    }

    /// What `--connect` takes.
    pub(crate) fn address(&self, way: Way) -> Address {
        match way {
            Way::Plain => self.daemon.address.into(),
            Way::Unix => Address::Unix(self.socket.clone()),
            _ => format!("tls://{HOST}:{}", self.port(way).port())
                .parse()
                .expect("an address"),
        }
    }

    /// The options of a client that is trusted.
    pub(crate) fn options(&self, way: Way) -> ClientOptions {
        let ca = self.authority.file();
        let (cert, key) = self.authority.issue("client");
        let tls = |identity| gcsd_client::Tls::new(Some(&ca), identity).expect("certificates");
        match way {
            Way::Plain | Way::Unix => ClientOptions::default(),
            Way::Tls => ClientOptions::default().with_tls(tls(None)),
            Way::Mutual => ClientOptions::default().with_tls(tls(Some((&cert, &key)))),
        }
    }

    /// The daemon, through `connector`.
    pub(crate) fn daemons(&self, way: Way, connector: SharedConnector) -> Daemons {
        Daemons::new(connector, vec![self.address(way)], self.options(way))
    }

    /// A connection of the library.
    pub(crate) async fn connect(&self, way: Way) -> Connection {
        let mut daemons = self.daemons(way, tcp());
        patiently(daemons.connect()).await.expect("connected")
    }

    /// A stream whose every byte the test decides.
    pub(crate) async fn stream(&self, way: Way) -> BoxStream {
        match way {
            Way::Unix => Box::new(UnixStream::connect(&self.socket).await.expect("connected")),
            Way::Plain => Box::new(TcpStream::connect(self.port(way)).await.expect("connected")),
            Way::Tls | Way::Mutual => {
                let stream = TcpStream::connect(self.port(way)).await.expect("connected");
                let name = ServerName::try_from(HOST).expect("a name");
                let connecting = self.connector(way == Way::Mutual).connect(name, stream);
                Box::new(Plain(patiently(connecting).await.expect("a handshake")))
            }
        }
    }

    fn connector(&self, identity: bool) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.authority.file()).expect("a CA");
        roots.add(ca).expect("a CA");
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = if identity {
            let (cert, key) = self.authority.issue("client");
            let cert = CertificateDer::from_pem_file(cert).expect("a certificate");
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            builder.with_client_auth_cert(vec![cert], key).expect("a pair")
        } else {
            builder.with_no_client_auth()
        };
        TlsConnector::from(Arc::new(config))
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}
