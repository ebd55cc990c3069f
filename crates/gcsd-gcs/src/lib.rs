//! Google Cloud Storage over HTTP/1.1, for programs that stream: one call per method, nothing buffered, nothing retried.
//!
//! [`Gcs`] has a method for each call: objects, buckets, resumable and multipart uploads. The bytes of an upload come from a
//! [`Source`], which is [lent](lend) to the request and read only when the connection to GCS has room: no task, no channel,
//! no copy. A [`Session`] drives a resumable upload: it knows which requests GCS permits, and what is committed.
//!
//! ```
//! use std::collections::VecDeque;
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use gcsd_gcs::{ByteRange, Config, Crc32c, Destination, Gcs, ObjectRef, Session, TcpConnector, WriteRange, lend};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // An emulator in memory. For the real one: `Config::new(Endpoint::google())`.
//! let emulator = devgcs::Server::builder().bucket("backups").start().await?;
//! let gcs = Gcs::new(Config::anonymous(emulator.endpoint().parse()?), Arc::new(TcpConnector))?;
//!
//! let text = Bytes::from("hello world");
//! let destination = Destination::new("backups".parse()?, "greeting.txt".parse()?);
//! let session = Session::start(&gcs, &destination, None).await?.answer;
//! let range = WriteRange {
//!     offset: 0,
//!     len: Some(11),
//!     total: Some(11),
//!     object_crc32c: Some(Crc32c::of(&text)),
//! };
//! let (_lease, body) = lend(VecDeque::from([text]), 11);
//! let written = session.write(range, body).await?.answer;
//! assert_eq!(written.committed, 11);
//!
//! let object = ObjectRef::new("backups".parse()?, "greeting.txt".parse()?);
//! let mut stream = gcs.read_object(&object, ByteRange::Suffix(5), false).await?;
//! assert_eq!(stream.next().await?.as_deref(), Some(&b"world"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! Nothing is retried: without a copy of the bytes that would be impossible, and the sender has them. An [`Error`] says what
//! failed ([`kind`](Error::kind)), whether GCS can have seen any of the request
//! ([`request_sent`](Error::request_sent)), and what may be done next ([`recovery`](Error::recovery)).
//!
//! No `X-Goog-Gcs-Idempotency-Token` is sent: it names the attempts of one request, and here each is made once.
//!
//! # Cancellation
//!
//! A call runs in the future that is polled, not in a task of its own. Dropping it closes its connection: a cancelled call
//! leaves nothing running, and a body that is cut is never completed by what happened to be queued.

mod answer;
mod auth;
mod bucket;
mod client;
mod clock;
mod compose;
mod config;
mod config_error;
mod connection;
mod credentials;
mod credentials_file;
mod credentials_text;
mod delete;
mod endpoint;
mod error;
mod error_body;
mod error_kind;
mod exchange;
mod headers;
mod json;
mod lease;
mod link;
mod listing;
mod metadata;
mod multipart;
mod object;
mod observer;
mod one_line;
mod page;
mod patch;
mod pool;
mod proxies;
mod put_object;
mod read;
mod reason;
mod rename;
mod request;
mod resource;
mod resumable;
mod rewrite;
mod route;
mod session;
mod session_uri;
mod slot;
mod source;
mod tls;
mod transport;
mod tunnel;
mod universe;
mod upload;
mod upload_body;
mod xml;
mod xml_headers;

pub use answer::Answered;
pub use bucket::Bucket;
pub use client::Gcs;
pub use config::Config;
pub use config_error::ConfigError;
pub use credentials::CredentialsSource;
pub use endpoint::{Endpoint, EndpointError};
pub use error::{Call, Error, ErrorKind, Recovery};
pub use lease::{Lease, lend, lend_all};
pub use listing::PageStream;
pub use multipart::{AbortOutcome, CompletedMultipart};
pub use observer::{Observer, SharedObserver, Token};
pub use proxies::{Proxies, ProxyError};
pub use read::ObjectStream;
pub use resource::Object;
pub use session::{Session, SessionError, UploadProgress};
pub use session_uri::SessionUri;
pub use slot::BodyState;
pub use source::{Source, SourceError};
pub use universe::UniverseMismatch;
pub use upload::{Anomaly, CancelOutcome, Refusal, SessionStatus, WriteRange};
pub use upload_body::{Tally, UploadBody};

// What calls take and return, so that no other crate of gcsd is needed to make them.
#[doc(no_inline)]
pub use gcsd_net::{Connector, SharedConnector, TcpConnector};
#[doc(no_inline)]
pub use gcsd_types::{
    BucketInfo, BucketName, BucketQuery, BucketRef, ByteRange, ComposeSource, Crc32c, Destination,
    EncryptionKey, MultipartRef, NameError, ObjectInfo, ObjectName, ObjectQuery, ObjectRef, Page, Part,
    PartsPage, Preconditions, Rewrite, Rewritten, StoredPart,
};
