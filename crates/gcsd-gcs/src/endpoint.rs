//! Where to connect: scheme, host and port of a URL, checked once.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use gcsd_types::digits;
use http::header::HeaderValue;
use http::uri::Uri;

/// Why a URL cannot be used to reach GCS.
///
/// It never holds the URL: a session URI is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The text is longer than any URL that GCS makes.
    #[error("the URL is longer than 16 KiB")]
    TooLong,
    /// The text is not a URL.
    #[error("not a URL")]
    Malformed,
    /// The URL starts with neither `http://` nor `https://`.
    #[error("the URL must start with http:// or https://")]
    Scheme,
    /// The URL names a user or a password.
    #[error("the URL must not name a user")]
    UserInfo,
    /// The port is not a number from 1 to 65535.
    #[error("the URL's port must be a number from 1 to 65535")]
    Port,
    /// The URL has a part behind `#`, which a server never sees.
    #[error("the URL must not have a fragment")]
    Fragment,
    /// An endpoint is only scheme, host and port.
    #[error("the URL must be only a scheme, a host and perhaps a port")]
    Path,
}

/// The longest URL that is parsed.
const MAX_URL: usize = 16 * 1024;

/// A scheme, a host and a port: `https://storage.googleapis.com`.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Arc<Parts>);

#[derive(PartialEq, Eq)]
struct Parts {
    tls: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// The `Host` header: with brackets, and with the port unless it is the scheme's default.
    authority: HeaderValue,
}

impl Endpoint {
    /// Google Cloud Storage itself, `https://storage.googleapis.com`.
    pub fn google() -> Self {
        Self(Arc::new(Parts {
            tls: true,
            host: "storage.googleapis.com".to_owned(),
            port: 443,
            authority: HeaderValue::from_static("storage.googleapis.com"),
        }))
    }

    /// Reads `http://host[:port]` or `https://host[:port]`; one `/` at the end is ignored.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let (endpoint, rest) = Self::split(text)?;
        match rest.path_and_query().map(|path| path.as_str()) {
            None | Some("/") => Ok(endpoint),
            Some(_) => Err(EndpointError::Path),
        }
    }

    /// Takes the endpoint out of any URL. Returns the parsed URL as well.
    pub(super) fn split(text: &str) -> Result<(Self, Uri), EndpointError> {
        if text.len() > MAX_URL {
            return Err(EndpointError::TooLong);
        }
        if text.contains('#') {
            return Err(EndpointError::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| EndpointError::Malformed)?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(EndpointError::Scheme),
        };
        let authority = uri.authority().ok_or(EndpointError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let bracketed = authority.host();
        let host = match bracketed.strip_prefix('[') {
            Some(v6) => {
                let v6 = v6.strip_suffix(']').ok_or(EndpointError::Malformed)?;
                v6.parse::<Ipv6Addr>().map_err(|_| EndpointError::Malformed)?;
                v6
            }
            None => bracketed,
        };
        if host.is_empty() {
            return Err(EndpointError::Malformed);
        }
        let standard = if tls { 443 } else { 80 };
        let port = match authority.as_str().get(bracketed.len()..).unwrap_or_default() {
            "" => standard,
            text => text
                .strip_prefix(':')
                .and_then(digits)
                .filter(|port| *port != 0)
                .ok_or(EndpointError::Port)?,
        };
        let authority = if port == standard {
            bracketed.to_owned()
        } else {
            format!("{bracketed}:{port}")
        };
        let authority = HeaderValue::try_from(authority).map_err(|_| EndpointError::Malformed)?;
        let host = host.to_ascii_lowercase();
        Ok((
            Self(Arc::new(Parts {
                tls,
                host,
                port,
                authority,
            })),
            uri,
        ))
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.0.tls
    }

    /// A name or an address, without brackets.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Whether the host is this machine, so that plain http reveals nothing to a network.
    pub fn is_loopback(&self) -> bool {
        match self.0.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.0.host == "localhost",
        }
    }

    pub(super) fn authority(&self) -> &HeaderValue {
        &self.0.authority
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.0.tls { "https" } else { "http" };
        write!(
            f,
            "{scheme}://{}",
            self.0.authority.to_str().unwrap_or(&self.0.host)
        )
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_scheme_host_and_port() {
        for (text, shown, host, port, tls) in [
            (
                "https://storage.googleapis.com",
                "https://storage.googleapis.com",
                "storage.googleapis.com",
                443,
                true,
            ),
            (
                "http://localhost:4443/",
                "http://localhost:4443",
                "localhost",
                4443,
                false,
            ),
            ("http://[::1]:80", "http://[::1]", "::1", 80, false),
            ("https://[::1]:8443", "https://[::1]:8443", "::1", 8443, true),
            (
                "https://Host.Example:443",
                "https://Host.Example",
                "host.example",
                443,
                true,
            ),
        ] {
            let endpoint = Endpoint::parse(text).expect(text);
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(
                (endpoint.host(), endpoint.port(), endpoint.is_tls()),
                (host, port, tls)
            );
        }
        for (text, error) in [
            ("storage.googleapis.com", EndpointError::Scheme),
            ("ftp://host", EndpointError::Scheme),
            ("https://", EndpointError::Malformed),
            ("https://user:pw@host", EndpointError::UserInfo),
            ("https://host:99999", EndpointError::Port),
            ("https://host:0", EndpointError::Port),
            ("https://host:", EndpointError::Port),
            ("https://host/path", EndpointError::Path),
            ("https://host?query", EndpointError::Path),
            ("https://host/#x", EndpointError::Fragment),
            ("https://[x]", EndpointError::Malformed),
            ("https://a b", EndpointError::Malformed),
            ("", EndpointError::Malformed),
        ] {
            assert_eq!(Endpoint::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(
            Endpoint::parse(&"x".repeat(MAX_URL + 1)),
            Err(EndpointError::TooLong)
        );
    }

    #[test]
    fn loopback_is_known() {
        for (text, expected) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(
                Endpoint::parse(text).expect(text).is_loopback(),
                expected,
                "{text}"
            );
        }
    }
}
