//! An upload before it begins.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Client;
use crate::{
    DaemonRoute, FileContent, NewObject, OptionsError, ReliableUpload, ReliableWriter, ReplaySource,
    StripedOptions, StripedOptionsError, StripedUpload, UploadError, ViaDaemon,
};
use gcsd_types::ObjectInfo;

/// How much is asked of a reader at a time, in bytes.
const READ_LEN: usize = 256 * 1024;

/// An upload before it begins: what the object will be, and where its bytes come from.
///
/// [`bytes`](Self::bytes), [`file`](Self::file) and [`reader`](Self::reader) bring it to its end. Where they fail, or their
/// source does, GCS is told to throw away what it holds, for as long as [`abort_budget`](crate::RetryPolicy::abort_budget)
/// allows. Where their future is dropped, nobody is told: GCS forgets an unfinished upload after a week.
///
/// [`writer`](Self::writer), [`start`](Self::start) and [`striped`](Self::striped) hand the upload over to the caller, who
/// can look at its progress, keep a checkpoint of it, and abort it.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// # let client = gcsd_client::Client::connect(address).await?;
/// use gcsd_client::UploadError;
///
/// let report = client.object("gs://my-bucket/report.csv")?;
/// let made = report.upload().content_type("text/csv").if_absent().bytes("a,b\n1,2\n").await?;
/// assert_eq!(made.size, 8);
///
/// // A second one is refused, since the object is there.
/// let refused: UploadError = report.upload().if_absent().bytes("other").await.unwrap_err();
/// assert!(!refused.to_string().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before the bytes are given"]
pub struct Upload {
    client: Client,
    object: NewObject,
}

impl Upload {
    pub(super) fn new(client: Client, object: NewObject) -> Self {
        Self { client, object }
    }

    /// Its `Content-Type`, such as `text/plain`. GCS's default is `application/octet-stream`.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.object = self.object.with_content_type(content_type);
        self
    }

    /// A pair of the object's custom metadata.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.object = self.object.with_metadata(key, value);
        self
    }

    /// A field of GCS's object resource, such as `storageClass`
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects#resource>).
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.object = self.object.with_field(name, value);
        self
    }

    /// Only if there is no live object of that name: the upload fails otherwise (`precondition_failed`).
    pub fn if_absent(mut self) -> Self {
        self.object = self.object.if_absent();
        self
    }

    /// Tells GCS the size in advance. An upload that has another one fails.
    pub fn size(mut self, size: u64) -> Self {
        self.object = self.object.with_size(size);
        self
    }

    /// Uploads bytes that are in memory, without copying them.
    pub async fn bytes(mut self, bytes: impl Into<Bytes>) -> Result<ObjectInfo, UploadError> {
        let bytes = bytes.into();
        self.object.size.get_or_insert(bytes.len() as u64);
        finish(self.start(bytes)).await
    }

    /// Uploads a file, which must not change meanwhile. Nothing of it is held: after a failure it is read again. What can be
    /// read only once goes as with [`reader`](Self::reader): a pipe, a device, a file whose size is not that of its bytes
    /// ([`FileContent`]).
    pub async fn file(mut self, path: impl AsRef<Path>) -> Result<ObjectInfo, UploadError> {
        match open(path.as_ref()).await.map_err(UploadError::source_failed)? {
            FileContent::Sized(source) => {
                self.object.size.get_or_insert(source.size());
                finish(self.start(source)).await
            }
            FileContent::Stream(file) => self.reader(tokio::fs::File::from_std(file)).await,
        }
    }

    /// Uploads all that `reader` gives: a pipe, a socket, anything that can be read once. What is not committed is held,
    /// up to [`max_held`](crate::WriterOptions::max_held) bytes, to be sent again after a failure.
    ///
    /// The end of a pipe does not mean that its writer succeeded. Where that is a process, use [`writer`](Self::writer),
    /// and complete it once the process has exited with 0.
    pub async fn reader(self, mut reader: impl AsyncRead + Unpin) -> Result<ObjectInfo, UploadError> {
        let mut writer = self.writer()?;
        let uploading = async {
            copy(&mut reader, &mut writer).await?;
            writer.wait().await
        };
        let result = uploading.await;
        if result.is_err() {
            // The error is what matters; what GCS may hold is gone after a week.
            let _aborted = writer.abort().await;
        }
        result
    }

    /// Starts the upload, and returns an [`AsyncWrite`](tokio::io::AsyncWrite) that takes its bytes.
    pub fn writer(self) -> Result<ReliableWriter, OptionsError> {
        let open = ViaDaemon::through(self.client.daemons, self.object);
        ReliableWriter::start(open, &self.client.options)
    }

    /// Starts the upload of a source that can be read again. It runs in a task of its own.
    pub fn start(self, source: impl ReplaySource + Sync) -> ReliableUpload {
        let open = ViaDaemon::through(self.client.daemons, self.object);
        ReliableUpload::start(open, source, self.client.options.retries)
    }

    /// Starts the upload of a source that can be read again, in parts over several connections. The retries are those of
    /// `options`.
    pub fn striped(
        self,
        source: impl ReplaySource + Sync,
        options: &StripedOptions,
    ) -> Result<StripedUpload, StripedOptionsError> {
        let route = DaemonRoute::new(self.client.daemons);
        StripedUpload::start(route, self.object, source, options, ())
    }
}

/// Waits for the object. Where there will be none, tells GCS so.
async fn finish(mut upload: ReliableUpload) -> Result<ObjectInfo, UploadError> {
    let result = upload.wait().await;
    if result.is_err() {
        // The error is what matters; what GCS may hold is gone after a week.
        let _aborted = upload.abort().await;
    }
    result
}

async fn open(path: &Path) -> io::Result<FileContent> {
    let at = path.to_owned();
    let opening = tokio::task::spawn_blocking(move || FileContent::of(File::open(at)?));
    opening
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Hands over what `reader` gives, each byte once copied.
async fn copy(reader: &mut (impl AsyncRead + Unpin), writer: &mut ReliableWriter) -> Result<(), UploadError> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ_LEN);
        let read = reader.read_buf(&mut buffer).await;
        if read.map_err(UploadError::source_failed)? == 0 {
            return Ok(());
        }
        writer.write_bytes(buffer.split().freeze()).await?;
    }
}
