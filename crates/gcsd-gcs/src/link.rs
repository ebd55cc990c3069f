//! The stream under an HTTP connection, and what is observed on it.
//!
//! ```text
//!   hyper -> Guard -> (TLS) -> Meter -> socket
//! ```
//!
//! [`Meter`] counts what the socket takes: that is what "progress" and "GCS may have seen it" mean, with TLS or
//! without. [`Guard`] sees the plain bytes: it notes that an answer has begun, and it keeps a failed write
//! from hiding an answer that was received before it. Both record it in the [`Link`], which the exchange reads.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use gcsd_net::{Acknowledgements, BoxStream, Stream as _};

/// What is known of a connection. Read and written by the one task that drives it.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Bytes that the socket took since it was dialed, TLS records and all.
    sent: AtomicU64,
    /// The server has begun to answer the current request.
    answered: AtomicBool,
    /// The socket takes no more for now, and bytes are waiting.
    blocked: AtomicBool,
    /// The current request was given up before its answer. No other flag says so: a connection also ends unanswered when
    /// the body fails or the server leaves, and then what was sent may arrive.
    cut: AtomicBool,
    /// The first failed write.
    broken: OnceLock<io::Error>,
    /// What the server's kernel has acknowledged, for the clock that waits for it.
    pub(super) acknowledgements: Acknowledgements,
}

impl Link {
    /// A request begins: forgets the answer to the one before.
    pub(super) fn begin(&self) {
        self.answered.store(false, Relaxed);
    }

    /// The answer was only informational (1xx).
    pub(super) fn informed(&self) {
        self.answered.store(false, Relaxed);
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Relaxed)
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    /// The current request is given up: what the kernel still holds of it must not reach the server.
    pub(super) fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    pub(super) fn broken(&self) -> Option<&io::Error> {
        self.broken.get()
    }
}

/// Counts what a socket takes. If the current request was cut, dropping it resets the connection: otherwise the kernel
/// would deliver what it has buffered, up to megabytes, whenever a stalled server takes it, long after a query reported
/// what is committed.
pub(super) struct Meter {
    stream: BoxStream,
    link: Arc<Link>,
}

impl Meter {
    pub(super) fn new(stream: BoxStream, link: Arc<Link>) -> Self {
        Self { stream, link }
    }

    fn count(&self, taken: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(n)) = taken {
            self.link.sent.fetch_add(*n as u64, Relaxed);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.link.cut.load(Relaxed) {
            self.stream.reset_on_drop();
        }
    }
}

impl AsyncRead for Meter {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, link } = &mut *self;
        link.acknowledgements.answer(|| stream.acknowledged());
        Pin::new(stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Meter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(&taken);
        taken
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(&taken);
        taken
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The connection that HTTP is spoken on.
pub(super) struct Guard {
    stream: Wire,
    link: Arc<Link>,
}

/// With or without TLS.
enum Wire {
    Plain(Meter),
    Tls(Box<TlsStream<Meter>>),
}

impl Guard {
    pub(super) fn plain(stream: Meter, link: Arc<Link>) -> Self {
        Self {
            stream: Wire::Plain(stream),
            link,
        }
    }

    pub(super) fn tls(stream: TlsStream<Meter>, link: Arc<Link>) -> Self {
        Self {
            stream: Wire::Tls(Box::new(stream)),
            link,
        }
    }

    /// Notes whether the socket is full, and hides a failure: a server that refuses an upload answers and
    /// closes, and the reset that follows must not overtake the answer, which may have been received already.
    /// After the first failure nothing is written; the reading side ends the exchange.
    fn guarded<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.link.blocked.store(written.is_pending(), Relaxed);
        match ready!(written) {
            Ok(done) => Poll::Ready(Ok(done)),
            Err(error) => {
                // The first failure says what happened.
                let _ = self.link.broken.set(error);
                Poll::Pending
            }
        }
    }
}

macro_rules! on_wire {
    ($guard:expr, $stream:ident => $call:expr) => {
        match &mut $guard.stream {
            Wire::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Wire::Tls(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Guard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = on_wire!(self, stream => stream.poll_read(cx, buf));
        if buf.filled().len() > before {
            self.link.answered.store(true, Relaxed);
        }
        read
    }
}

impl AsyncWrite for Guard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.link.broken().is_some() {
            return Poll::Pending;
        }
        let written = on_wire!(self, stream => stream.poll_write(cx, buf));
        self.guarded(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.link.broken().is_some() {
            return Poll::Pending;
        }
        let written = on_wire!(self, stream => stream.poll_write_vectored(cx, bufs));
        self.guarded(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.link.broken().is_some() {
            return Poll::Pending;
        }
        let flushed = on_wire!(self, stream => stream.poll_flush(cx));
        self.guarded(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, stream => stream.poll_shutdown(cx))
    }
}
