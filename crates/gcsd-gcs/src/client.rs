//! The client: what every call shares.

use std::sync::Arc;
use std::time::Instant;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, Response};
use hyper::body::Incoming;

use super::answer::Answer;
use super::auth::Auth;
use super::config::Config;
use super::config_error::ConfigError;
use super::endpoint::Endpoint;
use super::error::{Call, Error};
use super::exchange::Exchange;
use super::observer::SharedObserver;
use super::request::RequestBody;
use super::transport::Transport;
use gcsd_net::SharedConnector;

/// A client of Google Cloud Storage. Cheap to clone; clones share connections and credentials.
#[derive(Clone, Debug)]
pub struct Gcs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    user_project: Option<String>,
    user_agent: HeaderValue,
    auth: Auth,
    transport: Transport,
    observer: Option<SharedObserver>,
}

impl Gcs {
    /// Makes a client whose connections come from `connector`.
    ///
    /// Reads the files that the configuration names, and sends nothing. Must be called inside a Tokio runtime: Google's
    /// library refreshes access tokens in a task of its own.
    pub fn new(config: Config, connector: SharedConnector) -> Result<Self, ConfigError> {
        let user_agent = HeaderValue::try_from(&config.user_agent).map_err(|_| ConfigError::UserAgent)?;
        let transport = Transport::new(&config, connector)?;
        let auth = Auth::new(&config)?;
        Ok(Self(Arc::new(Shared {
            endpoint: config.endpoint,
            user_project: config.user_project,
            user_agent,
            auth,
            transport,
            observer: config.observer,
        })))
    }

    /// Waits for the first access token, so that a daemon can report at its start what is wrong with its credentials.
    /// Returns at once without credentials.
    ///
    /// Refuses credentials of the metadata server that belong to another universe than the endpoint.
    pub async fn check_credentials(&self) -> Result<(), Error> {
        self.0.auth.headers().await?;
        self.0.auth.check_universe(&self.0.endpoint).await
    }

    /// Reads the credentials' file again now, if it has changed; a call does that by itself, too, at most every second. If it
    /// cannot be read, the credentials are as they were, and what is wrong comes back.
    ///
    /// Blocks. Must be called inside a Tokio runtime.
    pub fn reread_credentials(&self) -> Result<(), String> {
        self.0.auth.reread()
    }

    /// Where all calls go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// The proxy that calls go through, without its user and password.
    pub fn proxy(&self) -> Option<String> {
        self.0.transport.proxy(&self.0.endpoint)
    }

    /// How many connections are kept for the next calls.
    pub fn idle_connections(&self) -> usize {
        self.0.transport.idle()
    }

    /// The headers of a call that needs credentials.
    pub(super) async fn authorized(&self) -> Result<HeaderMap, Error> {
        self.0.auth.headers().await
    }

    /// The project that pays for a call.
    pub(super) fn paying<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        named.or(self.0.user_project.as_deref())
    }

    /// A request for `target`. [`send`](Self::send) adds its `Host`.
    pub(super) fn request(
        &self,
        method: Method,
        target: PathAndQuery,
        mut headers: HeaderMap,
        body: RequestBody,
    ) -> Request<RequestBody> {
        headers.insert(USER_AGENT, self.0.user_agent.clone());
        // Said even where it is 0: GCS refuses a POST, PUT or DELETE without it (411).
        // Where nobody knows it, hyper announces chunks.
        if method != Method::GET
            && let Some(len) = body.len()
        {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(target);
        *request.headers_mut() = headers;
        request
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        &self,
        call: Call,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Exchange), Error> {
        // In a box, so that each call that waits for it stays small.
        Box::pin(self.transmit(call, request)).await
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn call(&self, call: Call, request: Request<RequestBody>) -> Result<Answer, Error> {
        // In a box, as above.
        Box::pin(async {
            let (response, exchange) = self.transmit(call, request).await?;
            Answer::read(response, exchange).await
        })
        .await
    }

    async fn transmit(
        &self,
        call: Call,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Exchange), Error> {
        let endpoint = self.endpoint();
        request.headers_mut().insert(HOST, endpoint.authority().clone());
        let token = request.headers().get(AUTHORIZATION).cloned();
        let begun = Instant::now();
        let sent = self.0.transport.send(endpoint, request).await;
        if let Some(observer) = &self.0.observer {
            let outcome = match &sent {
                Ok((response, _)) => Ok(response.status().as_u16()),
                Err(error) => Err(error.kind()),
            };
            observer.called(call, outcome, begun.elapsed());
        }
        let (mut response, exchange) = sent?;
        match response.status().as_u16() {
            401 => {
                let refusal = self.0.auth.refused(token.as_ref());
                response.extensions_mut().insert(refusal);
            }
            // Who answers 5xx need not have looked at the token.
            500.. => {}
            _ => self.0.auth.accepted(token.as_ref()),
        }
        Ok((response, exchange))
    }
}
