//! The producer's side: bytes go in, and wait where there is no room.

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

/// How much goes in at a time: what is larger is split (not copied), what is smaller is gathered where it must be
/// copied anyway.
const PIECE: usize = 256 * 1024;

/// Writes an object, and survives whatever can be survived. See [the module](super) for how.
pub struct ReliableWriter {
    upload: ReliableUpload,
    /// `None` once the end was said.
    inputs: Option<mpsc::UnboundedSender<Input>>,
    room: PollSemaphore,
    /// What was copied in and has not gone to the task, and its room.
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

    /// Goes on with an upload that another process began. The first byte that is written is the object's byte
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

    /// Takes `bytes` over without copying them. Waits while there is no room; what has gone in is on its way.
    ///
    /// Not cancel safe: a part of `bytes` may have gone in.
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

    /// Says that there is no more, waits until the object is there, and compares it with what was written.
    ///
    /// The object that is returned has the size and the checksum of the bytes, whatever happened on the way. After
    /// an error no object appeared, except where [`UploadError`] says so. Dropping the future drops the
    /// writer; if the object was being finished, it may appear.
    pub async fn complete(mut self) -> Result<ObjectInfo, UploadError> {
        self.wait().await
    }

    /// As [`complete`](Self::complete), by reference, so that a writer that failed can still be aborted. Cancel safe.
    pub async fn wait(&mut self) -> Result<ObjectInfo, UploadError> {
        self.end();
        self.upload.wait().await
    }

    /// Ends the upload: returns when the task has ended and GCS was told to throw away what it holds.
    pub async fn abort(self) -> Aborted {
        self.upload.abort().await
    }

    /// Waits until the upload has started, and gives what brings it back in another process.
    pub async fn token(&mut self) -> Result<Token, UploadError> {
        self.upload.token().await
    }

    /// Where the upload stands; the receiver tells of each change.
    pub fn reports(&self) -> watch::Receiver<Report> {
        self.upload.reports()
    }

    /// Room for `len` more bytes, at most [`PIECE`].
    fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
    ) -> Poll<Result<OwnedSemaphorePermit, UploadError>> {
        // A task that has ended makes no more room. Where it goes on, this has it wake us when it ends.
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
            // A task that has ended needs nothing more, and the next request for room says why.
            let _ended = inputs.send(Input::Chunk(chunk));
        }
    }

    /// Gives the task what was gathered.
    fn hand_over(&mut self) {
        if let Some(room) = self.gathered_room.take() {
            let bytes = self.gathered.split().freeze();
            self.send(bytes, room);
        }
    }

    /// Says that there is no more.
    fn end(&mut self) {
        self.hand_over();
        if let Some(inputs) = self.inputs.take() {
            let _ended = inputs.send(Input::End);
        }
    }

    /// How many bytes can be gathered before they must go.
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

/// For those who have a slice, which must be copied. `shutdown` is the end: it waits until the object is there and
/// verified, and [`complete`](ReliableWriter::complete) then returns it at once. `flush` sends what is there on its way
/// and waits for nothing, since GCS persists multiples of 256 KiB only.
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
            // What is gathered must not be what the room is waiting for.
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
