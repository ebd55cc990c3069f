//! The two halves of a client's connection, whatever its transport: plain or TLS, TCP or a Unix socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BufMut;
use rustix::io::ioctl_fionread;
use rustix::net::Shutdown;
use tokio::io::{AsyncBufRead as _, AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use gcsd_net::{Acknowledgements, Stream as _};

/// A connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Does the same with a socket of either kind.
macro_rules! either {
    ($socket:expr, $stream:ident => $does:expr) => {
        match $socket {
            Socket::Tcp($stream) => $does,
            Socket::Unix($stream) => $does,
        }
    };
}

impl Socket {
    /// Sets the options of a connection that was accepted just now.
    pub(super) fn prepare(&mut self, receive_buffer: usize, client_timeout: Duration) -> io::Result<()> {
        // The kernel bounds what lies in a Unix socket, and there is no way on which it could be lost.
        if let Self::Tcp(stream) = self {
            gcsd_net::prepare(stream)?;
            gcsd_net::bound_unread(stream, receive_buffer)?;
            // What is written and lies in the kernel is held to the same limit as what still waits to be written.
            stream.set_user_timeout(client_timeout);
        }
        Ok(())
    }

    /// The first bytes that the peer sends, without taking them; none if it sends nothing more.
    pub(super) async fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(bytes).await,
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    async fn readable(&self) -> io::Result<()> {
        either!(self, stream => stream.readable().await)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read_ready(cx))
    }

    fn try_read_buf(&self, buf: &mut impl BufMut) -> io::Result<usize> {
        either!(self, stream => stream.try_read_buf(buf))
    }

    /// How many bytes the kernel has received that were not read.
    fn unread(&self) -> u64 {
        either!(self, stream => ioctl_fionread(stream)).unwrap_or(0)
    }

    async fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            either!(self, stream => stream.writable().await)?;
            match either!(self, stream => stream.try_write_vectored(slices)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return written,
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(either!(self, stream => stream.poll_write_ready(cx)))?;
            match either!(self, stream => stream.try_write(bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Tells the peer that nothing more will come.
    fn end(&self) -> io::Result<()> {
        Ok(either!(self, stream => rustix::net::shutdown(stream, Shutdown::Write))?)
    }

    /// Waits until the connection is reset, or given up by the kernel. What was received before can still be read.
    ///
    /// A Unix socket has no such thing: that its peer is gone shows when something is written.
    async fn broken(&self) -> io::Error {
        loop {
            match either!(self, stream => stream.ready(Interest::ERROR).await) {
                Ok(ready) if ready.is_error() => return io::ErrorKind::ConnectionReset.into(),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }
}

/// The socket below a TLS session.
#[derive(Debug)]
pub(super) struct Below(pub(super) Arc<Socket>);

impl AsyncRead for Below {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read_buf(buf) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Below {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.end())
    }
}

/// A TLS session, which both halves use in turns. Whoever holds it never waits.
type Session = Arc<Mutex<TlsStream<Below>>>;

fn lock(session: &Session) -> MutexGuard<'_, TlsStream<Below>> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The halves of a plain connection.
pub(super) fn plain(socket: Arc<Socket>) -> (ReadHalf, WriteHalf) {
    halves(socket, None)
}

/// The halves of a connection whose TLS handshake has ended.
pub(super) fn secure(session: TlsStream<Below>) -> (ReadHalf, WriteHalf) {
    let socket = session.get_ref().0.0.clone();
    halves(socket, Some(Arc::new(Mutex::new(session))))
}

fn halves(socket: Arc<Socket>, session: Option<Session>) -> (ReadHalf, WriteHalf) {
    let read = ReadHalf {
        socket: socket.clone(),
        session: session.clone(),
    };
    (read, WriteHalf { socket, session })
}

/// What comes from the client.
#[derive(Debug)]
pub(super) struct ReadHalf {
    socket: Arc<Socket>,
    session: Option<Session>,
}

impl ReadHalf {
    /// Waits until there is something to read, or the end, without a buffer for it. Cancel safe.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match &self.session {
            None => self.socket.readable().await,
            Some(_) => std::future::poll_fn(|cx| self.poll_readable(cx)).await,
        }
    }

    /// As [`readable`](Self::readable).
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.session {
            None => self.socket.poll_read_ready(cx),
            Some(session) => Pin::new(&mut *lock(session)).poll_fill_buf(cx).map_ok(drop),
        }
    }

    /// Reads what there is, which is 0 at the end of the stream. Where there is nothing yet, that is the error
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// TLS ends with a message of its own (`close_notify`): a connection that is merely closed may have been cut by anybody
    /// on the way, and is [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
    pub(super) fn try_read_buf(&self, buf: &mut impl BufMut) -> io::Result<usize> {
        let Some(session) = &self.session else {
            return self.socket.try_read_buf(buf);
        };
        let mut session = lock(session);
        // Whoever is told that there is nothing waits with `readable` next.
        let mut cx = Context::from_waker(Waker::noop());
        let mut read = 0;
        while buf.has_remaining_mut() {
            let len = match Pin::new(&mut *session).poll_fill_buf(&mut cx) {
                Poll::Ready(Ok([])) => break,
                Poll::Ready(Ok(bytes)) => {
                    let len = bytes.len().min(buf.remaining_mut());
                    buf.put_slice(&bytes[..len]);
                    len
                }
                // Ends and errors are told again.
                _ if read > 0 => break,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
            };
            Pin::new(&mut *session).consume(len);
            read += len;
        }
        Ok(read)
    }

    /// How many bytes the kernel has that were not read. Of a TLS connection, whose bytes are not all the client's, none are
    /// counted.
    pub(super) fn unread(&self) -> u64 {
        match &self.session {
            None => self.socket.unread(),
            Some(_) => 0,
        }
    }
}

/// What goes to the client. Dropped, it ends the stream; without [`shutdown`](Self::shutdown), a TLS client sees that it was
/// not ended properly.
#[derive(Debug)]
pub(super) struct WriteHalf {
    socket: Arc<Socket>,
    session: Option<Session>,
}

impl WriteHalf {
    /// Writes once. Cancel safe.
    pub(super) async fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.session {
            None => self.socket.write_vectored(slices).await,
            Some(session) => {
                let write =
                    |cx: &mut Context<'_>| Pin::new(&mut *lock(session)).poll_write_vectored(cx, slices);
                std::future::poll_fn(write).await
            }
        }
    }

    /// Waits until the kernel has all that was written. Cancel safe.
    pub(super) async fn flush(&self) -> io::Result<()> {
        match &self.session {
            None => Ok(()),
            Some(session) => std::future::poll_fn(|cx| Pin::new(&mut *lock(session)).poll_flush(cx)).await,
        }
    }

    /// Ends the stream properly. What the client still sends can be read.
    pub(super) async fn shutdown(&self) -> io::Result<()> {
        match &self.session {
            None => self.socket.end(),
            Some(session) => std::future::poll_fn(|cx| Pin::new(&mut *lock(session)).poll_shutdown(cx)).await,
        }
    }

    /// Waits until the connection is reset, where its transport has resets.
    pub(super) async fn broken(&self) -> io::Error {
        self.socket.broken().await
    }

    /// Has `acknowledgements` learn what the client's kernel has acknowledged, where the transport says.
    pub(super) fn look(&self, acknowledgements: &Acknowledgements) {
        either!(&*self.socket, stream => acknowledgements.look(stream));
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        // A socket that is over already cannot be ended.
        let _ = self.socket.end();
    }
}
