//! Connections: accepted, bounded, served one task each, and cut when the server ends.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::faults::Cut;
use super::origin::Origin;
use super::router;
use super::service::Service;

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
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// What still comes in on a connection that a fault closes is read so far, and so long.
const DRAIN_LIMIT: u64 = 64 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// How long to wait when no connection can be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound listener with what it serves.
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) service: Arc<Service>,
    /// Speaks TLS, if that is to be spoken.
    pub(crate) acceptor: Option<TlsAcceptor>,
    pub(crate) body_idle: Duration,
}

impl Listening {
    /// Serves until the sender of `stopped` is gone.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<()>) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let stream = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "devgcs: cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
                _ = stopped.changed() => return,
            };
            let (service, acceptor) = (Arc::clone(&self.service), self.acceptor.clone());
            let (body_idle, mut stopped) = (self.body_idle, stopped.clone());
            let counted = Counted::new(&service);
            tokio::spawn(async move {
                let _held = (permit, counted);
                tokio::select! {
                    served = accept(stream, acceptor, service, body_idle) => {
                        if let Err(error) = served {
                            tracing::debug!(%error, "devgcs: a connection ended");
                        }
                    }
                    _ = stopped.changed() => {}
                }
            });
        }
    }
}

/// Counts a connection from its acceptance until it is over, with all that was done for it.
struct Counted(Arc<Service>);

impl Counted {
    fn new(service: &Arc<Service>) -> Self {
        service.connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(service))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn accept(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    service: Arc<Service>,
    body_idle: Duration,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let address = stream.local_addr()?;
    match acceptor {
        None => {
            let origin = Origin::new("http", address);
            let (served, stream) = serve(stream, origin, service, body_idle).await;
            end(served, stream, TcpStream::set_zero_linger).await
        }
        Some(acceptor) => {
            let stream = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await??;
            let origin = Origin::new("https", address);
            let (served, stream) = serve(stream, origin, service, body_idle).await;
            end(served, stream, |stream| stream.get_ref().0.set_zero_linger()).await
        }
    }
}

/// Serves a connection to its end, and gives back what it stood on.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    origin: Origin,
    service: Arc<Service>,
    body_idle: Duration,
) -> (Result<(), hyper::Error>, S) {
    let handle = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move {
            let response = router::handle(service, origin, body_idle, request).await;
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

/// Ends a connection as it was served: one that a fault has cut, as the fault says.
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
            // What came in and is not read would make a reset of it.
            let mut rest = stream.take(DRAIN_LIMIT);
            let mut sink = tokio::io::sink();
            let drain = tokio::io::copy(&mut rest, &mut sink);
            let _ = timeout(DRAIN_TIME, drain).await;
        }
    }
    Err(io::Error::other(error))
}
