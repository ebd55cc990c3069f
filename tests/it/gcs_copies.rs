//! The bytes that leave lie where the bytes that came in lay: a body is never copied on its way to the socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use gcsd_gcs::{Gcs, SessionStatus, WriteRange, lend};
use gcsd_net::{Connecting, Connector, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::support::peer::{Peer, active, patiently};

/// Takes everything, notes where each piece lay, and answers once the body is there.
#[derive(Debug, Clone, Default)]
struct Witness(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// Address and length of each piece, in the order of writing.
    pieces: Vec<(usize, usize)>,
    writes: usize,
    answer: Vec<u8>,
    reader: Option<std::task::Waker>,
}

impl Connector for Witness {
    fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
        Box::pin(async { Ok(Box::new(self.clone()) as _) })
    }
}

impl Stream for Witness {}

impl AsyncRead for Witness {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut seen = self.0.lock().expect("unharmed");
        if seen.answer.is_empty() {
            seen.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        buf.put_slice(&std::mem::take(&mut seen.answer));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Witness {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut seen = self.0.lock().expect("unharmed");
        seen.writes += 1;
        let pieces = bufs.iter().map(|piece| (piece.as_ptr().addr(), piece.len()));
        seen.pieces.extend(pieces);
        // The head is far below 1 KiB, the body far above.
        if seen.pieces.iter().map(|(_, len)| len).sum::<usize>() >= BODY {
            seen.answer = active(None).into_bytes();
            if let Some(reader) = seen.reader.take() {
                reader.wake();
            }
        }
        Poll::Ready(Ok(bufs.iter().map(|piece| piece.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const CHUNK: usize = 256 * 1024;
const BODY: usize = 16 * CHUNK;

#[tokio::test]
async fn chunks_go_to_the_socket_from_where_they_are_in_large_vectored_writes() {
    let peer = Peer::listen().await;
    let witness = Witness::default();
    let gcs = Gcs::new(peer.config(), Arc::new(witness.clone())).expect("a client");
    let whole = Bytes::from(vec![9; BODY]);
    let chunks: VecDeque<Bytes> = (0..BODY)
        .step_by(CHUNK)
        .map(|at| whole.slice(at..at + CHUNK))
        .collect();
    let len = BODY as u64;
    let (_lease, body) = lend(chunks, len);
    let range = WriteRange {
        offset: 0,
        len: Some(len),
        total: None,
        object_crc32c: None,
    };
    let progress = patiently(gcs.write(&peer.session(), range, body))
        .await
        .expect("written")
        .answer;
    assert_eq!(progress, SessionStatus::Active { committed: None });
    let seen = witness.0.lock().expect("unharmed");
    let (head, body) = seen.pieces.split_first().expect("something was written");
    assert!(head.1 < 1024, "{head:?}");
    let start = whole.as_ptr().addr();
    let expected: Vec<_> = (0..BODY).step_by(CHUNK).map(|at| (start + at, CHUNK)).collect();
    assert_eq!(body, expected);
    // No chunk waits for the next one: it would be cold by then.
    assert!(seen.writes <= BODY / CHUNK + 1, "{} writes", seen.writes);
}
