//! The stream under a connection, as its clock sees it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::in_flight::InFlight;
use gcsd_net::{BoxStream, Stream as _};

/// Tells the clock what the daemon's kernel has acknowledged. Dropped after a request that was given up before its end,
/// it resets the connection: otherwise the kernel would keep sending what nobody wants any more, and the daemon would
/// keep passing it to GCS, beside the repeat.
pub(super) struct Watched {
    stream: BoxStream,
    in_flight: Arc<InFlight>,
}

impl Watched {
    pub(super) fn new(stream: BoxStream, in_flight: Arc<InFlight>) -> Self {
        Self { stream, in_flight }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.in_flight.is_cut() {
            self.stream.reset_on_drop();
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, in_flight } = &mut *self;
        let acknowledgements = &in_flight.clock.acknowledgements;
        acknowledgements.answer(|| stream.acknowledged());
        Pin::new(stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
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
