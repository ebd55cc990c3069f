//! Where the admin listener is.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};

use crate::server::SocketFile;

/// Where an admin listener is, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `127.0.0.1:9743`
    Tcp(SocketAddr),
    /// `unix:/run/gcsd/admin.sock`
    Unix(PathBuf),
}

/// A text is no address of an admin listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be an address and a port, such as 127.0.0.1:9743, or unix:PATH")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix("unix:") {
            Some("") => Err(AddressError),
            Some(path) => Ok(Self::Unix(PathBuf::from(path))),
            None => text.parse().map(Self::Tcp).map_err(|_| AddressError),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Connects to it.
    pub async fn connect(&self) -> io::Result<Pin<Box<dyn Stream>>> {
        Ok(match self {
            Self::Tcp(address) => Box::pin(TcpStream::connect(address).await?),
            Self::Unix(path) => Box::pin(UnixStream::connect(path).await?),
        })
    }
}

/// A connection to, or of, an admin listener.
pub trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// A bound admin listener. The file of a Unix socket goes with it.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        path: PathBuf,
        _file: SocketFile,
    },
}

/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;

impl Listener {
    /// Listens. The file of a Unix socket is for its owner alone; one that a daemon has left behind is replaced.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        let socket = match address {
            Address::Tcp(address) => Socket::Tcp(TcpListener::bind(address).await?),
            Address::Unix(path) => {
                remove_abandoned(path).await?;
                let socket = UnixSocket::new_stream()?;
                socket.bind(path)?;
                let file = SocketFile::bound(path)?;
                // Nobody can connect before it listens, so nobody can before its file says who may.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
                Socket::Unix {
                    listener: socket.listen(BACKLOG)?,
                    path: path.clone(),
                    _file: file,
                }
            }
        };
        let address = match &socket {
            Socket::Tcp(listener) => Address::Tcp(listener.local_addr()?),
            Socket::Unix { path, .. } => Address::Unix(path.clone()),
        };
        Ok(Self { socket, address })
    }

    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn is_unix(&self) -> bool {
        matches!(self.socket, Socket::Unix { .. })
    }

    /// Waits for a connection. Cancel safe.
    pub(super) async fn accept(&self) -> io::Result<Pin<Box<dyn Stream>>> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => Box::pin(listener.accept().await?.0),
            Socket::Unix { listener, .. } => Box::pin(listener.accept().await?.0),
        })
    }
}

/// Removes the file of a socket that nobody listens on. Whatever else is there stays, and binding fails.
async fn remove_abandoned(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}
