//! Which proxy, if any, stands between this process and a server.

use std::fmt;

use http::Uri;
use http::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;

use super::endpoint::Endpoint;

/// The HTTP proxies for connections to GCS, as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` describe them.
///
/// Every connection through a proxy is a tunnel (`CONNECT`), to http endpoints too: the proxy moves bytes, and cannot hold a
/// body back, answer in GCS's place or repeat a request. A proxy's URL is `http://` or `https://`, with the user and the
/// password that it may want, percent-encoded: `http://USER:PASSWORD@HOST:PORT`. They are sent to the proxy alone
/// (`Proxy-Authorization: Basic`) and never shown.
///
/// Loopback endpoints are reached without a proxy, whatever the variables say.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For https servers; empty for none.
    https: String,
    /// For http servers; empty for none.
    http: String,
    /// As in `NO_PROXY`.
    no_proxy: String,
}

/// A proxy that cannot be used. It never shows the URL, which can hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The text is not a proxy's URL.
    #[error(
        "it must be http://HOST:PORT or https://HOST:PORT, perhaps with a percent-encoded USER:PASSWORD@ before HOST"
    )]
    Malformed,
    /// A proxy of another kind.
    #[error("{0}:// proxies are not supported, only http:// and https://")]
    Unsupported(String),
}

impl Proxies {
    /// What no proxy should be asked for: this machine, and the metadata server of Google's (and Amazon's) machines.
    pub const LOCAL: [&str; 6] = [
        "localhost",
        "127.0.0.0/8",
        "::1",
        "metadata.google.internal",
        "169.254.169.254",
        "fd20:ce::254",
    ];

    /// The proxy at `url` for every server.
    pub fn new(url: &str) -> Self {
        Self::default().through(url)
    }

    /// The proxy at `url` instead of those before, with the same exceptions.
    #[must_use]
    pub fn through(mut self, url: &str) -> Self {
        url.clone_into(&mut self.https);
        url.clone_into(&mut self.http);
        self
    }

    /// The proxies that the environment names: `HTTPS_PROXY` for https servers, `HTTP_PROXY` for http servers, `ALL_PROXY`
    /// where these are not set, and `NO_PROXY`, each in capitals or else in small letters.
    ///
    /// With `REQUEST_METHOD` set there are none: in a CGI program, whoever sends the request can set `HTTP_PROXY`
    /// (CVE-2016-5385). These are the rules of reqwest, which fetches access tokens.
    pub fn from_env() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        if variable("REQUEST_METHOD").is_some() {
            return Self::default();
        }
        let either = |name: &str| {
            variable(name)
                .or_else(|| variable(&name.to_ascii_lowercase()))
                .unwrap_or_default()
        };
        let or_all = |url: String| if url.is_empty() { either("ALL_PROXY") } else { url };
        Self {
            https: or_all(either("HTTPS_PROXY")),
            http: or_all(either("HTTP_PROXY")),
            no_proxy: either("NO_PROXY"),
        }
    }

    /// The same proxies, but none for the hosts of `list`, instead of those that were excepted before.
    ///
    /// The list is separated by commas: `*` for every host, a domain (with all below it), an IP address, or a range of
    /// addresses such as `10.0.0.0/8`.
    #[must_use]
    pub fn except(mut self, list: &str) -> Self {
        list.clone_into(&mut self.no_proxy);
        self
    }

    /// The same proxies, with [`LOCAL`](Self::LOCAL) and another metadata server (`GCE_METADATA_HOST`) excepted by name, for
    /// those who go by the variables alone.
    #[must_use]
    pub fn except_local(mut self) -> Self {
        for host in Self::LOCAL {
            self.except_too(host);
        }
        if let Ok(server) = std::env::var("GCE_METADATA_HOST") {
            // A port is none of the list's business; the colons of an IPv6 address are.
            let host = match server.rsplit_once(':') {
                Some((host, _)) if !host.contains(':') || host.ends_with(']') => host,
                _ => &server,
            };
            self.except_too(host.trim_matches(['[', ']']));
        }
        self
    }

    fn except_too(&mut self, host: &str) {
        if host.is_empty() || self.no_proxy.split(',').any(|known| known.trim() == host) {
            return;
        }
        if !self.no_proxy.is_empty() {
            self.no_proxy.push(',');
        }
        self.no_proxy.push_str(host);
    }

    /// Whether there is no proxy at all.
    pub fn is_empty(&self) -> bool {
        self.https.is_empty() && self.http.is_empty()
    }

    /// The environment that describes them: variables and their values, `None` for one that must not be set.
    ///
    /// The values hold passwords.
    pub fn variables(&self) -> [(&'static str, Option<&str>); 9] {
        let value = |text| Some(text).filter(|text: &&str| !text.is_empty());
        let (https, http, no_proxy) = (value(&self.https), value(&self.http), value(&self.no_proxy));
        [
            ("HTTPS_PROXY", https),
            ("https_proxy", https),
            ("HTTP_PROXY", http),
            ("http_proxy", http),
            ("NO_PROXY", no_proxy),
            ("no_proxy", no_proxy),
            ("ALL_PROXY", None),
            ("all_proxy", None),
            ("REQUEST_METHOD", None),
        ]
    }

    /// The proxy that a connection to `server` goes through.
    pub(super) fn route(&self, server: &Endpoint) -> Result<Option<Proxy>, ProxyError> {
        let url = if server.is_tls() { &self.https } else { &self.http };
        if url.is_empty() || server.is_loopback() {
            return Ok(None);
        }
        let proxy = Proxy::parse(url)?;
        let rules = Matcher::builder()
            .all(url.as_str())
            .no(self.no_proxy.as_str())
            .build();
        let server: Uri = server.to_string().parse().map_err(|_| ProxyError::Malformed)?;
        Ok(rules.intercept(&server).map(|_| proxy))
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |url: &str| match url {
            "" => "none".to_owned(),
            url => Proxy::parse(url).map_or_else(|error| error.to_string(), |proxy| proxy.to_string()),
        };
        f.debug_struct("Proxies")
            .field("https", &shown(&self.https))
            .field("http", &shown(&self.http))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// A proxy, and the credentials it wants.
#[derive(Clone)]
pub(super) struct Proxy {
    endpoint: Endpoint,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    fn parse(url: &str) -> Result<Self, ProxyError> {
        let any = Uri::from_static("http://any");
        let found = Matcher::builder().all(url).build().intercept(&any);
        let found = found.ok_or(ProxyError::Malformed)?;
        match found.uri().scheme_str() {
            Some("http" | "https") => {}
            other => return Err(ProxyError::Unsupported(other.unwrap_or_default().to_owned())),
        }
        Ok(Self {
            endpoint: Endpoint::parse(&found.uri().to_string()).map_err(|_| ProxyError::Malformed)?,
            authorization: found.basic_auth().cloned(),
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The value of `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().expect("an endpoint")
    }

    fn read(variables: &[(&str, &str)]) -> Proxies {
        Proxies::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    /// Where a connection to each of both kinds of servers goes.
    fn routes(proxies: &Proxies) -> [Option<String>; 2] {
        ["https://storage.googleapis.com", "http://gcs.example:4443"].map(|server| {
            let proxy = proxies.route(&endpoint(server)).expect("usable");
            proxy.map(|proxy| proxy.to_string())
        })
    }

    #[test]
    fn each_variable_has_its_place() {
        let both = |https: Option<&str>, http: Option<&str>| {
            [https, http].map(|url| url.map(|url| format!("http://{url}")))
        };
        let (s, h, a) = (
            ("HTTPS_PROXY", "http://s:1"),
            ("HTTP_PROXY", "http://h:2"),
            ("ALL_PROXY", "http://a:3"),
        );
        for (variables, expected) in [
            (&[][..], both(None, None)),
            (&[s], both(Some("s:1"), None)),
            (&[h], both(None, Some("h:2"))),
            (&[a], both(Some("a:3"), Some("a:3"))),
            (&[s, a], both(Some("s:1"), Some("a:3"))),
            (&[s, h, a], both(Some("s:1"), Some("h:2"))),
            (&[("https_proxy", "http://small:4")], both(Some("small:4"), None)),
            (&[("http_proxy", "small:4")], both(None, Some("small:4"))),
            (&[s, ("https_proxy", "http://small:4")], both(Some("s:1"), None)),
            (&[("HTTPS_PROXY", ""), a], both(Some("a:3"), Some("a:3"))),
            (
                &[("HTTPS_PROXY", ""), ("https_proxy", "small:4")],
                both(None, None),
            ),
            (
                &[s, h, ("NO_PROXY", "other.example,googleapis.com")],
                both(None, Some("h:2")),
            ),
            (&[s, h, ("no_proxy", "*")], both(None, None)),
            (&[s, h, ("REQUEST_METHOD", "GET")], both(None, None)),
        ] {
            assert_eq!(routes(&read(variables)), expected, "{variables:?}");
        }
    }

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        let proxies = Proxies::new("http://proxy:3128");
        for server in [
            "http://127.0.0.1:1",
            "https://[::1]:2",
            "http://localhost:3",
            "https://127.9.9.9",
        ] {
            assert!(
                proxies.route(&endpoint(server)).expect("usable").is_none(),
                "{server}"
            );
        }
        // Nor does it matter then that the proxy is none.
        let socks = Proxies::new("socks5://proxy:1080");
        assert!(
            socks
                .route(&endpoint("http://localhost:3"))
                .expect("unused")
                .is_none()
        );
    }

    #[test]
    fn exceptions_are_domains_addresses_and_ranges() {
        let proxies = Proxies::new("http://proxy:3128").except(".corp.example, 10.0.0.0/8 ,192.0.2.7,[::2]");
        for (server, direct) in [
            ("https://corp.example", true),
            ("https://GCS.corp.example", true),
            ("https://notcorp.example", false),
            ("http://10.1.2.3", true),
            ("http://11.1.2.3", false),
            ("http://192.0.2.7", true),
            ("http://192.0.2.8", false),
        ] {
            let route = proxies.route(&endpoint(server)).expect("usable");
            assert_eq!(route.is_none(), direct, "{server}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_being_shown() {
        let google = endpoint("https://storage.googleapis.com");
        let refused = |url: &str| Proxies::new(url).route(&google).err().expect(url);
        for url in [
            "ftp://s3cret@h",
            "http://",
            "http:///x",
            "http://u:s3cret@h:99999",
            "a b",
            "http://u:s3c@ret@h",
        ] {
            assert_eq!(refused(url), ProxyError::Malformed, "{url}");
        }
        for kind in ["socks4", "socks5", "socks5h"] {
            let error = refused(&format!("{kind}://u:s3cret@h:1080"));
            assert_eq!(error, ProxyError::Unsupported(kind.to_owned()));
            assert!(error.to_string().contains("only http:// and https://"), "{error}");
        }
        for url in [
            "http://u:s3cret@h:3128",
            "socks5://u:s3cret@h",
            "u:s3cret@h",
            "http://u:s3c@ret@h",
        ] {
            let shown = format!("{:?}", Proxies::new(url));
            assert!(!shown.contains("s3c"), "{shown}");
        }
        assert_eq!(
            format!("{:?}", Proxies::new("http://u:p@h:3128").except("x")),
            r#"Proxies { https: "http://h:3128", http: "http://h:3128", no_proxy: "x" }"#
        );
    }

    #[test]
    fn credentials_are_decoded_and_stand_in_no_text() {
        let proxy = Proxy::parse("https://us%40er:p%3Ass@proxy.example").expect("a proxy");
        let authorization = proxy.authorization().expect("credentials");
        // "us@er:p:ss"
        assert_eq!(authorization, "Basic dXNAZXI6cDpzcw==");
        assert!(authorization.is_sensitive());
        assert_eq!(proxy.to_string(), "https://proxy.example");
        assert_eq!((proxy.endpoint().port(), proxy.endpoint().is_tls()), (443, true));
        assert!(
            Proxy::parse("proxy.example:8080")
                .expect("a proxy")
                .authorization()
                .is_none()
        );
    }

    #[test]
    fn the_environment_that_describes_them_is_read_back() {
        for proxies in [
            Proxies::default(),
            Proxies::new("http://u:p@h:3128").except_local(),
            read(&[
                ("HTTPS_PROXY", "http://s"),
                ("NO_PROXY", "localhost, x"),
                ("REQUEST_METHOD", ""),
            ]),
            read(&[("http_proxy", "http://s"), ("ALL_PROXY", "http://a")])
                .except_local()
                .except_local(),
        ] {
            let variables = proxies.variables();
            let set: Vec<(&str, &str)> = variables
                .iter()
                .filter_map(|(name, value)| value.map(|value| (*name, value)))
                .collect();
            assert_eq!(read(&set), proxies);
        }
        let once = Proxies::new("http://h").except("x, ::1").except_local();
        assert_eq!(once.clone().except_local(), once);
        assert_eq!(once.no_proxy.matches("::1").count(), 1);
    }
}
