//! The sockets that a daemon listens on.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, UnixListener};

use super::socket::Socket;
use super::tls::Tls;
use crate::peer::{Credentials, Peer};

/// A socket that a daemon listens on, and how connections to it begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listener {
    /// Plain TCP.
    Tcp(TcpListener),
    /// TCP with TLS.
    Tls(TcpListener, Arc<Tls>),
    /// A Unix socket.
    Unix(UnixListener, Option<SocketFile>),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// A connection that was accepted just now.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) socket: Socket,
    /// Who it is, as far as that is known before a handshake.
    pub(super) peer: Peer,
    /// It begins with a TLS handshake.
    pub(super) tls: Option<Arc<Tls>>,
}

impl Listener {
    /// Where it listens; `None` for a Unix socket without a path, or if the system does not say.
    pub fn address(&self) -> Option<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(ListenAddress::Tcp),
            Self::Tls(listener, _) => listener.local_addr().ok().map(ListenAddress::Tls),
            Self::Unix(listener, _) => {
                let address = listener.local_addr().ok()?;
                address
                    .as_pathname()
                    .map(|path| ListenAddress::Unix(path.to_owned()))
            }
        }
    }

    /// How it does TLS, if it does.
    pub fn tls(&self) -> Option<&Arc<Tls>> {
        match self {
            Self::Tls(_, tls) => Some(tls),
            Self::Tcp(_) | Self::Unix(..) => None,
        }
    }

    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) => listener
                .local_addr()
                .is_ok_and(|address| address.ip().to_canonical().is_loopback()),
            Self::Unix(..) => true,
        }
    }

    /// The next connection.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming>> {
        let (socket, peer, tls) = match self {
            Self::Tcp(listener) => {
                let (stream, address) = ready!(listener.poll_accept(cx))?;
                (Socket::Tcp(stream), Peer::Tcp(address), None)
            }
            Self::Tls(listener, tls) => {
                let (stream, address) = ready!(listener.poll_accept(cx))?;
                let certificate = None;
                let peer = Peer::Tls { address, certificate };
                (Socket::Tcp(stream), peer, Some(tls.clone()))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                let told = stream.peer_cred()?;
                let credentials = Credentials {
                    uid: told.uid(),
                    gid: told.gid(),
                    pid: told.pid(),
                };
                (Socket::Unix(stream), Peer::Unix(credentials), None)
            }
        };
        Poll::Ready(Ok(Incoming { socket, peer, tls }))
    }
}

/// Where a daemon listens, as the log and clients name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `127.0.0.1:4743`
    Tcp(SocketAddr),
    /// `tls://127.0.0.1:4744`
    Tls(SocketAddr),
    /// `unix:/run/gcsd.sock`
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Tls(address) => write!(f, "tls://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The file of a Unix socket. Dropped, it removes the file, unless another has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl SocketFile {
    /// The file that was made by binding to `path`.
    pub fn bound(path: &Path) -> io::Result<Self> {
        let id = identity(path)?;
        let path = path.to_owned();
        Ok(Self { path, id })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|id| id == self.id) {
            // What cannot be removed is replaced by the next daemon.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
