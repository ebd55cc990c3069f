//! Sending a request: on a connection from the pool, or on one that is dialed and encrypted here.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::clock::Limits;
use super::config::Config;
use super::config_error::ConfigError;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::error::{Error, ErrorKind};
use super::exchange::{Exchange, Sent};
use super::link::{Guard, Link, Meter};
use super::observer::SharedObserver;
use super::pool::Pool;
use super::request::RequestBody;
use super::route::Route;
use super::tls;
use gcsd_net::SharedConnector;

/// The largest head of a response.
const MAX_HEAD: usize = 64 * 1024;

/// How much of a body the HTTP connection takes before it waits for the socket: one read of the source, whatever that
/// gives. With its default of 400 KiB it would take a second one, which helps nobody.
const MAX_BUFFERED: usize = 64 * 1024;

/// Everything that HTTP requests need, whatever they ask for.
#[derive(Debug)]
pub(super) struct Transport {
    route: Route,
    ca_file: Option<std::path::PathBuf>,
    /// Made when the first https connection needs it: reading the system's certificates takes milliseconds.
    tls: OnceLock<Tls>,
    limits: Limits,
    pool: Arc<Pool>,
    observer: Option<SharedObserver>,
}

struct Tls(TlsConnector);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Transport {
    pub(super) fn new(config: &Config, connector: SharedConnector) -> Result<Self, ConfigError> {
        let transport = Self {
            route: Route::new(config, connector)?,
            ca_file: config.ca_file.clone(),
            tls: OnceLock::new(),
            limits: Limits {
                stall: config.stall_timeout,
                source: config.source_timeout,
            },
            pool: Pool::new(config.max_idle, config.idle_timeout),
            observer: config.observer.clone(),
        };
        if config.endpoint.is_tls() || config.ca_file.is_some() {
            transport.tls()?;
        }
        Ok(transport)
    }

    fn tls(&self) -> Result<&TlsConnector, ConfigError> {
        if self.tls.get().is_none() {
            let made = Tls(tls::connector(self.ca_file.as_deref())?);
            return Ok(&self.tls.get_or_init(|| made).0);
        }
        // It was there a moment ago.
        self.tls
            .get()
            .map(|tls| &tls.0)
            .ok_or_else(|| ConfigError::Tls("gone".to_owned()))
    }

    /// The proxy to `endpoint`, if there is one.
    pub(super) fn proxy(&self, endpoint: &Endpoint) -> Option<String> {
        self.route.proxy(endpoint)
    }

    /// How many connections are kept.
    pub(super) fn idle(&self) -> usize {
        self.pool.idle()
    }

    /// Sends `request` to `endpoint` and waits for the response's head.
    ///
    /// An idle connection is tried first. If it turns out to have ended before it took any byte of the request, the
    /// request goes out on a new one; nothing else is ever sent twice.
    pub(super) async fn send(
        &self,
        endpoint: &Endpoint,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Exchange), Error> {
        let mut request = request;
        if let Some(idle) = self.pool.take(endpoint) {
            match self.exchange(idle).send(request).await? {
                Sent::Answered(response, exchange) => {
                    if let Some(observer) = &self.observer {
                        observer.reused();
                    }
                    return Ok((response, exchange));
                }
                Sent::Unsent(unsent) => request = unsent,
            }
        }
        // Boxed: a handshake needs kilobytes that a request on an idle connection does not.
        let begun = Instant::now();
        let dialed = Box::pin(self.dial(endpoint)).await;
        if let Some(observer) = &self.observer {
            let outcome = dialed.as_ref().map(drop).map_err(Error::kind);
            observer.dialed(outcome, begun.elapsed());
        }
        let dialed = dialed?;
        match self.exchange(dialed).send(request).await? {
            Sent::Answered(response, exchange) => Ok((response, exchange)),
            Sent::Unsent(_) => Err(Error::new(
                ErrorKind::EarlyClose,
                "the server closed the connection as soon as it was open",
            )),
        }
    }

    fn exchange(&self, connection: Box<Connection>) -> Exchange {
        Exchange::new(connection, self.limits, self.pool.clone())
    }

    async fn dial(&self, endpoint: &Endpoint) -> Result<Box<Connection>, Error> {
        let tls = || {
            self.tls()
                .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))
        };
        let deadline = self.route.deadline();
        let stream = self.route.open(endpoint, deadline, tls).await?;
        let link = Arc::new(Link::default());
        let meter = Meter::new(stream, link.clone());
        let guard = if endpoint.is_tls() {
            let name = ServerName::try_from(endpoint.host().to_owned())
                .map_err(|_| Error::new(ErrorKind::Invalid, format!("{endpoint}: no host name for TLS")))?;
            let handshake = tls()?.connect_with(name, meter, |session| {
                session.set_buffer_limit(Some(tls::BUFFER_LIMIT));
            });
            let handshake = async {
                handshake
                    .await
                    .map_err(|error| tls::handshake_error(endpoint, &error))
            };
            let stream = deadline
                .hold(&format!("TLS handshake with {endpoint}"), handshake)
                .await?;
            Guard::tls(stream, link.clone())
        } else {
            Guard::plain(meter, link.clone())
        };
        let (sender, driver) = http1::Builder::new()
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_BUFFERED)
            .handshake(TokioIo::new(guard))
            .await
            .map_err(|error| Error::new(ErrorKind::Connect, format!("{endpoint}: {error}")))?;
        let connection = Connection::new(endpoint.clone(), sender, driver, link);
        Ok(Box::new(connection))
    }
}
