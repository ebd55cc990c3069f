//! Where a program starts: objects by their URLs, through one daemon or several.
//!
//! It adds nothing of its own to what recovers: an upload is a [`ReliableUpload`](super::ReliableUpload), a
//! [`ReliableWriter`](super::ReliableWriter) or a [`StripedUpload`](super::StripedUpload), a read is a
//! [`ReliableReader`](super::ReliableReader), and everything else are [`ReliableRequests`].

mod object;
mod read;
mod upload;

use bytes::Bytes;

pub use object::Object;
pub use read::Read;
pub use upload::Upload;

use super::{Daemons, Error, ObjectPages, ReliableRequests, RequestError, RetryPolicy, WriterOptions};
use gcsd_types::{BucketUrl, GsUrl, ObjectQuery, ObjectRef, UrlError};

/// Cloud Storage, through one daemon or several.
///
/// Cheap to clone; clones share connections.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// use gcsd_client::Client;
///
/// let client = Client::connect(address).await?; // "127.0.0.1:4743", or several: "one:4743,two:4743"
/// let object = client.object("gs://my-bucket/greeting.txt")?;
/// object.upload().bytes("hello, world").await?;
/// assert_eq!(object.read().bytes().await?, "hello, world");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    daemons: Daemons,
    requests: ReliableRequests,
    options: WriterOptions,
}

impl Client {
    /// Connects to `daemons`: `HOST:PORT`, or several with commas between them, which share a token key. The first that
    /// answers is enough. The connection is kept for what comes.
    ///
    /// Nothing is tried again here: where no daemon answers, a program learns it at once.
    pub async fn connect(daemons: &str) -> Result<Self, Error> {
        let mut daemons: Daemons = daemons
            .parse()
            .map_err(|error| Error::Request(RequestError::Address(error)))?;
        let connection = daemons.connect().await?;
        connection.ping(Bytes::new()).await?;
        daemons.release(connection);
        Ok(Self::new(daemons))
    }

    /// Through `daemons`, to which nothing is sent yet.
    pub fn new(daemons: Daemons) -> Self {
        let options = WriterOptions::default();
        Self {
            requests: ReliableRequests::new(daemons.clone(), options.retries.clone()),
            daemons,
            options,
        }
    }

    /// When everything is tried again, and when it is given up.
    #[must_use]
    pub fn with_retries(self, retries: RetryPolicy) -> Self {
        let options = self.options.clone().with_retries(retries);
        self.with_options(options)
    }

    /// What [writers](Upload::writer) hold and send at a time, and the retries of everything.
    #[must_use]
    pub fn with_options(mut self, options: WriterOptions) -> Self {
        self.requests = ReliableRequests::new(self.daemons.clone(), options.retries.clone());
        self.options = options;
        self
    }

    /// The object `gs://BUCKET/OBJECT`, whether it exists or not. Nothing is sent.
    pub fn object(&self, url: &str) -> Result<Object, UrlError> {
        Ok(self.object_at(url.parse::<GsUrl>()?))
    }

    /// The same, by the names of bucket and object, or one version of it.
    pub fn object_at(&self, object: impl Into<ObjectRef>) -> Object {
        Object::new(self.clone(), object.into())
    }

    /// All live objects of `gs://BUCKET`, or those whose names begin with the prefix of `gs://BUCKET/PREFIX`.
    pub fn list(&self, url: &str) -> Result<ObjectPages, UrlError> {
        let BucketUrl { bucket, prefix } = url.parse()?;
        let mut query = ObjectQuery::new(bucket);
        query.prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
        Ok(self.list_objects(query))
    }

    /// The objects that `query` asks for.
    pub fn list_objects(&self, query: ObjectQuery) -> ObjectPages {
        ObjectPages::new(self.requests.clone(), query)
    }

    /// The requests on objects, which share a connection.
    pub fn requests(&self) -> &ReliableRequests {
        &self.requests
    }

    /// The daemons.
    pub fn daemons(&self) -> &Daemons {
        &self.daemons
    }
}
