//! Sending replies: frames go to the connection's one writer, which keeps each of them whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Answer, Failure, Share};
use gcsd_wire::head::{CHECKED, CLOSING, MORE};
use gcsd_wire::{Kind, Reply, ReplyHead, RequestHead, Retry, Status, WireArgs};

/// A frame of a reply, ready for the socket.
#[derive(Debug)]
pub struct OutFrame {
    /// Head and args.
    pub front: Bytes,
    /// The body, as GCS sent it.
    pub body: Bytes,
    /// The body's room in the queue.
    pub queued: Option<OwnedSemaphorePermit>,
    /// What its request held of the daemon's memory: the last frame of a reply gives it back.
    pub room: Option<Share>,
}

/// Where the frames of a connection wait for its socket.
#[derive(Debug, Clone)]
pub struct FrameQueue {
    frames: mpsc::Sender<Box<OutFrame>>,
    /// The bytes of bodies that may wait.
    bytes: Arc<Semaphore>,
    /// Every frame is checked.
    checked: Arc<AtomicBool>,
    /// Counts the bytes of bodies, on all connections.
    sent: Arc<AtomicU64>,
}

impl FrameQueue {
    /// How many bytes of bodies wait for a slow client. A frame that is longer waits alone.
    pub const BYTES: u32 = 512 * 1024;

    /// A queue into this channel. What goes through it is added to `sent`, in bytes of bodies.
    pub fn new(frames: mpsc::Sender<Box<OutFrame>>, sent: Arc<AtomicU64>) -> Self {
        let bytes = Arc::new(Semaphore::new(Self::BYTES as usize));
        let checked = Arc::default();
        Self {
            frames,
            bytes,
            checked,
            sent,
        }
    }

    /// From now on, every frame is checked.
    pub fn agree_checked(&self) {
        self.checked.store(true, Ordering::Release);
    }

    /// Whether every frame is checked.
    pub fn is_checked(&self) -> bool {
        self.checked.load(Ordering::Acquire)
    }

    /// Sends bytes that are not a frame: to a client that speaks another protocol.
    pub async fn foreign(&self, bytes: &'static [u8]) -> Result<(), ClientGone> {
        let frame = OutFrame {
            front: Bytes::from_static(bytes),
            body: Bytes::new(),
            queued: None,
            room: None,
        };
        self.send(frame).await
    }

    /// Waits until nobody takes frames any more. Cancel safe.
    pub async fn closed(&self) {
        self.frames.closed().await;
    }

    async fn send(&self, mut frame: OutFrame) -> Result<(), ClientGone> {
        if !frame.body.is_empty() {
            let bytes = u32::try_from(frame.body.len())
                .unwrap_or(u32::MAX)
                .min(Self::BYTES);
            let room = self.bytes.clone().acquire_many_owned(bytes);
            frame.queued = tokio::select! {
                biased;
                room = room => room.ok(),
                // The queue itself is dropped with the writer, and with it what its frames held.
                () = self.frames.closed() => return Err(ClientGone),
            };
        }
        self.sent.fetch_add(frame.body.len() as u64, Ordering::Relaxed);
        // Boxed: tokio's queue allocates 32 slots at once, for every idle connection.
        self.frames.send(Box::new(frame)).await.map_err(|_| ClientGone)
    }
}

/// The client is gone: the connection takes no more replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientGone;

impl From<ClientGone> for Failure {
    fn from(_: ClientGone) -> Self {
        let message = "the client is gone, or stopped reading its replies";
        Self::new(Kind::ClientStalled, Retry::Reconnect, message)
    }
}

/// The largest body of a piece (proto-spec.md, "Limits and time").
const MAX_PIECE: usize = 256 * 1024;

/// Sends the frames of one request's reply.
#[derive(Debug, Clone)]
pub struct Replier {
    frames: FrameQueue,
    opcode: u8,
    sequence: u64,
    /// The flags of every frame of the reply, as the request has them.
    flags: u16,
}

impl Replier {
    /// Replies to the request with `head`. Its opcode is echoed, known or not.
    pub fn to(frames: FrameQueue, head: &RequestHead) -> Self {
        Self {
            frames,
            opcode: head.opcode,
            sequence: head.sequence,
            flags: head.flags & CHECKED,
        }
    }

    /// Replies to bytes that could not be read as a request.
    pub fn to_nothing(frames: FrameQueue) -> Self {
        Self {
            frames,
            opcode: 0,
            sequence: 0,
            flags: 0,
        }
    }

    /// Sends a frame after which more of the same reply follow. Waits while the client is slow.
    pub async fn piece(&self, reply: &Reply, body: Bytes) -> Result<(), ClientGone> {
        self.send(MORE, Status::OK, 0, reply.to_bytes(), body, None).await
    }

    /// Sends bytes in frames that are not larger than a client can hold whole.
    pub async fn pieces(&self, reply: &Reply, mut bytes: Bytes) -> Result<(), ClientGone> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(MAX_PIECE));
            self.piece(reply, piece).await?;
        }
        Ok(())
    }

    /// Sends the last frame of a reply, with what its request held of the daemon's memory. `closing` announces that the
    /// connection reads no further requests.
    pub async fn end(
        &self,
        outcome: &Result<Answer, Failure>,
        closing: bool,
        room: Option<Share>,
    ) -> Result<(), ClientGone> {
        let flags = if closing { CLOSING } else { 0 };
        match outcome {
            Ok(answer) => {
                let args = answer.reply.to_bytes();
                let body = answer.body.clone();
                self.send(flags, Status::OK, answer.http_status, args, body, room)
                    .await
            }
            Err(failure) => {
                let args = failure.reply.to_bytes();
                let (status, http_status) = (failure.status, failure.http_status);
                self.send(flags, status, http_status, args, Bytes::new(), room)
                    .await
            }
        }
    }

    /// Returns once the client is gone: nobody will read the reply.
    pub async fn gone(&self) -> ClientGone {
        self.frames.closed().await;
        ClientGone
    }

    async fn send(
        &self,
        flags: u16,
        status: Status,
        http_status: u16,
        args: Bytes,
        body: Bytes,
        room: Option<Share>,
    ) -> Result<(), ClientGone> {
        let checked = if self.frames.is_checked() { CHECKED } else { 0 };
        let head = ReplyHead {
            opcode: self.opcode,
            flags: flags | self.flags | checked,
            sequence: self.sequence,
            status,
            http_status,
            args_len: 0,
            body_len: body.len() as u64,
        };
        let front = head.front(&args);
        let frame = OutFrame {
            front,
            body,
            queued: None,
            room,
        };
        self.frames.send(frame).await
    }
}
