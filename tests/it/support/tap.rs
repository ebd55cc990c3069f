//! Connections that are listened to.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use gcsd_net::{BoxStream, Connecting, Connector, SharedConnector, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// Hears what passes over connections, which are numbered from 0 in the order in which they are asked for.
pub(crate) trait Listener: fmt::Debug + Send + Sync + 'static {
    /// This was taken by the inner stream, from where it lies in memory.
    fn wrote(&self, connection: usize, bytes: &[u8]);

    /// This came from the inner stream.
    fn read(&self, _connection: usize, _bytes: &[u8]) {}

    /// The inner stream takes no more for now.
    fn blocked(&self, _connection: usize) {}
}

/// Dials through another connector, and lets somebody hear what passes.
#[derive(Debug)]
pub(crate) struct Tap<L> {
    inner: SharedConnector,
    listener: Arc<L>,
    next: AtomicUsize,
}

impl<L: Listener> Tap<L> {
    pub(crate) fn new(inner: SharedConnector, listener: Arc<L>) -> Self {
        Self {
            inner,
            listener,
            next: AtomicUsize::new(0),
        }
    }
}

impl<L: Listener> Connector for Tap<L> {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        let connection = self.next.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let inner = self.inner.connect(host, port).await?;
            let listener = Arc::clone(&self.listener);
            Ok(Box::new(Tapped {
                inner,
                listener,
                connection,
            }) as BoxStream)
        })
    }
}

struct Tapped<L> {
    inner: BoxStream,
    listener: Arc<L>,
    connection: usize,
}

impl<L: Listener> Tapped<L> {
    /// Tells of the first `written` bytes of `slices`.
    fn tell(&self, slices: &[IoSlice<'_>], written: &Poll<io::Result<usize>>) {
        let mut written = match *written {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(_)) => return,
            Poll::Pending => return self.listener.blocked(self.connection),
        };
        for slice in slices {
            let len = slice.len().min(written);
            written -= len;
            if len > 0 {
                self.listener.wrote(self.connection, &slice[..len]);
            }
        }
    }
}

impl<L: Listener> Stream for Tapped<L> {
    fn reset_on_drop(&mut self) {
        self.inner.reset_on_drop();
    }

    fn set_user_timeout(&mut self, limit: Duration) {
        self.inner.set_user_timeout(limit);
    }
}

impl<L: Listener> AsyncRead for Tapped<L> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if matches!(read, Poll::Ready(Ok(()))) {
            self.listener.read(self.connection, &buf.filled()[before..]);
        }
        read
    }
}

impl<L: Listener> AsyncWrite for Tapped<L> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.tell(&[IoSlice::new(buf)], &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.tell(bufs, &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Counts what came.
#[derive(Debug, Default)]
pub(crate) struct Came(AtomicU64);

impl Came {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Listener for Came {
    fn wrote(&self, _connection: usize, _bytes: &[u8]) {}

    fn read(&self, _connection: usize, bytes: &[u8]) {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
}

/// Tells when a stream takes no more.
#[derive(Debug, Default)]
pub(crate) struct Blocked(Notify);

impl Blocked {
    /// Waits until a stream takes no more, which may have been long ago.
    pub(crate) async fn wait(&self) {
        self.0.notified().await;
    }
}

impl Listener for Blocked {
    fn wrote(&self, _connection: usize, _bytes: &[u8]) {}

    fn blocked(&self, _connection: usize) {
        self.0.notify_one();
    }
}

/// Keeps what passed, by connection.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<Recorded>>);

/// What passed over one connection.
#[derive(Debug, Default, Clone)]
pub(crate) struct Recorded {
    pub(crate) wrote: Vec<u8>,
    pub(crate) read: Vec<u8>,
}

impl Recorder {
    pub(crate) fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.0.lock().expect("no panic under the lock"))
    }

    fn with(&self, connection: usize, note: impl FnOnce(&mut Recorded)) {
        let mut recorded = self.0.lock().expect("no panic under the lock");
        if recorded.len() <= connection {
            recorded.resize_with(connection + 1, Recorded::default);
        }
        note(&mut recorded[connection]);
    }
}

impl Listener for Recorder {
    fn wrote(&self, connection: usize, bytes: &[u8]) {
        self.with(connection, |recorded| recorded.wrote.extend_from_slice(bytes));
    }

    fn read(&self, connection: usize, bytes: &[u8]) {
        self.with(connection, |recorded| recorded.read.extend_from_slice(bytes));
    }
}
