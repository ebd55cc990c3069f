//! The producer's side: bytes go in, and wait while there is no room.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::PollSemaphore;

use super::super::{OpenUpload, Token};
use super::abort::Aborted;
use super::checkpoint::Checkpoint;
use super::error::UploadError;
use super::intake::{Input, Intake};
use super::options::{OptionsError, WriterOptions};
use super::recovery::Recovery;
use super::report::Report;
use super::retained::{Chunk, Retained};
use super::upload::ReliableUpload;
use gcsd_types::{Crc32c, ObjectInfo};

/// How much goes in at a time: larger pieces are split (not copied); smaller ones are gathered if they have to be copied
/// anyway.
const PIECE: usize = 256 * 1024;

/// Writes an object, and recovers from every failure that can be recovered from. See [the module](super) for how.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// # let client = gcsd_client::Client::connect(address).await?;
/// use tokio::io::AsyncWriteExt as _;
///
/// let mut writer = client.object("gs://my-bucket/log.txt")?.upload().writer()?;
/// for line in 0..1000 {
///     writer.write_all(format!("line {line}\n").as_bytes()).await?;
/// }
/// // There is no object before this, and none at all after `abort`.
/// let made = writer.complete().await?;
/// assert_eq!(made.size, 8890);
/// # Ok(())
/// # }
/// ```
pub struct ReliableWriter {
    upload: ReliableUpload,
    /// `None` after the end.
    inputs: Option<mpsc::UnboundedSender<Input>>,
    room: PollSemaphore,
    /// What was copied and has not gone to the task yet, and its room.
    gathered: BytesMut,
    gathered_room: Option<OwnedSemaphorePermit>,
    /// The checksum of everything before `gathered`.
    crc32c: Crc32c,
}

impl ReliableWriter {
    /// Starts an upload.
    pub fn start<U: OpenUpload>(open: U, options: &WriterOptions) -> Result<Self, OptionsError> {
        let recovery = Recovery::new(options.retries.max_restarts);
        Self::spawn(open, (0, Crc32c::default()), recovery, None, options)
    }

    /// Continues an upload that another process began. The first byte that is written is the object's byte
    /// `checkpoint.offset`.
    pub fn resume<U: OpenUpload>(
        open: U,
        checkpoint: Checkpoint,
        options: &WriterOptions,
    ) -> Result<Self, OptionsError> {
        let Checkpoint {
            token,
            offset,
            crc32c,
        } = checkpoint;
        let recovery = Recovery::resumed(offset, options.retries.max_restarts);
        Self::spawn(open, (offset, crc32c), recovery, Some(token), options)
    }

    fn spawn<U: OpenUpload>(
        open: U,
        (from, crc32c): (u64, Crc32c),
        recovery: Recovery,
        token: Option<Token>,
        options: &WriterOptions,
    ) -> Result<Self, OptionsError> {
        options.check()?;
        let (inputs, outputs) = mpsc::unbounded_channel();
        let intake = Intake::new(outputs, Retained::new(from, crc32c), open.size(), options);
        let upload = ReliableUpload::spawn(open, intake, recovery, token, options.retries.clone());
        Ok(Self {
            upload,
            inputs: Some(inputs),
            room: PollSemaphore::new(Arc::new(Semaphore::new(options.max_held))),
            gathered: BytesMut::new(),
            gathered_room: None,
            crc32c,
        })
    }

    /// Takes `bytes` without copying them. Waits while there is no room.
    ///
    /// Not cancel safe: a part of `bytes` may have been taken.
    pub async fn write_bytes(&mut self, mut bytes: Bytes) -> Result<(), UploadError> {
        if self.inputs.is_none() {
            return Err(UploadError::AfterEnd);
        }
        self.hand_over();
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            let room = std::future::poll_fn(|cx| self.poll_room(cx, piece.len())).await?;
            self.send(piece, room);
        }
        Ok(())
    }

    /// Ends the input, waits until the object exists, and compares it with what was written.
    ///
    /// The returned object has the size and the checksum of the bytes, whatever happened on the way. After an error no
    /// object appeared, except where [`UploadError`] says so. Dropping the future drops the writer; an object that was being
    /// finished may still appear.
    pub async fn complete(mut self) -> Result<ObjectInfo, UploadError> {
        self.wait().await
    }

    /// Like [`complete`](Self::complete), but by reference, so that a writer that failed can still be aborted. Cancel safe.
    pub async fn wait(&mut self) -> Result<ObjectInfo, UploadError> {
        self.end();
        self.upload.wait().await
    }

    /// Waits until the upload fails, so that a producer with nothing to write learns of it. Pending as long as it does not.
    /// Cancel safe.
    pub async fn failed(&mut self) -> UploadError {
        match self.upload.wait().await {
            Err(error) => error,
            Ok(_) => std::future::pending().await,
        }
    }

    /// Ends the upload. Returns when the task has ended and GCS was told to discard what it holds.
    pub async fn abort(self) -> Aborted {
        self.upload.abort().await
    }

    /// Waits until the upload has started. Returns what brings it back in another process.
    pub async fn token(&mut self) -> Result<Token, UploadError> {
        self.upload.token().await
    }

    /// The upload's report, as it changes.
    pub fn reports(&self) -> watch::Receiver<Report> {
        self.upload.reports()
    }

    /// Room for `len` more bytes, at most [`PIECE`].
    fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
    ) -> Poll<Result<OwnedSemaphorePermit, UploadError>> {
        // A task that has ended makes no more room. If it still runs, this registers to be woken when it ends.
        if let Poll::Ready(result) = self.upload.poll_result(cx) {
            return Poll::Ready(Err(result.err().unwrap_or(UploadError::Stopped)));
        }
        let permits = u32::try_from(len).unwrap_or(u32::MAX);
        let room = ready!(self.room.poll_acquire_many(cx, permits));
        Poll::Ready(room.ok_or(UploadError::Stopped))
    }

    fn send(&mut self, bytes: Bytes, room: OwnedSemaphorePermit) {
        self.crc32c = self.crc32c.append(&bytes);
        let chunk = Chunk {
            bytes,
            crc32c: self.crc32c,
            room,
        };
        if let Some(inputs) = &self.inputs {
            // The task may have ended; the next request for room says why.
            let _ended = inputs.send(Input::Chunk(chunk));
        }
    }

    /// Sends what was gathered to the task.
    fn hand_over(&mut self) {
        if let Some(room) = self.gathered_room.take() {
            let bytes = self.gathered.split().freeze();
            self.send(bytes, room);
        }
    }

    /// Ends the input.
    fn end(&mut self) {
        self.hand_over();
        if let Some(inputs) = self.inputs.take() {
            let _ended = inputs.send(Input::End);
        }
    }

    /// How many more bytes can be gathered.
    fn space(&mut self) -> usize {
        if self.gathered.len() == self.gathered.capacity() {
            self.hand_over();
            self.gathered.reserve(PIECE);
        }
        self.gathered.capacity() - self.gathered.len()
    }

    fn gather(&mut self, bytes: &[u8], room: OwnedSemaphorePermit) {
        self.gathered.extend_from_slice(bytes);
        match &mut self.gathered_room {
            Some(gathered) => gathered.merge(room),
            none => *none = Some(room),
        }
    }
}

/// Copies the bytes. `shutdown` ends the input, and waits until the object exists and is verified;
/// [`complete`](ReliableWriter::complete) then returns it at once. `flush` sends what was gathered and waits for nothing,
/// since GCS persists only multiples of 256 KiB.
impl AsyncWrite for ReliableWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.inputs.is_none() {
            return Poll::Ready(Err(UploadError::AfterEnd.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let len = buf.len().min(PIECE).min(this.space());
        let Poll::Ready(room) = this.poll_room(cx, len) else {
            // The room may become free only once what is gathered has been sent.
            this.hand_over();
            return Poll::Pending;
        };
        this.gather(&buf[..len], room?);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.hand_over();
        match this.upload.poll_result(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.end();
        let result = ready!(this.upload.poll_result(cx));
        Poll::Ready(result.map(drop).map_err(io::Error::from))
    }
}

impl fmt::Debug for ReliableWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReliableWriter")
            .field("upload", &self.upload)
            .field("ended", &self.inputs.is_none())
            .finish_non_exhaustive()
    }
}
