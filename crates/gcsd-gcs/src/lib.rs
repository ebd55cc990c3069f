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
mod client;
mod clock;
mod compose;
mod config;
mod connection;
mod delete;
mod endpoint;
mod error;
mod exchange;
mod headers;
mod json;
mod lease;
mod link;
mod listing;
mod metadata;
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
mod session_uri;
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

pub use answer::Answered;
pub use bucket::Bucket;
pub use client::Gcs;
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
pub use resumable::{Cancelled, Progress, WriteRange};
pub use session_uri::SessionUri;
pub use slot::BodyState;
pub use source::{Source, SourceError};
pub use universe::UniverseMismatch;
pub use upload_body::{Tally, UploadBody};
