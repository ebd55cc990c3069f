//! Byte streams of whatever make.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

use super::{socket, tcp_info};

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the drop of this stream a reset for the peer, where the transport has such a thing.
    ///
    /// TCP sends RST then, and what the peer's kernel has not yet taken is lost. Elsewhere the peer
    /// sees the plain end of the stream.
    fn reset_on_drop(&mut self) {}

    /// Breaks the connection when the peer has acknowledged nothing of what was sent, or has kept its window
    /// closed, for `limit`: `TCP_USER_TIMEOUT` (RFC 5482) on Linux, nothing elsewhere. Zero leaves it to the
    /// system, which takes some 15 minutes.
    ///
    /// A closed window counts, so `limit` must be as long as the peer may rightly take nothing.
    fn set_user_timeout(&mut self, _limit: Duration) {}

    /// How many bytes the peer has acknowledged in all: over TCP on Linux (`TCP_INFO`); `None` elsewhere, and where
    /// the system does not say.
    ///
    /// It grows while what was written is still on its way, also after the last write, and does not when a peer that
    /// takes nothing merely answers the kernel's probes.
    fn acknowledged(&self) -> Option<u64> {
        None
    }
}

impl Stream for TcpStream {
    fn reset_on_drop(&mut self) {
        // A socket that the peer has closed may refuse the option; it is over all the same.
        let _ = self.set_zero_linger();
    }

    fn set_user_timeout(&mut self, limit: Duration) {
        // As above.
        let _ = socket::set_user_timeout(self, limit);
    }

    fn acknowledged(&self) -> Option<u64> {
        tcp_info::acknowledged(self)
    }
}

#[cfg(unix)]
impl Stream for tokio::net::UnixStream {}

impl Stream for DuplexStream {}

impl Stream for BoxStream {
    fn reset_on_drop(&mut self) {
        (**self).reset_on_drop();
    }

    fn set_user_timeout(&mut self, limit: Duration) {
        (**self).set_user_timeout(limit);
    }

    fn acknowledged(&self) -> Option<u64> {
        (**self).acknowledged()
    }
}

/// A connected stream of whatever make.
pub type BoxStream = Box<dyn Stream>;
