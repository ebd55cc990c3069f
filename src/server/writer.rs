//! A connection's write half: one task writes all frames, so that each stays whole.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::socket::WriteHalf;
use crate::ops::OutFrame;
use gcsd_net::Acknowledgements;

/// How many frames wait for the socket. What they cost while a client is slow is bounded by the bytes of their bodies
/// ([`FrameQueue::BYTES`](crate::ops::FrameQueue::BYTES)).
pub(super) const QUEUE: usize = 4;
/// How many slices go into one write.
const SLICES: usize = 16;

/// Writes frames until there are no more senders, then half-closes. Returns early if the client takes
/// nothing for `client_timeout` or the socket fails, even if there is nothing to write: the senders then learn that the
/// client is gone.
pub(super) async fn run(
    half: WriteHalf,
    mut frames: mpsc::Receiver<Box<OutFrame>>,
    client_timeout: Duration,
) -> io::Result<()> {
    let mut batch = Vec::new();
    let mut parts = VecDeque::new();
    let mut held = Vec::new();
    loop {
        let received = tokio::select! {
            biased;
            received = frames.recv_many(&mut batch, QUEUE) => received,
            error = half.broken() => return Err(error),
        };
        if received == 0 {
            break;
        }
        for frame in batch.drain(..) {
            parts.push_back(frame.front);
            if !frame.body.is_empty() {
                parts.push_back(frame.body);
            }
            held.push((frame.queued, frame.room));
        }
        while !parts.is_empty() {
            let slices: Vec<IoSlice<'_>> = parts.iter().take(SLICES).map(|part| IoSlice::new(part)).collect();
            let written = in_time(&half, client_timeout, || half.write_vectored(&slices)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            advance(&mut parts, written);
        }
        in_time(&half, client_timeout, || half.flush()).await?;
        held.clear();
    }
    timeout(client_timeout, half.shutdown()).await?
}

/// Does something that waits for the client, and can be begun again. Fails when the client has acknowledged nothing for
/// `client_timeout`.
async fn in_time<T, F>(half: &WriteHalf, client_timeout: Duration, begin: impl Fn() -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let acknowledgements = Acknowledgements::default();
    let mut deadline = Instant::now() + client_timeout;
    loop {
        let look = Instant::now() + client_timeout / Acknowledgements::LOOKS;
        if let Ok(done) = timeout_at(deadline.min(look), begin()).await {
            return done;
        }
        half.look(&acknowledgements);
        let now = Instant::now();
        if acknowledgements.advanced() {
            deadline = now + client_timeout;
        } else if now >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::{TcpListener, TcpStream};

    use super::super::socket::{Socket, plain};
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// The clock is paused, and advances when nothing else can move: when the sockets are full. The kernel's own
    /// limits take real time, and are not what ends this.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).await.expect("a connection");
        let (server, _) = listener.accept().await.expect("a connection");
        let (_read_half, write_half) = plain(Arc::new(Socket::Tcp(server)));
        let (frames, queue) = mpsc::channel(QUEUE);
        let body = Bytes::from(vec![7; 1 << 20]);
        let send = async {
            let frame = || OutFrame {
                front: Bytes::from_static(b"head"),
                body: body.clone(),
                queued: None,
                room: None,
            };
            // Ends when the writer does.
            while frames.send(Box::new(frame())).await.is_ok() {}
        };
        let both = async { tokio::join!(run(write_half, queue, HOUR), send) };
        let (written, ()) = timeout(2 * HOUR, both).await.expect("it gives up");
        assert_eq!(written.expect_err("gave up").kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
