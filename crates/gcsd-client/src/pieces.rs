//! Bytes that come piece by piece, as the traits that others read by: `AsyncRead`, `AsyncBufRead` and `Stream`.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::ReadBuf;

/// A source of pieces.
pub(super) trait Pieces {
    /// Why no more come. It stays: each further request for a piece gives it again.
    type Error: Into<io::Error>;

    /// The next piece; `None` once all have come and are verified.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Self::Error>>;

    fn leftover(&mut self) -> &mut Leftover;
}

/// What others have taken so far.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    /// The rest of a piece of which `AsyncRead` took a part.
    pub(super) rest: Bytes,
    /// The stream has given its error.
    failed: bool,
}

/// The rest of a piece that was begun, or the next one.
pub(super) fn poll_bytes<P: Pieces>(
    pieces: &mut P,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, P::Error>> {
    let rest = std::mem::take(&mut pieces.leftover().rest);
    if rest.is_empty() {
        pieces.poll_piece(cx)
    } else {
        Poll::Ready(Ok(Some(rest)))
    }
}

/// `Stream::poll_next`: an error is the last item.
pub(super) fn poll_next<P: Pieces>(
    pieces: &mut P,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, P::Error>>> {
    if pieces.leftover().failed {
        return Poll::Ready(None);
    }
    let item = ready!(poll_bytes(pieces, cx)).transpose();
    pieces.leftover().failed = matches!(item, Some(Err(_)));
    Poll::Ready(item)
}

/// `AsyncBufRead::poll_fill_buf`: no bytes only at the end.
pub(super) fn poll_fill_buf<'a, P: Pieces>(
    pieces: &'a mut P,
    cx: &mut Context<'_>,
) -> Poll<io::Result<&'a [u8]>> {
    while pieces.leftover().rest.is_empty() {
        match ready!(pieces.poll_piece(cx)) {
            Ok(Some(piece)) => pieces.leftover().rest = piece,
            Ok(None) => break,
            Err(error) => return Poll::Ready(Err(error.into())),
        }
    }
    Poll::Ready(Ok(&pieces.leftover().rest))
}

/// `AsyncRead::poll_read`: what fits of one piece.
pub(super) fn poll_read<P: Pieces>(
    pieces: &mut P,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    if buf.remaining() == 0 {
        return Poll::Ready(Ok(()));
    }
    ready!(poll_fill_buf(pieces, cx))?;
    let rest = &mut pieces.leftover().rest;
    let len = rest.len().min(buf.remaining());
    buf.put_slice(&rest.split_to(len));
    Poll::Ready(Ok(()))
}
