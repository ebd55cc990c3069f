//! A running server.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::{Config, StartError};
use crate::http::Listening;
use crate::ingest::Ingest;
use crate::inspect::{Snapshot, StoredObject};
use crate::names;
use crate::objects::Upload;
use crate::service::Service;
use crate::storage::Reader;
#[cfg(feature = "tls")]
use crate::tls::{Authority, Tls};
use crate::transport::Transport;

/// A Cloud Storage server in this process. [`Server::builder`] starts one.
///
/// Dropping it stops it: the runtime then closes its sockets and ends its tasks. To wait until that has happened,
/// call [`shutdown`](Self::shutdown).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use devgcs::CallKind;
///
/// let gcs = devgcs::Server::builder().bucket("photos").start().await?;
/// gcs.put_object("photos", "cat.txt", "meow").await?;
///
/// let url = format!("{}/storage/v1/b/photos/o/cat.txt?alt=media", gcs.endpoint());
/// assert_eq!(reqwest::get(url).await?.text().await?, "meow");
///
/// assert_eq!(gcs.inspect().count(CallKind::ReadObject), 1);
/// gcs.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    address: SocketAddr,
    service: Arc<Service>,
    scheme: &'static str,
    #[cfg(feature = "tls")]
    authority: Option<Authority>,
    /// Dropped, it ends the server's tasks.
    stop: watch::Sender<()>,
    listening: JoinHandle<()>,
    /// Ends when nothing holds the service any more.
    ended: mpsc::Receiver<()>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Binds `listen` and serves it until the returned value is dropped.
    pub(crate) async fn start(
        listen: SocketAddr,
        config: Config,
        #[cfg(feature = "tls")] tls: Option<Tls>,
    ) -> Result<Self, StartError> {
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind.await.map_err(|source| StartError::Listen {
            address: listen,
            source,
        })?;
        #[cfg(feature = "tls")]
        let (transport, authority) = match tls {
            None => (Transport::Plain, None),
            Some(tls) => {
                let made = tokio::task::spawn_blocking(move || tls.acceptor(address.ip()))
                    .await
                    .map_err(io::Error::other)
                    .flatten()
                    .map_err(StartError::Tls)?;
                (Transport::Tls(made.acceptor), made.authority)
            }
        };
        #[cfg(not(feature = "tls"))]
        let transport = Transport::Plain;
        let scheme = transport.scheme();
        let body_idle_timeout = config.body_idle_timeout;
        let (alive, ended) = mpsc::channel(1);
        // Reading a directory may take long.
        let service = tokio::task::spawn_blocking(move || Service::open(&config, alive))
            .await
            .map_err(|error| StartError::Storage(io::Error::other(error)))
            .flatten()?;
        let service = Arc::new(service);
        let (stop, stopped) = watch::channel(());
        let listening = Listening {
            listener,
            service: Arc::clone(&service),
            transport,
            body_idle_timeout,
        };
        let listening = tokio::spawn(listening.run(stopped));
        Ok(Self {
            address,
            service,
            scheme,
            #[cfg(feature = "tls")]
            authority,
            stop,
            listening,
            ended,
        })
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to give to clients, such as `http://127.0.0.1:40001`, without a slash at its end.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The certificate that clients must trust, in PEM, if this server made it.
    #[cfg(feature = "tls")]
    pub fn ca_pem(&self) -> Option<&str> {
        Some(&self.authority.as_ref()?.pem)
    }

    /// The file that [`ca_pem`](Self::ca_pem) was written to, if it was ([`Tls::generated_in`]).
    #[cfg(feature = "tls")]
    pub fn ca_file(&self) -> Option<&std::path::Path> {
        self.authority.as_ref()?.file.as_deref()
    }

    /// Stops the server: closes the listener and every connection, and returns when all of its tasks have ended and its
    /// directory can be opened again.
    pub async fn shutdown(self) {
        let Self {
            service,
            stop,
            listening,
            mut ended,
            ..
        } = self;
        drop(stop);
        drop(service);
        // Its sockets are closed when this returns, even if it panicked.
        let _ = listening.await;
        // Nothing is ever sent: this waits for the last sender to go.
        let _ = ended.recv().await;
    }

    /// The calls that came in and the upload sessions, as of now.
    pub fn inspect(&self) -> Snapshot {
        self.service.inspect()
    }

    /// Waits until `condition` holds of [`inspect`](Self::inspect); false if it does not within `timeout`.
    pub async fn wait_for(&self, timeout: Duration, condition: impl Fn(&Snapshot) -> bool) -> bool {
        let look = async {
            while !condition(&self.inspect()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(timeout, look).await.is_ok()
    }

    /// How often each fault was injected, by its [name](crate::faults::Fault::name).
    pub fn fault_counts(&self) -> BTreeMap<&'static str, u64> {
        self.service.faults.counts()
    }

    /// Stops reading request bodies on every connection (`true`), or continues (`false`).
    ///
    /// While paused, a request in flight reads at most 256 KiB more and then leaves what arrives in the socket, so that
    /// its sender blocks once the system's buffers are full. JSON and XML documents are read all the same: a session can be
    /// started, and nothing sent to it.
    pub fn pause_bodies(&self, paused: bool) {
        self.service.gate.send_replace(paused);
    }

    /// Stores an object with the default metadata, replacing the live generation if there is one.
    ///
    /// It bypasses HTTP: no fault is injected, and [`inspect`](Self::inspect) does not count it.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such bucket, `InvalidInput` if GCS would refuse the object, or what the storage said.
    pub async fn put_object(
        &self,
        bucket: &str,
        name: &str,
        bytes: impl AsRef<[u8]>,
    ) -> io::Result<StoredObject> {
        let bytes = Bytes::copy_from_slice(bytes.as_ref());
        let store = async {
            self.service.want_bucket(bucket).await?;
            let upload = Upload {
                bucket: bucket.to_owned(),
                name: names::object(name)?,
                ..Upload::default()
            };
            let ingest = Ingest::start(&self.service).await?.push(bytes).await?;
            upload.publish(ingest).await
        };
        let object = store.await.map_err(|refusal| {
            let kind = match refusal.status() {
                StatusCode::NOT_FOUND => io::ErrorKind::NotFound,
                status if status.is_client_error() => io::ErrorKind::InvalidInput,
                _ => io::ErrorKind::Other,
            };
            io::Error::new(kind, refusal.message())
        })?;
        Ok(StoredObject::new(&object, &self.endpoint()))
    }

    /// The live generation of an object.
    pub fn object(&self, bucket: &str, name: &str) -> Option<StoredObject> {
        let object = self.service.live(bucket, name).ok().flatten()?;
        Some(StoredObject::new(&object, &self.endpoint()))
    }

    /// The bytes of the live generation of an object.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such object, `Unsupported` if the storage keeps no bytes, or what the storage said.
    pub async fn object_bytes(&self, bucket: &str, name: &str) -> io::Result<Vec<u8>> {
        let object = self.service.live(bucket, name).ok().flatten();
        let object = object.ok_or(io::ErrorKind::NotFound)?;
        let mut reader = Reader::open(&self.service.store, &object.content, 0..object.size)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes)
    }

    /// The names of a bucket's live objects, in order; empty if there is no such bucket.
    pub fn object_names(&self, bucket: &str) -> Vec<String> {
        self.service.names(bucket)
    }
}
