//! devgcs: Google Cloud Storage on a laptop, for tests that must not be lied to.
//!
//! It is written from GCS's documentation and from what clients report of the real service, shares no
//! code with the part of this crate that talks to GCS, and so can tell when that part is wrong.
//! `docs/devgcs.md` lists each behaviour with its source.
//!
//! ```text
//! http      accepts connections, bounds them, ends them
//! router    which call a request is; what every answer carries
//! resumable sessions: range (the header), progress (the arithmetic, pure), session, handlers
//! service   buckets, objects, sessions; the turn in which an object appears
//! storage   bodies: in memory, in a directory, or only their checksums
//! ```
//!
//! State stands behind short locks that are never held across an await; what may block on a disk runs
//! beside the runtime. A stalled request holds its own bytes (less than 256 KiB and one read) and
//! nothing that another one needs.

mod batch;
mod body;
mod buckets;
mod call;
mod encryption;
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
mod multipart;
mod names;
mod objects;
mod origin;
mod preconditions;
mod query;
mod random;
mod resource;
mod resumable;
mod router;
mod service;
mod storage;
mod target;
mod time;
mod tls;
mod xml;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

pub use inspect::{CallKind, CallRecord, Inspect, SessionPhase, SessionRecord, StoredObject};
use service::Service;
pub use tls::Tls;

use gcsd_types::{Crc32c, ObjectInfo};

/// Where a server keeps bodies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Storage {
    /// In memory, until the server ends.
    #[default]
    Memory,
    /// In a directory, where objects and unfinished sessions outlive the process, however it ends.
    Directory(PathBuf),
    /// Nowhere: only sizes and checksums are kept, and reading an object's bytes is refused.
    Discard,
}

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where bodies are kept.
    pub storage: Storage,
    /// Buckets that are there from the start, beside those that the storage has already.
    pub buckets: Vec<String>,
    /// Create a bucket when an upload names one that is missing. GCS does not.
    pub auto_create_buckets: bool,
    /// Compute MD5, as GCS does. It costs more CPU than all the rest; without it objects have no
    /// `md5Hash`, and one that a client states is not compared.
    pub md5: bool,
    /// How long a session lives after its start. GCS gives it a week.
    pub session_lifetime: Duration,
    /// Speak HTTPS, with this certificate, instead of HTTP.
    pub tls: Option<Tls>,
    /// How long a connection may stand still within a request's body before it is cut.
    pub body_idle: Duration,
    /// What goes wrong, and with which calls. Requests can ask for more by a header.
    pub faults: faults::Plan,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            storage: Storage::default(),
            buckets: Vec::new(),
            auto_create_buckets: false,
            md5: true,
            session_lifetime: Duration::from_secs(7 * 24 * 3600),
            tls: None,
            body_idle: Duration::from_secs(600),
            faults: faults::Plan::default(),
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address could not be bound.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The storage could not be opened, or a bucket not created.
    #[error("cannot open the storage: {0}")]
    Storage(#[source] io::Error),
    /// The certificate could not be read or made.
    #[error("cannot speak HTTPS: {0}")]
    Tls(#[source] io::Error),
}

/// A running server. Dropped, it stops; [`DevGcs::shutdown`] also waits until it has stopped.
pub struct DevGcs {
    address: SocketAddr,
    service: Arc<Service>,
    scheme: &'static str,
    ca_file: Option<PathBuf>,
    /// Dropped, it ends the server's tasks.
    stop: watch::Sender<()>,
    /// Ends when the last task has let go of the service.
    ended: mpsc::Receiver<()>,
}

impl fmt::Debug for DevGcs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevGcs")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl DevGcs {
    /// Binds `listen` (port 0 lets the system choose) and serves it until the returned value is dropped.
    ///
    /// Must be called within a Tokio runtime, which the server's tasks then run on.
    pub async fn start(listen: SocketAddr, config: Config) -> Result<Self, StartError> {
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind.await.map_err(|error| StartError::Listen {
            address: listen,
            error,
        })?;
        let (alive, ended) = mpsc::channel(1);
        let body_idle = config.body_idle;
        let tls = config.tls.clone();
        let acceptor =
            tokio::task::spawn_blocking(move || tls.map(|tls| tls.acceptor(address.ip())).transpose())
                .await
                .map_err(io::Error::other)
                .flatten()
                .map_err(StartError::Tls)?;
        let (acceptor, ca_file) = acceptor.map_or((None, None), |made| (Some(made.acceptor), made.ca_file));
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        // Reading a directory may take long.
        let service = tokio::task::spawn_blocking(move || Service::open(&config, alive))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(StartError::Storage)?;
        let service = Arc::new(service);
        let (stop, stopped) = watch::channel(());
        let listening = http::Listening {
            listener,
            service: Arc::clone(&service),
            acceptor,
            body_idle,
        };
        tokio::spawn(listening.run(stopped));
        Ok(Self {
            address,
            service,
            scheme,
            ca_file,
            stop,
            ended,
        })
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to give to clients, without a trailing slash.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The file that clients must trust, in PEM, if the certificate was made by this server.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Stops listening, cuts every connection, and returns when all of the server's tasks have ended
    /// and its directory can be opened again.
    pub async fn shutdown(self) {
        let Self {
            service,
            stop,
            mut ended,
            ..
        } = self;
        drop(stop);
        drop(service);
        // Nothing is ever sent: this waits for the last sender to go.
        let _ = ended.recv().await;
    }

    /// What came in and what it led to, as of now.
    pub fn inspect(&self) -> Inspect {
        self.service.inspect()
    }

    /// Waits until `condition` holds of [`Self::inspect`]; false if it does not within `bound`.
    pub async fn wait_for(&self, bound: Duration, condition: impl Fn(&Inspect) -> bool) -> bool {
        let look = async {
            while !condition(&self.inspect()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(bound, look).await.is_ok()
    }

    /// How often each injected fault has happened, by the word it is counted under.
    pub fn fault_counts(&self) -> BTreeMap<&'static str, u64> {
        self.service.faults.counts()
    }

    /// Stops reading the bodies of requests, on every connection, or goes on with it.
    ///
    /// Paused, a request under way reads one more piece (at most 256 KiB) and then leaves what comes in
    /// the socket, so that its sender stalls once the system's buffers are full.
    pub fn pause_bodies(&self, paused: bool) {
        self.service.gate.send_replace(paused);
    }

    /// The live generation of an object.
    pub fn object(&self, bucket: &str, name: &str) -> Option<StoredObject> {
        let object = self.service.live(bucket, name).ok().flatten()?;
        Some(StoredObject {
            info: ObjectInfo {
                generation: object.generation,
                metageneration: object.metageneration,
                size: object.size,
                crc32c: Some(Crc32c(object.crc32c)),
                md5: object.md5,
            },
            resource: object.resource(&self.endpoint()),
        })
    }

    /// The bytes of the live generation of an object, all of them in memory.
    ///
    /// The error's kind is `NotFound` where there is no such object, `Unsupported` where the storage
    /// keeps no bytes.
    pub async fn object_bytes(&self, bucket: &str, name: &str) -> io::Result<Vec<u8>> {
        let object = self.service.live(bucket, name).ok().flatten();
        let object = object.ok_or(io::ErrorKind::NotFound)?;
        let mut reader = storage::Reader::open(&self.service.keep, &object.content, 0..object.size)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes)
    }
}
