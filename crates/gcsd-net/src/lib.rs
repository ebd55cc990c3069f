//! Outgoing connections: the one place where a socket is dialed.
//!
//! The GCS client and the client library take a [`Connector`], so that whoever composes them can put
//! another one underneath: the fault injection does.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpStream, lookup_host};

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the drop of this stream a reset for the peer, where the transport has such a thing.
    ///
    /// TCP sends RST then, and what the peer's kernel has not yet taken is lost. Elsewhere the peer
    /// sees the plain end of the stream.
    fn reset_on_drop(&mut self) {}
}

impl Stream for TcpStream {
    fn reset_on_drop(&mut self) {
        // A socket that the peer has closed may refuse the option; it is over all the same.
        let _ = self.set_zero_linger();
    }
}

#[cfg(unix)]
impl Stream for tokio::net::UnixStream {}

impl Stream for DuplexStream {}

/// Any byte stream as a [`Stream`], for types that are not one, such as a TLS stream. It has no reset.
#[derive(Debug)]
pub struct Plain<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for Plain<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Plain<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
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

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for Plain<S> {}

impl Stream for BoxStream {
    fn reset_on_drop(&mut self) {
        (**self).reset_on_drop();
    }
}

/// A connected stream of whatever make.
pub type BoxStream = Box<dyn Stream>;

/// What [`Connector::connect`] returns.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<BoxStream>> + Send + 'a>>;

/// Opens byte streams to `host:port`.
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Resolves `host` (a name or an address without brackets) and connects to it.
    ///
    /// Each address of the name is tried in turn; the error is that of the last one. That a name has no
    /// address is told by a [`ResolveError`] inside the error.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a>;
}

/// A name has no address: the inner error of what [`Connector::connect`] then returns.
#[derive(Debug, thiserror::Error)]
#[error("the name {host} cannot be resolved: {problem}")]
pub struct ResolveError {
    host: String,
    problem: String,
}

impl ResolveError {
    /// The I/O error that says so.
    pub fn io(host: &str, problem: impl fmt::Display) -> io::Error {
        let (host, problem) = (host.to_owned(), problem.to_string());
        io::Error::new(io::ErrorKind::NotFound, Self { host, problem })
    }
}

impl<C: Connector + ?Sized> Connector for Arc<C> {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        (**self).connect(host, port)
    }
}

/// A connector that can be shared.
pub type SharedConnector = Arc<dyn Connector>;

/// Plain TCP with `TCP_NODELAY`: the wire and HTTP both write whole heads, so Nagle only delays.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let mut last = None;
            let addresses = lookup_host((host, port))
                .await
                .map_err(|error| ResolveError::io(host, error))?;
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        stream.set_nodelay(true)?;
                        return Ok(Box::new(stream) as BoxStream);
                    }
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(|| ResolveError::io(host, "it has no address")))
        })
    }
}
