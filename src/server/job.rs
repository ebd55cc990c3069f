//! A request in hand, from its head to its reply and its line in the log.

use std::net::SocketAddr;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::Shared;
use super::body::Body;
use super::in_flight::{Permit, Reserved};
use super::reader::Next;
use crate::ops::{Answer, Failure, Replier, Share};
use gcsd_wire::{Kind, RequestHead};

/// A request in hand.
#[derive(Debug)]
pub(super) struct Job {
    peer: SocketAddr,
    head: RequestHead,
    pub(super) replier: Replier,
    started: Instant,
    /// Reserves the request's sequence, and says when the client wants it to end.
    reserved: Reserved,
    /// What it may hold of the daemon's memory, until its reply is written.
    room: Option<Share>,
    /// Counts the request as in flight until it is dropped. Cancel and Ping do not count.
    _permit: Option<Permit>,
}

impl Job {
    /// A request whose head was read just now.
    pub(super) fn new(
        peer: SocketAddr,
        head: RequestHead,
        replier: Replier,
        reserved: Reserved,
        permit: Option<Permit>,
        room: Share,
    ) -> Self {
        Self {
            peer,
            head,
            replier,
            started: Instant::now(),
            reserved,
            room: Some(room),
            _permit: permit,
        }
    }

    /// Cancelled when the client wants the request to end.
    pub(super) fn cancel(&self) -> CancellationToken {
        self.reserved.cancel()
    }

    /// Answers the request.
    pub(super) async fn finish(mut self, outcome: Result<Answer, Failure>, closing: bool) {
        self.log(&outcome);
        self.reserved.answered();
        let room = self.room.take();
        if self.replier.end(&outcome, closing, room).await.is_err() {
            debug!(peer = %self.peer, sequence = self.head.sequence, "the client is gone; its reply is dropped");
        }
    }

    /// Answers the request, then skips the rest of its body, so that the next request can be found. If that is not
    /// possible, or would take too long, the reply announces that the connection closes.
    pub(super) async fn conclude(
        self,
        shared: &Shared,
        outcome: Result<Answer, Failure>,
        rest: Option<Body>,
    ) -> Next {
        let cap = shared.context.limits.drain_cap;
        let stalled = matches!(&outcome, Err(failure) if failure.status.kind() == Some(Kind::ClientStalled));
        let open = !stalled && !shared.shutdown.cut.is_cancelled();
        match rest {
            Some(rest) if open && rest.can_be_skipped(cap) => {
                self.finish(outcome, false).await;
                rest.skip(cap).await
            }
            rest => {
                self.finish(outcome, true).await;
                Next::Close(rest.map(Body::into_reader))
            }
        }
    }

    fn log(&self, outcome: &Result<Answer, Failure>) {
        let RequestHead { sequence, upload, .. } = self.head;
        let opcode = self.replier.opcode_name();
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let peer = self.peer;
        match outcome {
            Ok(answer) => {
                let (bytes, http) = (answer.moved, answer.http_status);
                info!(%peer, sequence, opcode, upload, bytes, status = "ok", http, ms, "request");
            }
            Err(Failure {
                status,
                http_status: http,
                reply,
            }) => {
                let retry = status.retry().map_or("", |retry| retry.name());
                let request_id = reply.request_id.as_deref();
                let message = &reply.message;
                info!(
                    %peer, sequence, opcode, upload, %status, retry, http, committed = reply.committed,
                    ms, message, request_id, "request"
                );
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let opcode = self.replier.opcode_name();
            error!(peer = %self.peer, sequence = self.head.sequence, opcode, "a request panicked");
        }
    }
}
