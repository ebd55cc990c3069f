//! An in-process Google Cloud Storage for tests: faithful, in memory or in a directory, with faults on demand.
//!
//! ```
//! # async fn client_under_test(endpoint: &str) -> Result<(), reqwest::Error> {
//! #     let url = format!("{endpoint}/upload/storage/v1/b/photos/o?uploadType=media&name=cat.txt");
//! #     reqwest::Client::new().post(url).body("meow").send().await?.error_for_status()?;
//! #     Ok(())
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gcs = devgcs::Server::builder().bucket("photos").start().await?;
//!
//! client_under_test(&gcs.endpoint()).await?;
//!
//! assert_eq!(gcs.object_bytes("photos", "cat.txt").await?, b"meow");
//! # Ok(())
//! # }
//! ```
//!
//! Everything a test needs is on [`Server`]; [`Builder`] sets it up, [`faults`] are what can go wrong. The server listens
//! on a port that the system chooses, checks no credentials, and stops when it is dropped.
//!
//! It is written from GCS's documentation and from what clients report of the real service. [`docs/devgcs.md`] lists each
//! behaviour with its source, and what is missing.
//!
//! # Features
//!
//! * `tls`: serve HTTPS ([`Builder::tls`]). It brings rustls and aws-lc-rs, which builds C.
//!
//! [`docs/devgcs.md`]: https://github.com/gcsd/gcsd/blob/main/docs/devgcs.md
#![cfg_attr(not(feature = "tls"), doc = "[`Builder::tls`]: Builder")]

// server    the public face; http accepts connections, router decides which call a request is
// resumable sessions: range (the header), progress (the arithmetic, pure), session, handlers
// service   buckets, objects, sessions; the turn in which an object appears
// storage   bodies: in memory, in a directory, or only their checksums
//
// State is behind short locks that are never held across an await; what may block on a disk runs beside the runtime. A
// stalled request holds its own bytes (less than 256 KiB and one read) and nothing that another request needs.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod acl;
mod answer;
mod aws_chunks;
mod batch;
mod bucket;
mod builder;
mod call;
mod clock;
mod config;
mod digits;
mod encoding;
mod encryption;
mod entity_tags;
mod error;
pub mod faults;
mod fields;
mod glob;
mod gunzip;
mod http;
mod ingest;
mod inspect;
mod json;
mod lock;
mod media;
mod metadata;
mod mime;
mod multipart_upload;
mod names;
mod objects;
mod operation;
mod origin;
mod preconditions;
mod projects;
mod query;
mod random;
mod request_body;
mod resource;
mod response_body;
mod resumable;
mod retention;
mod router;
mod server;
mod service;
mod storage;
mod target;
mod time;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod xml;

pub use builder::Builder;
pub use config::StartError;
pub use inspect::{CallKind, CallRecord, SessionPhase, SessionRecord, Snapshot, StoredObject};
pub use server::Server;
pub use storage::Storage;
#[cfg(feature = "tls")]
pub use tls::Tls;
