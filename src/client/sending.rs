//! The task that writes requests to the socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::body::{BodySource, Content};
use super::error::Reason;
use super::in_flight::{Attention, InFlight, Outgoing};

/// Pieces that one vectored write takes.
const SLICES: usize = 64;

/// How many bytes of heads and args are joined before they are written.
const JOINED: usize = 16 * 1024;

/// How long the half-close may take: over TCP it takes no time at all.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Why a request's bytes were not sent to their end.
enum Cut {
    /// Nobody wants them any more: the daemon refused them, or the caller went away.
    Stopped,
    /// The socket failed.
    Socket(io::Error),
    /// The body's source failed.
    Source(io::Error),
}

/// Sends requests until there are none to come or the connection is over, then half-closes.
pub(super) async fn run<W: AsyncWrite + Unpin>(
    mut half: W,
    mut requests: mpsc::UnboundedReceiver<Outgoing>,
    in_flight: Arc<InFlight>,
) {
    loop {
        let first = tokio::select! {
            biased;
            () = in_flight.over.cancelled() => break,
            next = requests.recv() => match next {
                Some(first) => first,
                None => break,
            },
        };
        let Some((front, last)) = join(first, &mut requests, &in_flight) else {
            continue;
        };
        let (sequence, attention) = (last.sequence, last.attention.clone());
        in_flight.clock.writing.store(true, Ordering::Relaxed);
        let sent = send(&mut half, front, last, &in_flight).await;
        in_flight.clock.writing.store(false, Ordering::Relaxed);
        match sent {
            Ok(()) => {}
            Err(Cut::Stopped) if attention.abandoned() => in_flight.close(Reason::Abandoned),
            // The receiving task has said why.
            Err(Cut::Stopped) => break,
            Err(Cut::Source(error)) => in_flight.source_failed(sequence, error),
            // What the daemon said before it closed can still be read.
            Err(Cut::Socket(error)) => in_flight.close(Reason::Broken(Arc::new(error))),
        }
    }
    // Says "no more requests"; a socket that is broken already needs no telling.
    let _closed = tokio::time::timeout(SHUTDOWN, half.shutdown()).await;
}

/// Heads and args of `first` and of the requests behind it, up to the first that has a body.
///
/// The last of them is returned too; all before it have no body. `None` if there is nothing to send.
fn join(
    first: Outgoing,
    requests: &mut mpsc::UnboundedReceiver<Outgoing>,
    in_flight: &InFlight,
) -> Option<(Bytes, Outgoing)> {
    let mut front = Bytes::new();
    let mut joined = BytesMut::new();
    let mut last = None;
    let mut next = Some(first);
    while let Some(request) = next {
        if in_flight.take(&request) {
            if joined.is_empty() && front.is_empty() {
                front = request.front.clone();
            } else {
                if joined.is_empty() {
                    joined.extend_from_slice(&front);
                }
                joined.extend_from_slice(&request.front);
            }
            let stop = request.body.len > 0 || joined.len() >= JOINED;
            last = Some(request);
            if stop {
                break;
            }
        }
        next = requests.try_recv().ok();
    }
    let front = if joined.is_empty() { front } else { joined.freeze() };
    last.map(|last| (front, last))
}

/// Sends `front`, then the body of `request`, as few writes as can be.
async fn send<W: AsyncWrite + Unpin>(
    half: &mut W,
    front: Bytes,
    request: Outgoing,
    in_flight: &InFlight,
) -> Result<(), Cut> {
    let mut queue = VecDeque::from([front]);
    // Who gives up on a request without a body gives up on its reply only: its few bytes are sent.
    let stop = Stop {
        attention: (request.body.len > 0).then_some(request.attention),
        in_flight,
    };
    match request.body.content {
        Content::Pieces(pieces) => {
            queue.extend(pieces);
            write(half, &mut queue, &stop).await
        }
        Content::Source(mut source) => {
            let mut rest = u64::try_from(request.body.len).unwrap_or(u64::MAX);
            while rest > 0 {
                let mut piece = next(source.as_mut(), &stop).await?;
                piece.truncate(usize::try_from(rest).unwrap_or(usize::MAX));
                rest -= piece.len() as u64;
                queue.push_back(piece);
                write(half, &mut queue, &stop).await?;
            }
            write(half, &mut queue, &stop).await
        }
    }
}

/// When to stop in the middle of a request.
struct Stop<'a> {
    attention: Option<Arc<Attention>>,
    in_flight: &'a InFlight,
}

impl Stop<'_> {
    /// Returns once no more bytes should be sent.
    async fn asked(&self) {
        match &self.attention {
            Some(attention) => tokio::select! {
                () = attention.stop() => {}
                () = self.in_flight.ended.cancelled() => {}
            },
            None => self.in_flight.ended.cancelled().await,
        }
    }
}

/// The next piece of a source, during which the daemon is not to blame for silence.
async fn next(source: &mut dyn BodySource, stop: &Stop<'_>) -> Result<Bytes, Cut> {
    let clock = &stop.in_flight.clock;
    clock.held.store(true, Ordering::Relaxed);
    let piece = tokio::select! {
        biased;
        () = stop.asked() => Err(Cut::Stopped),
        piece = source.next() => piece.map_err(Cut::Source),
    };
    clock.touch();
    clock.held.store(false, Ordering::Relaxed);
    let piece = piece?;
    if piece.is_empty() {
        let short = "the source ended before the length that was announced";
        return Err(Cut::Source(io::Error::new(io::ErrorKind::UnexpectedEof, short)));
    }
    Ok(piece)
}

/// Writes all of `queue`, many pieces at a time, none of them copied.
async fn write<W: AsyncWrite + Unpin>(
    half: &mut W,
    queue: &mut VecDeque<Bytes>,
    stop: &Stop<'_>,
) -> Result<(), Cut> {
    while !queue.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(queue.iter()) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        let written = tokio::select! {
            biased;
            () = stop.asked() => return Err(Cut::Stopped),
            written = half.write_vectored(&slices[..count]) => written.map_err(Cut::Socket)?,
        };
        if written == 0 {
            return Err(Cut::Socket(io::ErrorKind::WriteZero.into()));
        }
        stop.in_flight.clock.touch();
        advance(queue, written);
    }
    half.flush().await.map_err(Cut::Socket)
}

/// Drops the first `written` bytes of `queue`.
fn advance(queue: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(piece) = queue.front_mut() {
        if written < piece.len() {
            piece.advance(written);
            return;
        }
        written -= piece.len();
        queue.pop_front();
    }
}
