//! The source of an upload's bytes.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;

use gcsd_types::Crc32c;

/// Why a [`Source`] stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Reading failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The sender aborted the body.
    #[error("the sender aborted the body")]
    Aborted,
    /// The bytes do not match the checksum that their sender gave.
    #[error("the body does not match its sender's checksum")]
    Damaged,
    /// The bytes cannot be a body, or are not the body that was announced.
    #[error("{0}")]
    Malformed(&'static str),
}

/// The source of an upload's bytes.
pub trait Source: Send + 'static {
    /// The next bytes: at least one and never more than `max`, which is never 0.
    ///
    /// An empty chunk marks the end of the stream. A body of known length asks only while bytes are missing, so there
    /// an empty chunk means that the sender left. A body of unknown length is complete at an empty chunk; its source
    /// reports a sender that left as [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
    ///
    /// Cancel safe: a call that returns `Pending` has taken nothing.
    fn poll_chunk(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, SourceError>>;

    /// The checksum that all bytes must have, if a source of unknown length learned it at its end. On a mismatch the
    /// body is cut before GCS can take it for complete.
    fn checksum(&self) -> Option<Crc32c> {
        None
    }
}

/// A list of chunks in memory: each is passed on whole or split, never copied.
impl Source for VecDeque<Bytes> {
    fn poll_chunk(&mut self, _cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, SourceError>> {
        loop {
            match self.front_mut() {
                None => return Poll::Ready(Ok(Bytes::new())),
                Some(chunk) if chunk.len() > max => return Poll::Ready(Ok(chunk.split_to(max))),
                Some(_) => match self.pop_front() {
                    Some(chunk) if chunk.is_empty() => {}
                    chunk => return Poll::Ready(Ok(chunk.unwrap_or_default())),
                },
            }
        }
    }
}
