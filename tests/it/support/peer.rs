//! A server that does what a test says, byte by byte: what no HTTP library would send.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gcsd_gcs::{Config, Endpoint, Gcs, ObjectRef, SessionUri};
use gcsd_net::TcpConnector;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::http::PATIENCE;

/// A listening socket on a port of the system's choice.
#[derive(Debug)]
pub(crate) struct Peer {
    listener: TcpListener,
}

impl Peer {
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { listener }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("an address")
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Conversation<TcpStream> {
        let (stream, _) = patiently(self.listener.accept()).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Conversation::new(stream)
    }

    /// A configuration that reaches this peer without credentials, and gives up on nothing in a hurry.
    pub(crate) fn config(&self) -> Config {
        let endpoint = Endpoint::parse(&format!("http://{}", self.address())).expect("an endpoint");
        let mut config = Config::anonymous(endpoint);
        config.stall_timeout = PATIENCE;
        config.source_timeout = PATIENCE;
        config.connect_timeout = PATIENCE;
        config
    }

    pub(crate) fn gcs(&self) -> Gcs {
        client(self.config())
    }

    /// A configuration for https, that trusts the CA in `ca_file`.
    pub(crate) fn tls_config(&self, ca_file: PathBuf) -> Config {
        let endpoint = Endpoint::parse(&format!("https://{}", self.address())).expect("an endpoint");
        let mut config = self.config();
        config.endpoint = endpoint;
        config.ca_file = Some(ca_file);
        config
    }

    pub(crate) fn session(&self) -> SessionUri {
        SessionUri::parse(&format!("http://{}/session?upload_id=secret", self.address()))
            .expect("a session URI")
    }
}

pub(crate) fn client(config: Config) -> Gcs {
    Gcs::new(config, Arc::new(TcpConnector)).expect("a client")
}

pub(crate) fn object() -> ObjectRef {
    ObjectRef::new("bucket".parse().expect("a name"), "a/b".parse().expect("a name"))
}

/// Waits, but not for ever.
pub(crate) fn patiently<F: Future>(future: F) -> impl Future<Output = F::Output> {
    // In a box, so that what waits for it stays small.
    let future = Box::pin(future);
    async move { timeout(PATIENCE, future).await.expect("it came in time") }
}

/// One connection, seen from the server.
#[derive(Debug)]
pub(crate) struct Conversation<S> {
    stream: S,
    unread: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(crate) fn new(stream: S) -> Self {
        let unread = Vec::new();
        Self { stream, unread }
    }

    /// What is underneath, for TLS.
    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    /// The next request's head, without the empty line.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..end + 4).take(end).collect();
                return String::from_utf8(head).expect("a head in ASCII");
            }
            assert!(self.read().await > 0, "the connection ended in a head");
        }
    }

    /// The next `len` bytes.
    pub(crate) async fn body(&mut self, len: usize) -> Vec<u8> {
        while self.unread.len() < len {
            assert!(self.read().await > 0, "the connection ended in a body");
        }
        self.unread.drain(..len).collect()
    }

    /// All bytes up to and with `last`.
    pub(crate) async fn upto(&mut self, last: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.unread.windows(last.len()).position(|bytes| bytes == last) {
                return self.unread.drain(..at + last.len()).collect();
            }
            assert!(self.read().await > 0, "the connection ended too early");
        }
    }

    /// All bytes up to the end of the connection, which may be a reset.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.read().await > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// Counts the bytes up to the end of the connection, which may be a reset.
    pub(crate) async fn count_to_end(&mut self) -> u64 {
        self.end().await.0
    }

    /// Reads to the end of the connection: how many bytes there were, and the error that it ended with, if it did.
    pub(crate) async fn end(&mut self) -> (u64, Option<std::io::ErrorKind>) {
        let mut count = std::mem::take(&mut self.unread).len() as u64;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match patiently(self.stream.read(&mut buffer)).await {
                Ok(0) => return (count, None),
                Ok(n) => count += n as u64,
                Err(error) => return (count, Some(error.kind())),
            }
        }
    }

    async fn read(&mut self) -> usize {
        patiently(self.stream.read_buf(&mut self.unread))
            .await
            .unwrap_or(0)
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        patiently(self.stream.write_all(bytes.as_ref()))
            .await
            .expect("sent");
        patiently(self.stream.flush()).await.expect("sent");
    }

    /// Sends until the other side takes no more for a while, or is gone. Says how much it took.
    pub(crate) async fn flood(&mut self) -> u64 {
        let chunk = vec![1; 64 * 1024];
        let mut taken = 0;
        while let Ok(Ok(n)) = timeout(Duration::from_millis(500), self.stream.write(&chunk)).await {
            taken += n as u64;
        }
        taken
    }
}

impl Conversation<TcpStream> {
    /// Ends the connection by a reset: what was sent and not yet read by the client may be lost.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("an option");
    }
}

/// A response with a body of known length.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A 308, with or without the header that says what is persisted.
pub(crate) fn active(range: Option<&str>) -> String {
    let range = range.map_or(String::new(), |range| format!("Range: {range}\r\n"));
    response("308 Resume Incomplete", &range, "")
}

/// The answer that ends an upload.
pub(crate) fn finished() -> String {
    response(
        "200 OK",
        "X-GUploader-UploadID: id-7\r\n",
        r#"{"generation":"5","size":"3"}"#,
    )
}
