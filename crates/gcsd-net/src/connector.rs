//! The trait that every outgoing connection comes from.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::failures::ConnectError;
use super::stream::BoxStream;

/// What [`Connector::connect`] returns.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<BoxStream>> + Send + 'a>>;

/// Opens byte streams to `host:port`, and to Unix sockets.
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Resolves `host` (a name or an address without brackets) and connects to it, without a time limit of its own.
    ///
    /// A name without an address is a [`ResolveError`] inside the error; a name whose addresses all
    /// fail, by a [`ConnectError`] that names each of them.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a>;

    /// As [`connect`](Self::connect), with `limit` for resolving and connecting together. The error of a connection that
    /// took longer is [`TimedOut`](io::ErrorKind::TimedOut).
    ///
    /// A connector that tries several addresses should say in the error what became of each.
    fn connect_within<'a>(&'a self, host: &'a str, port: u16, limit: Duration) -> Connecting<'a> {
        Box::pin(async move {
            timeout(limit, self.connect(host, port))
                .await
                .unwrap_or_else(|_| Err(ConnectError::late(limit, Vec::new())))
        })
    }

    /// Connects to the Unix socket at `path`.
    fn connect_unix<'a>(&'a self, path: &'a Path) -> Connecting<'a> {
        Box::pin(unix(path))
    }
}

#[cfg(unix)]
async fn unix(path: &Path) -> io::Result<BoxStream> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn unix(_path: &Path) -> io::Result<BoxStream> {
    let problem = "this system has no Unix sockets";
    Err(io::Error::new(io::ErrorKind::Unsupported, problem))
}

impl<C: Connector + ?Sized> Connector for Arc<C> {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        (**self).connect(host, port)
    }

    fn connect_within<'a>(&'a self, host: &'a str, port: u16, limit: Duration) -> Connecting<'a> {
        (**self).connect_within(host, port, limit)
    }

    fn connect_unix<'a>(&'a self, path: &'a Path) -> Connecting<'a> {
        (**self).connect_unix(path)
    }
}

/// A connector that can be shared.
pub type SharedConnector = Arc<dyn Connector>;

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
