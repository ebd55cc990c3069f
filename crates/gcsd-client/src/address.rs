//! Where a daemon listens.

use gcsd_types::digits;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The port that a daemon listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 4743;

/// A daemon's host and port, as `--connect` takes it: `host:port`, `host`, `[::1]:port` or `::1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Address {
    /// The daemon at `host`, a name or an IP address without brackets.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        Self { host, port }
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
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
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
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let of = |text: &str| text.parse::<Address>().map(|a| (a.host, a.port));
        assert_eq!(of("localhost:80"), Ok(("localhost".into(), 80)));
        assert_eq!(of("10.0.0.1"), Ok(("10.0.0.1".into(), DEFAULT_PORT)));
        assert_eq!(of("[::1]:99"), Ok(("::1".into(), 99)));
        assert_eq!(of("[::1]"), Ok(("::1".into(), DEFAULT_PORT)));
        assert_eq!(of("fe80::1"), Ok(("fe80::1".into(), DEFAULT_PORT)));
        assert_eq!(of(""), Err(AddressError::Host));
        assert_eq!(of(":80"), Err(AddressError::Host));
        assert_eq!(of("http://x"), Err(AddressError::Port("//x".into())));
        assert_eq!(of("x:"), Err(AddressError::Port(String::new())));
        assert_eq!(of("x:0"), Err(AddressError::Port("0".into())));
        assert_eq!(of("x:70000"), Err(AddressError::Port("70000".into())));
        assert_eq!(of("[::1]x"), Err(AddressError::Port("x".into())));
        assert_eq!(of("[::1"), Err(AddressError::Host));
    }

    #[test]
    fn prints_what_it_reads() {
        for text in ["a:1", "[::1]:4743"] {
            assert_eq!(
                text.parse::<Address>().map(|a| a.to_string()),
                Ok(text.to_owned())
            );
        }
    }
}
