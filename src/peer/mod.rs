//! Who is at the other end of a connection, as far as its transport knows.
//!
//! What a peer may do is not decided here, and nothing here comes from what it sent over the protocol: addresses and
//! credentials are the kernel's, and a certificate is here only once its signature was verified.

mod certificate;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use certificate::{Certificate, CertificateError};

/// Who is at the other end of an accepted connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// A plain TCP connection: an address says where packets go, and proves nothing else.
    Tcp(SocketAddr),
    /// A TLS connection.
    Tls {
        /// Where it comes from.
        address: SocketAddr,
        /// What the client has proved to be, where the listener asks for a certificate. Its chain was verified.
        certificate: Option<Arc<Certificate>>,
    },
    /// A connection to a Unix socket.
    Unix(Credentials),
}

/// The process that connected to a Unix socket, as the kernel kept it at that moment (`SO_PEERCRED`, unix(7)).
///
/// Inside a user namespace, ids that it does not map are all told as the overflow id, 65534.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The effective user id.
    pub uid: u32,
    /// The effective group id. Supplementary groups are not told.
    pub gid: u32,
    /// The process, where the system says which. Others may have it by now: it is for the log.
    pub pid: Option<i32>,
}

/// What connections of one peer have in common, for counts and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An IP address.
    Address(IpAddr),
    /// A user of this machine.
    User(u32),
}

impl Peer {
    /// Where it comes from, without the port or process that changes with every connection.
    pub fn origin(&self) -> Origin {
        match self {
            // One client has one address, whatever kind of socket took its connection.
            Self::Tcp(address) | Self::Tls { address, .. } => Origin::Address(address.ip().to_canonical()),
            Self::Unix(credentials) => Origin::User(credentials.uid),
        }
    }

    /// The certificate that it has shown, if the listener asked for one.
    pub fn certificate(&self) -> Option<&Certificate> {
        match self {
            Self::Tls { certificate, .. } => certificate.as_deref(),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }

    /// The same with a certificate that its client has shown, if it came over TLS.
    #[must_use]
    pub fn with_certificate(self, shown: Option<Arc<Certificate>>) -> Self {
        match self {
            Self::Tls { address, .. } => Self::Tls {
                address,
                certificate: shown,
            },
            other => other,
        }
    }

    /// What the kernel knows of its process, over a Unix socket.
    pub fn credentials(&self) -> Option<Credentials> {
        match self {
            Self::Unix(credentials) => Some(*credentials),
            Self::Tcp(_) | Self::Tls { .. } => None,
        }
    }

    /// Whether the transport has proved who it is: by the kernel's word, or by a certificate.
    pub fn is_proven(&self) -> bool {
        self.certificate().is_some() || self.credentials().is_some()
    }
}

/// An address, or `unix:uid=1000,gid=1000,pid=4711`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Tls { address, .. } => address.fmt(f),
            Self::Unix(Credentials { uid, gid, pid }) => {
                write!(f, "unix:uid={uid},gid={gid}")?;
                pid.map_or(Ok(()), |pid| write!(f, ",pid={pid}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_and_sorted_by_where_it_comes_from() {
        let address: SocketAddr = "[::ffff:10.0.0.1]:99".parse().expect("an address");
        let tcp = Peer::Tcp(address);
        assert_eq!(tcp.to_string(), "[::ffff:10.0.0.1]:99");
        assert_eq!(tcp.origin(), Origin::Address(IpAddr::from([10, 0, 0, 1])));
        assert!(!tcp.is_proven());
        let credentials = |pid| Credentials { uid: 7, gid: 8, pid };
        let unix = Peer::Unix(credentials(Some(9)));
        assert_eq!(unix.to_string(), "unix:uid=7,gid=8,pid=9");
        assert_eq!(Peer::Unix(credentials(None)).to_string(), "unix:uid=7,gid=8");
        assert_eq!(unix.origin(), Origin::User(7));
        assert!(unix.is_proven() && unix.certificate().is_none());
        let anonymous = Peer::Tls {
            address,
            certificate: None,
        };
        assert_eq!(anonymous.origin(), tcp.origin());
        assert!(!anonymous.is_proven());
    }
}
