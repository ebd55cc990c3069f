//! Connections: accepted, bounded, served one task each, and cut when the server ends.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::faults::Cut;
use super::origin::Origin;
use super::router;
use super::service::Service;
use super::transport::Transport;

/// Connections at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 16 * 1024;

/// The largest head of a request: an object name of 1,024 bytes is 3 KiB when it is encoded, and may come twice.
const MAX_HEAD: usize = 64 * 1024;

/// The most headers in a head.
const MAX_HEADERS: usize = 128;

/// Bytes read from a connection at once.
const READ_SIZE: usize = 256 * 1024;

/// How long a head may take, and how long a connection may be idle before its next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(240);

/// How long a TLS handshake may take.
#[cfg(feature = "tls")]
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// How much is still read from a connection that a fault closes, and for how long.
const DRAIN_LIMIT: u64 = 64 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// How long to wait when no connection can be accepted, mostly because file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound listener with what it serves.
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) service: Arc<Service>,
    pub(crate) transport: Transport,
    pub(crate) body_idle_timeout: Duration,
}

impl Listening {
    /// Serves until the sender of `stopped` is dropped, then cuts every connection.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<()>) {
        let mut connections = JoinSet::new();
        loop {
            let has_room = connections.len() < MAX_CONNECTIONS;
            let stream = tokio::select! {
                _ = stopped.changed() => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept(), if has_room => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "devgcs: cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let (service, transport) = (Arc::clone(&self.service), self.transport.clone());
            let body_idle_timeout = self.body_idle_timeout;
            connections.spawn(async move {
                if let Err(error) = accept(stream, transport, service, body_idle_timeout).await {
                    tracing::debug!(%error, "devgcs: a connection ended");
                }
            });
        }
        connections.shutdown().await;
    }
}

async fn accept(
    stream: TcpStream,
    transport: Transport,
    service: Arc<Service>,
    body_idle_timeout: Duration,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let origin = Origin::new(transport.scheme(), stream.local_addr()?);
    match transport {
        Transport::Plain => {
            let (served, stream) = serve(stream, origin, service, body_idle_timeout).await;
            end(served, stream, TcpStream::set_zero_linger).await
        }
        #[cfg(feature = "tls")]
        Transport::Tls(acceptor) => {
            let stream = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await??;
            let (served, stream) = serve(stream, origin, service, body_idle_timeout).await;
            end(served, stream, |stream| stream.get_ref().0.set_zero_linger()).await
        }
    }
}

/// Serves a connection to its end; returns the stream beneath it.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    origin: Origin,
    service: Arc<Service>,
    body_idle_timeout: Duration,
) -> (Result<(), hyper::Error>, S) {
    let handle = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move {
            let response = router::handle(service, origin, body_idle_timeout, request).await;
            match response.extensions().get::<Cut>() {
                None => Ok(response),
                Some(cut) => Err(*cut),
            }
        }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(READ_SIZE)
        // A client that has sent its request may close its half and still read the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), handle);
    let served = (&mut connection).await;
    (served, connection.into_parts().io.into_inner())
}

/// Ends a connection: if a fault has cut it, as the fault says.
async fn end<S: AsyncRead + AsyncWrite + Unpin>(
    served: Result<(), hyper::Error>,
    mut stream: S,
    reset_on_drop: impl Fn(&S) -> io::Result<()>,
) -> io::Result<()> {
    let Err(error) = served else { return Ok(()) };
    match error.source().and_then(|source| source.downcast_ref::<Cut>()) {
        None => {}
        Some(Cut::Reset) => reset_on_drop(&stream)?,
        Some(Cut::Close) => {
            stream.shutdown().await?;
            // Unread bytes would turn the close into a reset.
            let mut rest = stream.take(DRAIN_LIMIT);
            let mut sink = tokio::io::sink();
            let drain = tokio::io::copy(&mut rest, &mut sink);
            let _ = timeout(DRAIN_TIME, drain).await;
        }
    }
    Err(io::Error::other(error))
}
