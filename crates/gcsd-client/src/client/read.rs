//! A read before it begins.

use bytes::{Bytes, BytesMut};

use super::Client;
use crate::{ReadError, ReadRequest, ReliableReader};
use gcsd_types::ByteRange;

/// A read before it begins: which bytes of the object, and how they are wanted.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// # let client = gcsd_client::Client::connect(address).await?;
/// let notes = client.object("gs://my-bucket/notes.txt")?;
/// assert_eq!(notes.read().range(0..5).bytes().await?, "first");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is read before the bytes are asked for"]
pub struct Read {
    client: Client,
    request: ReadRequest,
}

impl Read {
    pub(super) fn new(client: Client, request: ReadRequest) -> Self {
        Self { client, request }
    }

    /// Only these bytes: `0..100`, `100..`, `..=99`, or [`ByteRange::Suffix`]. A range behind the object's end fails
    /// (`range_not_satisfiable`); one that reaches beyond the end is cut short there.
    pub fn range(mut self, range: impl Into<ByteRange>) -> Self {
        self.request = self.request.with_range(range);
        self
    }

    /// Has GCS decompress what is stored with `Content-Encoding: gzip`. Such a read cannot be resumed.
    pub fn decompress(mut self) -> Self {
        self.request = self.request.with_decompress(true);
        self
    }

    /// The bytes as they come: an [`AsyncRead`](tokio::io::AsyncRead), an [`AsyncBufRead`](tokio::io::AsyncBufRead) and a
    /// [`Stream`](futures_core::Stream). Nothing is sent before they are asked for.
    pub fn reader(self) -> ReliableReader {
        ReliableReader::new(self.client.daemons, self.request, &self.client.options.retries)
    }

    /// All the bytes, in memory and verified.
    pub async fn bytes(self) -> Result<Bytes, ReadError> {
        let mut reader = self.reader();
        let mut whole = BytesMut::new();
        while let Some(piece) = reader.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}
