//! The body of a request, read at the pace the gate allows.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::watch;

use super::aws_chunks::AwsChunks;
use super::error::Error;

/// Why a body is incomplete.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection broke.
    Ended,
    /// It stalled for too long.
    Stalled,
    /// Its framing is wrong.
    Malformed,
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        match broken {
            // The peer is gone: only the log sees this answer.
            Broken::Ended => Self::new(
                StatusCode::BAD_REQUEST,
                "badRequest",
                "The request's body ended early.",
            ),
            Broken::Malformed => Self::invalid("The body is not framed as aws-chunked bodies are."),
            Broken::Stalled => Self::text(StatusCode::REQUEST_TIMEOUT, "Request Timeout"),
        }
    }
}

/// Where a request's body comes from.
#[derive(Debug)]
enum Source {
    Socket {
        incoming: Incoming,
        /// What holds it up, if anything may.
        gate: Option<watch::Receiver<bool>>,
        idle: Duration,
    },
    /// Already read: a part of a batch.
    Ready(VecDeque<Bytes>),
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct RequestBody {
    source: Source,
    /// What the head promised; `None` for chunked transfer encoding.
    length: Option<u64>,
    /// Amazon's framing within the body.
    chunks: Option<AwsChunks>,
    received: u64,
    ended: bool,
}

impl RequestBody {
    /// A body behind `gate` (true: closed) that may stall for `idle`.
    pub(crate) fn new(incoming: Incoming, gate: watch::Receiver<bool>, idle: Duration) -> Self {
        let length = incoming.size_hint().exact();
        Self {
            ended: incoming.is_end_stream(),
            source: Source::Socket {
                incoming,
                gate: Some(gate),
                idle,
            },
            length,
            chunks: None,
            received: 0,
        }
    }

    /// A body that has been read already.
    pub(crate) fn ready(pieces: VecDeque<Bytes>) -> Self {
        Self {
            ended: pieces.is_empty(),
            length: Some(pieces.iter().map(|piece| piece.len() as u64).sum()),
            source: Source::Ready(pieces),
            chunks: None,
            received: 0,
        }
    }

    /// Takes Amazon's framing off what comes, which will then be `length` bytes.
    pub(crate) fn take_off_framing(&mut self, length: Option<u64>) {
        self.length = length;
        self.chunks = Some(AwsChunks::default());
    }

    /// The length that the head promised; `None` for chunked transfer encoding.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Bytes read so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Whether all of it was read.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// The next bytes, `None` at the end that the head promised.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        if !self.ended {
            if let Some(bytes) = self.piece().await? {
                self.received += bytes.len() as u64;
                return Ok(Some(bytes));
            }
            self.ended = true;
        }
        match self.length {
            Some(length) if length != self.received => Err(Broken::Ended),
            _ => Ok(None),
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Broken> {
        let Some(chunks) = &mut self.chunks else {
            return self.source.next().await;
        };
        loop {
            if let Some(bytes) = chunks.next().map_err(|_| Broken::Malformed)? {
                return Ok(Some(bytes));
            }
            match self.source.next().await? {
                Some(bytes) => chunks.push(&bytes),
                None if chunks.is_complete() => return Ok(None),
                None => return Err(Broken::Ended),
            }
        }
    }

    /// All of it, if it has at most `limit` bytes: no data of an object, which alone the gate is for.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Bytes, Error> {
        if let Source::Socket { gate, .. } = &mut self.source {
            *gate = None;
        }
        let mut all = BytesMut::new();
        while let Some(bytes) = self.next().await? {
            if all.len() + bytes.len() > limit {
                return Err(Error::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "uploadTooLarge",
                    format!("The metadata of a request has at most {limit} bytes."),
                ));
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }
}

impl Source {
    async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        let (incoming, gate, idle) = match self {
            Self::Ready(pieces) => return Ok(pieces.pop_front()),
            Self::Socket { incoming, gate, idle } => (incoming, gate, *idle),
        };
        loop {
            // An error means that the server is gone, and the gate with it.
            if let Some(gate) = gate {
                let _ = gate.wait_for(|closed| !closed).await;
            }
            let frame = tokio::time::timeout(idle, incoming.frame())
                .await
                .map_err(|_| Broken::Stalled)?;
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data()
                        && !bytes.is_empty()
                    {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(_)) => return Err(Broken::Ended),
                None => return Ok(None),
            }
        }
    }
}
