//! The beginning of the URLs in answers.

use std::borrow::Cow;
use std::net::SocketAddr;

/// Where a connection came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    scheme: &'static str,
    address: SocketAddr,
}

impl Origin {
    /// A connection that speaks `scheme` and was accepted on `address`.
    pub(crate) fn new(scheme: &'static str, address: SocketAddr) -> Self {
        Self { scheme, address }
    }

    /// The scheme and the authority under which the client sees this server, from its `Host`.
    ///
    /// Google's Rust client leaves the port out of `Host` (google-cloud-storage 1.21), but needs it in the URI
    /// of a session. On loopback a missing port is that of the connection: there is no proxy in between.
    pub(crate) fn base(self, host: Option<&str>) -> String {
        let Self { scheme, address } = self;
        match host {
            None => format!("{scheme}://{address}"),
            Some(host) if address.ip().is_loopback() && !has_port(host) => {
                format!("{scheme}://{host}:{}", address.port())
            }
            Some(host) => format!("{scheme}://{host}"),
        }
    }
}

/// The path of a request whose `Host` names the bucket, as Google's own names do: `BUCKET.storage.googleapis.com`.
pub(crate) fn with_bucket<'a>(host: Option<&str>, path: &'a str) -> Cow<'a, str> {
    let host = host.unwrap_or_default();
    let name = match has_port(host) {
        true => host.rsplit_once(':').map_or(host, |(name, _)| name),
        false => host,
    };
    let bucket = name.strip_suffix(".storage.googleapis.com").unwrap_or_default();
    match bucket.is_empty() {
        true => path.into(),
        false => format!("/{bucket}{path}").into(),
    }
}

/// Whether an authority names a port; the colons of an IPv6 address stand in brackets.
fn has_port(host: &str) -> bool {
    host.rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_in_the_host_is_the_beginning_of_the_path() {
        for (host, path) in [
            (Some("storage.googleapis.com"), "/a/b"),
            (Some("bucket.storage.googleapis.com"), "/bucket/a/b"),
            (Some("my.bucket.storage.googleapis.com:443"), "/my.bucket/a/b"),
            (Some("127.0.0.1:4443"), "/a/b"),
            (Some("[::1]"), "/a/b"),
            (None, "/a/b"),
        ] {
            assert_eq!(with_bucket(host, "/a/b"), path, "{host:?}");
        }
    }

    #[test]
    fn a_port_that_the_client_left_out_is_added_on_loopback_only() {
        let local = Origin::new("http", SocketAddr::from(([127, 0, 0, 1], 4443)));
        let behind = Origin::new("https", SocketAddr::from(([10, 0, 0, 7], 4443)));
        for (origin, host, base) in [
            (local, Some("127.0.0.1"), "http://127.0.0.1:4443"),
            (local, Some("localhost:9000"), "http://localhost:9000"),
            (local, Some("[::1]"), "http://[::1]:4443"),
            (local, Some("[::1]:80"), "http://[::1]:80"),
            (local, None, "http://127.0.0.1:4443"),
            (behind, Some("gcs.test"), "https://gcs.test"),
        ] {
            assert_eq!(origin.base(host), base);
        }
    }
}
