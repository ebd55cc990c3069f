//! The way to a server: straight, or through a proxy.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::config::Config;
use super::config_error::ConfigError;
use super::endpoint::Endpoint;
use super::error::{Error, ErrorKind};
use super::proxies::{Proxies, Proxy};
use super::tls::handshake_error;
use super::tunnel::{self, Secured};
use gcsd_net::{BoxStream, ResolveError, SharedConnector, is_exhausted};

/// Opens the byte streams that HTTP and TLS run on.
#[derive(Debug)]
pub(super) struct Route {
    connector: SharedConnector,
    proxies: Proxies,
    limit: Duration,
    /// When the kernel breaks a connection on which nothing is acknowledged.
    user_timeout: Duration,
}

impl Route {
    pub(super) fn new(config: &Config, connector: SharedConnector) -> Result<Self, ConfigError> {
        let route = Self {
            connector,
            proxies: config.proxies.clone().unwrap_or_else(Proxies::from_env),
            limit: config.connect_timeout,
            user_timeout: gcsd_net::backstop(config.stall_timeout),
        };
        route.proxies.route(&config.endpoint)?;
        Ok(route)
    }

    /// The proxy that connections to `server` go through, as it may be shown.
    pub(super) fn proxy(&self, server: &Endpoint) -> Option<String> {
        let proxy = self.proxies.route(server).ok()?;
        proxy.map(|proxy| proxy.to_string())
    }

    /// The time that a connection which begins now may take.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline {
            at: Instant::now() + self.limit,
            limit: self.limit,
        }
    }

    /// A stream to `server`, of which nothing has been said on it yet. `tls` gives what an https proxy is spoken to with.
    pub(super) async fn open<'a>(
        &self,
        server: &Endpoint,
        deadline: Deadline,
        tls: impl Fn() -> Result<&'a TlsConnector, Error>,
    ) -> Result<BoxStream, Error> {
        let proxy = self.proxies.route(server);
        match proxy.map_err(|error| Error::new(ErrorKind::Invalid, format!("the proxy: {error}")))? {
            None => self.dial(server, &server.to_string()).await,
            Some(proxy) => {
                let name = format!("the proxy {proxy}");
                let stream = self.dial(proxy.endpoint(), &name).await?;
                let tunnel = async {
                    let stream = match proxy.endpoint().is_tls() {
                        true => secured(&proxy, stream, tls()?).await?,
                        false => stream,
                    };
                    tunnel::open(stream, &proxy, server).await
                };
                deadline.hold(&name, tunnel).await
            }
        }
    }

    async fn dial(&self, endpoint: &Endpoint, name: &str) -> Result<BoxStream, Error> {
        let (host, port) = (endpoint.host(), endpoint.port());
        let mut stream = self
            .connector
            .connect_within(host, port, self.limit)
            .await
            .map_err(|error| connect_error(name, &error))?;
        stream.set_user_timeout(self.user_timeout);
        Ok(stream)
    }
}

async fn secured(proxy: &Proxy, stream: BoxStream, tls: &TlsConnector) -> Result<BoxStream, Error> {
    let name = ServerName::try_from(proxy.endpoint().host().to_owned()).map_err(|_| {
        Error::new(
            ErrorKind::Invalid,
            format!("the proxy {proxy}: no host name for TLS"),
        )
    })?;
    match tls.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(Secured::new(stream))),
        Err(error) => Err(handshake_error(format_args!("the proxy {proxy}"), &error)),
    }
}

fn connect_error(name: &str, error: &io::Error) -> Error {
    if is_exhausted(error) {
        let message =
            format!("no connection to {name} can be opened here, where a limit is reached: {error}");
        return Error::new(ErrorKind::Exhausted, message);
    }
    let unresolved = error.get_ref().is_some_and(|inner| inner.is::<ResolveError>());
    let kind = match error.kind() {
        _ if unresolved => ErrorKind::Resolve,
        io::ErrorKind::TimedOut => ErrorKind::ConnectTimeout,
        _ => ErrorKind::Connect,
    };
    Error::new(kind, format!("cannot connect to {name}: {error}"))
}

/// When a connection must be there, with all that belongs to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// Takes a step on the way to `peer`, which must be done in time.
    pub(super) async fn hold<T>(
        self,
        peer: &str,
        step: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        timeout_at(self.at, step).await.unwrap_or_else(|_| {
            let limit = self.limit;
            Err(Error::new(
                ErrorKind::ConnectTimeout,
                format!("{peer}: no answer within {limit:?}"),
            ))
        })
    }
}
