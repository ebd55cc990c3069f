//! Where a daemon listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use gcsd_types::digits;

/// The port that a daemon listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 4743;

/// How a daemon is reached: what stands before an address, in `--connect` and `--listen` alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// `tcp://`, or nothing: plain TCP.
    Tcp,
    /// `tls://`
    Tls,
    /// `unix:`
    Unix,
}

impl Transport {
    /// Which one an address names, and what stands behind that.
    pub fn split(text: &str) -> Result<(Self, &str), AddressError> {
        if let Some(rest) = text.strip_prefix("unix:") {
            // As a URL has it, without a host.
            let path = if rest.starts_with("///") { &rest[2..] } else { rest };
            return match path {
                "" => Err(AddressError::Path),
                path => Ok((Self::Unix, path)),
            };
        }
        match text.split_once("://") {
            None => Ok((Self::Tcp, text)),
            Some(("tcp", rest)) => Ok((Self::Tcp, rest)),
            Some(("tls", rest)) => Ok((Self::Tls, rest)),
            Some((other, _)) => Err(AddressError::Transport(other.to_owned())),
        }
    }
}

/// Where a daemon is, as `--connect` takes it: `host:port`, `tls://host:port` or `unix:path`. The port can be left out, and an
/// IPv6 address with a port stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// Plain TCP.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// TLS, with a certificate for `host`.
    Tls {
        /// A name or an IP address, without brackets.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The daemon that speaks plain TCP at `host`, a name or an IP address without brackets.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        Self::Tcp { host, port }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip().to_string(), address.port())
    }
}

/// Text that is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no host.
    #[error("the host is missing: write HOST:PORT, such as 127.0.0.1:4743")]
    Host,
    /// What stands behind the last colon is not a port.
    #[error("'{0}' is not a port: write HOST:PORT, such as 127.0.0.1:4743")]
    Port(String),
    /// There is no path.
    #[error("the path is missing: write unix:PATH, such as unix:/run/gcsd.sock")]
    Path,
    /// What stands before `://` is not known here.
    #[error("'{0}://' is not spoken here: write HOST:PORT, tls://HOST:PORT or unix:PATH")]
    Transport(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (transport, rest) = Transport::split(text)?;
        if transport == Transport::Unix {
            return Ok(Self::Unix(rest.into()));
        }
        let (host, port) = host_and_port(rest)?;
        Ok(match transport {
            Transport::Tls => Self::Tls { host, port },
            _ => Self::Tcp { host, port },
        })
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), AddressError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(AddressError::Host)?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(AddressError::Port(after.to_owned())),
        }
    } else {
        match text.rsplit_once(':') {
            // More than one colon and no brackets: an IPv6 address alone.
            Some((front, _)) if front.contains(':') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(AddressError::Host);
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => digits(port)
            .filter(|port| *port != 0)
            .ok_or_else(|| AddressError::Port(port.to_owned()))?,
    };
    Ok((host.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Tcp { host, port } => ("", host, port),
            Self::Tls { host, port } => ("tls://", host, port),
            Self::Unix(path) => return write!(f, "unix:{}", path.display()),
        };
        if host.contains(':') {
            write!(f, "{scheme}[{host}]:{port}")
        } else {
            write!(f, "{scheme}{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let of = |text: &str| match text.parse::<Address>() {
            Ok(Address::Tcp { host, port }) => Ok((host, port)),
            Ok(other) => panic!("{other}"),
            Err(error) => Err(error),
        };
        assert_eq!(of("localhost:80"), Ok(("localhost".into(), 80)));
        assert_eq!(of("tcp://localhost:80"), Ok(("localhost".into(), 80)));
        assert_eq!(of("10.0.0.1"), Ok(("10.0.0.1".into(), DEFAULT_PORT)));
        assert_eq!(of("[::1]:99"), Ok(("::1".into(), 99)));
        assert_eq!(of("[::1]"), Ok(("::1".into(), DEFAULT_PORT)));
        assert_eq!(of("fe80::1"), Ok(("fe80::1".into(), DEFAULT_PORT)));
        assert_eq!(of(""), Err(AddressError::Host));
        assert_eq!(of(":80"), Err(AddressError::Host));
        assert_eq!(of("http://x"), Err(AddressError::Transport("http".into())));
        assert_eq!(of("x:"), Err(AddressError::Port(String::new())));
        assert_eq!(of("x:0"), Err(AddressError::Port("0".into())));
        assert_eq!(of("x:70000"), Err(AddressError::Port("70000".into())));
        assert_eq!(of("[::1]x"), Err(AddressError::Port("x".into())));
        assert_eq!(of("[::1"), Err(AddressError::Host));
        assert_eq!(of("unix:"), Err(AddressError::Path));
        assert_eq!(of("tls://"), Err(AddressError::Host));
    }

    #[test]
    fn prints_what_it_reads() {
        for text in [
            "a:1",
            "[::1]:4743",
            "tls://a:1",
            "tls://[::1]:4743",
            "unix:/run/x",
            "unix:x",
        ] {
            let address: Address = text.parse().expect("an address");
            assert_eq!(address.to_string(), text);
        }
        let url: Address = "unix:///run/x".parse().expect("an address");
        assert_eq!(url, Address::Unix("/run/x".into()));
    }
}
