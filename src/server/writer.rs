//! A connection's write half: one task, so that each frame stays whole.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::ops::OutFrame;

/// Frames that wait for the socket. With frames of at most 256 KiB, it bounds what a slow client costs.
pub(super) const QUEUE: usize = 4;
/// Slices in one write.
const SLICES: usize = 16;

/// Writes frames until there are no more senders, then half-closes. Returns early when the client takes
/// nothing for `client_timeout`, or the socket fails: the senders then learn that the client is gone.
pub(super) async fn run(
    mut half: OwnedWriteHalf,
    mut frames: mpsc::Receiver<Box<OutFrame>>,
    client_timeout: Duration,
) -> io::Result<()> {
    let mut batch = Vec::new();
    let mut parts = VecDeque::new();
    while frames.recv_many(&mut batch, QUEUE).await > 0 {
        for frame in batch.drain(..) {
            parts.push_back(frame.front);
            if !frame.body.is_empty() {
                parts.push_back(frame.body);
            }
        }
        while !parts.is_empty() {
            let slices: Vec<IoSlice<'_>> = parts.iter().take(SLICES).map(|part| IoSlice::new(part)).collect();
            let written = timeout(client_timeout, half.write_vectored(&slices)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            advance(&mut parts, written);
        }
    }
    timeout(client_timeout, half.shutdown()).await?
}

/// Drops the first `len` bytes of `parts`.
fn advance(parts: &mut VecDeque<Bytes>, mut len: usize) {
    while let Some(part) = parts.front_mut() {
        if part.len() > len {
            part.advance(len);
            return;
        }
        len -= part.len();
        parts.pop_front();
    }
}
