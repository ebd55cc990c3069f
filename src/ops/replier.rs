//! Sending replies: frames go to the connection's one writer, which keeps each of them whole.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Answer, Failure};
use gcsd_wire::head::{CHECKED, CLOSING, MORE};
use gcsd_wire::{Kind, Opcode, Reply, ReplyHead, RequestHead, Retry, Status, WireArgs};

/// A frame of a reply, ready for the socket.
#[derive(Debug)]
pub struct OutFrame {
    /// Head and args.
    pub front: Bytes,
    /// The body, as GCS sent it.
    pub body: Bytes,
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
    frames: mpsc::Sender<Box<OutFrame>>,
    opcode: u8,
    sequence: u64,
    /// The flags of every frame of the reply.
    flags: u16,
}

impl Replier {
    /// Replies to the request with `head`. Its opcode is echoed, known or not.
    pub fn to(frames: mpsc::Sender<Box<OutFrame>>, head: &RequestHead) -> Self {
        Self {
            frames,
            opcode: head.opcode,
            sequence: head.sequence,
            flags: head.flags & CHECKED,
        }
    }

    /// Replies to bytes that could not be read as a request.
    pub fn to_nothing(frames: mpsc::Sender<Box<OutFrame>>) -> Self {
        Self {
            frames,
            opcode: 0,
            sequence: 0,
            flags: 0,
        }
    }

    /// Sends a frame after which more of the same reply follow. Waits while the client is slow.
    pub async fn piece(&self, reply: &Reply, body: Bytes) -> Result<(), ClientGone> {
        self.send(MORE, Status::OK, 0, reply.to_bytes(), body).await
    }

    /// Sends bytes in frames that are no larger than a client can hold whole.
    pub async fn pieces(&self, reply: &Reply, mut bytes: Bytes) -> Result<(), ClientGone> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(MAX_PIECE));
            self.piece(reply, piece).await?;
        }
        Ok(())
    }

    /// Sends the last frame of a reply. `closing` announces that the connection reads no further requests.
    pub async fn end(&self, outcome: &Result<Answer, Failure>, closing: bool) -> Result<(), ClientGone> {
        let flags = if closing { CLOSING } else { 0 };
        match outcome {
            Ok(answer) => {
                let args = answer.reply.to_bytes();
                self.send(flags, Status::OK, answer.http_status, args, answer.body.clone())
                    .await
            }
            Err(failure) => {
                let args = failure.reply.to_bytes();
                self.send(flags, failure.status, failure.http_status, args, Bytes::new())
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
    ) -> Result<(), ClientGone> {
        let head = ReplyHead {
            opcode: self.opcode,
            flags: flags | self.flags,
            sequence: self.sequence,
            status,
            http_status,
            args_len: 0,
            body_len: body.len() as u64,
        };
        let front = head.front(&args);
        let frame = OutFrame { front, body };
        // Boxed: tokio's queue allocates 32 slots at once, for every idle connection.
        self.frames.send(Box::new(frame)).await.map_err(|_| ClientGone)
    }

    /// The name of the request's opcode, for the log.
    pub fn opcode_name(&self) -> &'static str {
        Opcode::from_code(self.opcode).map_or("unknown", Opcode::name)
    }
}
