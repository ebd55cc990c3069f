//! Google Cloud Storage over HTTP/1.1: the only outgoing HTTP of the daemon.
//!
//! [`Gcs`] makes one call per method and retries nothing: without a copy of the bytes it could not, and the
//! sender has them. What happened is told by [`Error`]: what kind, whether GCS can have seen any of the
//! request, and what the sender may do next.
//!
//! No `X-Goog-Gcs-Idempotency-Token` is sent: it names the attempts of one request, and here each request is
//! made once.
//!
//! A future of this module does all of its own work: it drives its connection itself, in no task of its own.
//! Dropping it closes the connection, so that a cancelled call leaves nothing running, and a body that is cut
//! is never completed by what happened to be queued.

mod answer;
mod auth;
mod bucket;
mod clock;
mod compose;
mod config;
mod connection;
mod delete;
mod endpoint;
mod error;
mod exchange;
mod json;
mod lease;
mod link;
mod listing;
mod multipart;
mod object;
mod page;
mod patch;
mod pool;
mod proxies;
mod put_object;
mod read;
mod rename;
mod request;
mod resumable;
mod rewrite;
mod route;
mod session;
mod slot;
mod source;
mod tls;
mod transport;
mod tunnel;
mod universe;
pub mod upload;
mod upload_body;
mod xml;
mod xml_headers;

pub use bucket::Bucket;
pub use config::{Config, ConfigError, CredentialsSource};
pub use endpoint::{Endpoint, UrlError};
pub use error::{Call, Error, ErrorKind, Recovery};
pub use gcsd_types::ObjectRef;
pub use lease::{Lease, lend, lend_all};
pub use listing::PageStream;
pub use multipart::{Aborted, Completed};
pub use object::Object;
pub use proxies::{Proxies, ProxyError};
pub use read::{ObjectStream, ReadRange};
pub use resumable::{Cancelled, Progress, StartUpload, WriteRange};
pub use session::SessionUri;
pub use slot::BodyState;
pub use source::{Source, SourceError};
pub use universe::UniverseMismatch;
pub use upload_body::{Tally, UploadBody};

use std::sync::Arc;

use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;

use answer::Answer;
use auth::Auth;
use exchange::Exchange;
use request::RequestBody;
use transport::Transport;

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
}

/// What an answer of GCS says, and the name that GCS gave to the request.
#[derive(Debug, Clone)]
pub struct Answered<T> {
    /// What it says.
    pub answer: T,
    /// Its HTTP status.
    pub http_status: u16,
    /// The value of `X-GUploader-UploadID`, for Google's support.
    pub request_id: Option<String>,
}

impl Gcs {
    /// Makes a client whose connections come from `connector`.
    ///
    /// Files are read here, and a wrong one is an error; nothing is sent. Must be called inside a Tokio
    /// runtime: Google's library refreshes access tokens in a task of its own.
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
        })))
    }

    /// Waits for the first access token, so that a daemon can tell at its start what is wrong with its
    /// credentials. At once without credentials.
    ///
    /// Refuses credentials of the metadata server that belong to another universe than the endpoint.
    pub async fn check_credentials(&self) -> Result<(), Error> {
        self.0.auth.headers().await?;
        self.0.auth.check_universe(&self.0.endpoint).await
    }

    /// Where all calls go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// The proxy that calls go through, without its user and password.
    pub fn proxy(&self) -> Option<String> {
        self.0.transport.proxy(&self.0.endpoint)
    }

    /// The headers of a call that needs credentials.
    async fn authorized(&self) -> Result<HeaderMap, Error> {
        self.0.auth.headers().await
    }

    /// The project that pays for a call.
    fn paying<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        named.or(self.0.user_project.as_deref())
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Exchange), Error> {
        request.headers_mut().insert(HOST, endpoint.authority().clone());
        // In a box, so that each call that waits for it stays small.
        Box::pin(self.0.transport.send(endpoint, request)).await
    }

    /// Sends a request and reads the whole answer.
    async fn call(&self, endpoint: &Endpoint, request: Request<RequestBody>) -> Result<Answer, Error> {
        let (response, exchange) = self.send(endpoint, request).await?;
        Answer::read(response, exchange).await
    }
}
