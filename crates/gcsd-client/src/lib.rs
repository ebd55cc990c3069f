//! Google Cloud Storage through a gcsd daemon: uploads, reads and requests on objects that recover.
//!
//! [`Client`] is where a program starts:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = gcsd_client::Client::connect("127.0.0.1:4743").await?;
//! let object = client.object("gs://my-bucket/greeting.txt")?;
//! object.upload().bytes("hello, world").await?;
//! assert_eq!(object.read().bytes().await?, "hello, world");
//! # Ok(())
//! # }
//! ```
//!
//! # The pieces below it
//!
//! [`Connection`] speaks the wire and recovers from nothing: each request becomes one reply or one
//! [`Error`], and the error says what to do next ([`Error::retry`]). [`ReliableWriter`] and
//! [`ReliableUpload`] recover from all that can be recovered from; they work over an
//! [`UnreliableWriter`], through a daemon ([`ViaDaemon`]) or straight to GCS ([`Direct`]). [`ReliableReader`] and
//! [`ReliableRequests`] do the same for reading and for requests on objects, through a daemon.
//!
//! ```text
//!  callers ──requests──▶ sending task ──▶ socket ──▶ daemon
//!     ▲                       ▲ stop                    │
//!     └──replies by sequence── receiving task ◀─────────┘
//! ```
//!
//! Both tasks end when the connection is over or the last [`Connection`] handle is dropped. Whichever
//! sees the end first says why, and every caller learns it.

mod address;
mod body;
mod client;
mod connection;
mod daemons;
#[cfg(feature = "direct")]
mod direct;
mod error;
mod file_body;
mod in_flight;
mod io_error;
mod lost;
mod new_object;
mod object_reader;
mod options;
mod pieces;
mod read;
mod receiving;
pub mod reliable;
mod requests;
mod sending;
mod shared_connection;
mod sight;
mod status_error;
mod stored_object;
pub mod striped;
#[cfg(feature = "tls")]
mod tls;
mod via_daemon;
mod watched;
mod writer;

pub use address::{Address, AddressError, DEFAULT_PORT, Transport};
pub use body::{Body, BodySource, NextPiece, ReaderBody};
pub use client::{Client, Object, Read, Upload};
pub use connection::{Connection, Reply};
pub use daemons::Daemons;
#[cfg(feature = "direct")]
pub use direct::{Direct, DirectPart, DirectWriter};
pub use error::{Error, RequestError};
pub use file_body::FileBody;
pub use io_error::IoError;
pub use lost::{Lost, Reason};
pub use new_object::NewObject;
pub use object_reader::ObjectReader;
pub use options::Options;
pub use read::{ReadRequest, ReadStart};
pub use reliable::{
    Aborted, BucketPages, Checkpoint, Deleted, FileContent, FileSource, GivenUp, Jitter, ListedObject,
    ObjectPage, ObjectPages, OptionsError, ReadError, ReliableReader, ReliableRequests, ReliableUpload,
    ReliableWriter, ReplaySource, Report, RetryPolicy, SourceChanged, UploadError, WriterOptions,
};
pub use sight::{Seen, Sight};
pub use status_error::{StatusError, one_line};
pub use stored_object::StoredObject;
pub use striped::{
    CheckpointStore, DaemonRoute, Leftovers, Striped, StripedAborted, StripedCheckpoint, StripedError,
    StripedOptions, StripedOptionsError, StripedUpload, Via,
};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};
pub use via_daemon::{DaemonWriter, ViaDaemon};
pub use writer::{Cancelled, Last, OpenUpload, Progress, Token, UnreliableWriter};

#[cfg(feature = "direct")]
pub use gcsd_gcs as gcs;
pub use gcsd_net::{Connector, SharedConnector, TcpConnector};
pub use gcsd_types::{
    BucketName, BucketQuery, BucketUrl, ByteRange, ComposeSource, Crc32c, Destination, EncryptionKey, GsUrl,
    NameError, ObjectInfo, ObjectName, ObjectQuery, ObjectRef, Page, Preconditions, Rewrite, UrlError,
};
pub use gcsd_wire::{Kind, Layer, Opcode, Retry, Status};
