//! The task that writes requests to the socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::body::{BodySource, Content, NextPiece};
use super::in_flight::{Attention, InFlight, Outgoing};
use super::lost::Reason;
use gcsd_types::Crc32c;
use gcsd_wire::PieceHead;

/// Pieces that one vectored write takes.
const SLICES: usize = 64;

/// The most bytes of one piece of a body without a length: a piece must be sent to its end before the body can be taken
/// back.
const PIECE_LEN: usize = 1024 * 1024;

/// How many bytes of heads and args are joined into one write.
const JOINED: usize = 16 * 1024;

/// How long the half-close may take. Over TCP it is immediate.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Why a request was not sent to its end.
enum Cut {
    /// It is no longer wanted: the daemon refused it, or the caller went away.
    Stopped,
    /// The socket failed.
    Socket(io::Error),
    /// The body's source failed.
    Source(io::Error),
}

/// Sends requests until no more can come or the connection is over, then half-closes.
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
        in_flight.cut.fetch_or(
            matches!(sent, Err(Cut::Stopped | Cut::Source(_))),
            Ordering::Relaxed,
        );
        in_flight.clock.writing.store(false, Ordering::Relaxed);
        match sent {
            Ok(()) => {}
            Err(Cut::Stopped) if attention.abandoned() => in_flight.close(Reason::Abandoned),
            // The receiving task has said why.
            Err(Cut::Stopped) => break,
            Err(Cut::Source(error)) => in_flight.source_failed(sequence, error),
            // What the daemon sent before it closed can still be read.
            Err(Cut::Socket(error)) => in_flight.close(Reason::Broken(error.into())),
        }
    }
    // Says "no more requests", unless the socket is broken already.
    let _closed = tokio::time::timeout(SHUTDOWN, half.shutdown()).await;
}

/// Joins heads and args of `first` and of the requests after it, up to the first that has a body.
///
/// Also returns the last of them; the ones before have no body. `None` if there is nothing to send.
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
            let stop = request.body.len != Some(0) || joined.len() >= JOINED;
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

/// Sends `front`, then the body of `request`, in as few writes as possible.
async fn send<W: AsyncWrite + Unpin>(
    half: &mut W,
    front: Bytes,
    request: Outgoing,
    in_flight: &InFlight,
) -> Result<(), Cut> {
    let mut queue = VecDeque::from([front]);
    let Some(len) = request.body.len else {
        return send_pieces(half, queue, request, in_flight).await;
    };
    // A request without a body is sent even if its caller went away: it has few bytes.
    let stop = Stop {
        attention: (len > 0).then_some(request.attention),
        in_flight,
    };
    match request.body.content {
        Content::Pieces(pieces) => {
            queue.extend(pieces);
            write(half, &mut queue, &stop).await
        }
        Content::Source(mut source) => {
            let mut rest = u64::try_from(len).unwrap_or(u64::MAX);
            while rest > 0 {
                let mut piece = next(source.as_mut(), stop.asked(), in_flight).await?;
                if piece.is_empty() {
                    let short = "the source ended before the length that was announced";
                    return Err(Cut::Source(io::Error::new(io::ErrorKind::UnexpectedEof, short)));
                }
                piece.truncate(usize::try_from(rest).unwrap_or(usize::MAX));
                rest -= piece.len() as u64;
                queue.push_back(piece);
                write(half, &mut queue, &stop).await?;
            }
            write(half, &mut queue, &stop).await
        }
    }
}

/// Sends `queue`, then the body of `request` in pieces: all of it, or, once it is no longer wanted, an abort instead of
/// the rest.
async fn send_pieces<W: AsyncWrite + Unpin>(
    half: &mut W,
    mut queue: VecDeque<Bytes>,
    request: Outgoing,
    in_flight: &InFlight,
) -> Result<(), Cut> {
    let attention = request.attention;
    // A piece that was begun is sent to its end.
    let stop = Stop {
        attention: None,
        in_flight,
    };
    let mut source = match request.body.content {
        Content::Source(source) => source,
        Content::Pieces(pieces) => Box::new(Listed(pieces.into())),
    };
    let mut checksum = Crc32c::default();
    let ended = loop {
        if attention.refused() {
            return Err(Cut::Stopped);
        }
        if attention.unwanted() {
            break Err(None);
        }
        let lapsed = async {
            tokio::select! {
                () = attention.lapse() => {}
                () = in_flight.ended.cancelled() => {}
            }
        };
        let mut bytes = match next(source.as_mut(), lapsed, in_flight).await {
            Ok(bytes) if bytes.is_empty() => break Ok(()),
            Ok(bytes) => bytes,
            Err(Cut::Source(error)) => break Err(Some(error)),
            Err(Cut::Stopped) if in_flight.ended.is_cancelled() => return Err(Cut::Stopped),
            Err(Cut::Stopped) => continue,
            Err(cut) => return Err(cut),
        };
        checksum = checksum.append(&bytes);
        while !bytes.is_empty() && !attention.unwanted() {
            let piece = bytes.split_to(bytes.len().min(PIECE_LEN));
            let len = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            queue.push_back(Bytes::copy_from_slice(&PieceHead::Data(len).encode_checked()));
            queue.push_back(piece);
            write(half, &mut queue, &stop).await?;
        }
    };
    let mut last = BytesMut::new();
    match &ended {
        Ok(()) => {
            last.extend_from_slice(&PieceHead::End { checksum: true }.encode_checked());
            last.extend_from_slice(&checksum.0.to_le_bytes());
        }
        Err(_) => last.extend_from_slice(&PieceHead::Abort.encode_checked()),
    }
    queue.push_back(last.freeze());
    write(half, &mut queue, &stop).await?;
    if let Err(Some(error)) = ended {
        in_flight.body_failed(request.sequence, error);
    }
    Ok(())
}

/// Bytes in memory, as a source.
struct Listed(VecDeque<Bytes>);

impl BodySource for Listed {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(std::future::ready(Ok(self.0.pop_front().unwrap_or_default())))
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

/// The next bytes of a source; none at its end. Meanwhile the daemon is not blamed for silence.
async fn next(
    source: &mut dyn BodySource,
    stop: impl Future<Output = ()>,
    in_flight: &InFlight,
) -> Result<Bytes, Cut> {
    let clock = &in_flight.clock;
    clock.held.store(true, Ordering::Relaxed);
    let piece = tokio::select! {
        biased;
        () = stop => Err(Cut::Stopped),
        piece = source.next() => piece.map_err(Cut::Source),
    };
    clock.touch();
    clock.held.store(false, Ordering::Relaxed);
    piece
}

/// Writes all of `queue`, many pieces at a time, without copying them.
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
    // A TLS session keeps what its socket did not take.
    tokio::select! {
        biased;
        () = stop.asked() => Err(Cut::Stopped),
        flushed = half.flush() => flushed.map_err(Cut::Socket),
    }
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
