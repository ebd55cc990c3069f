//! What the kernel knows of a TCP connection.

use tokio::net::TcpStream;

/// How many bytes the peer has acknowledged since the connection was made; `None` if the kernel does not say.
#[cfg(target_os = "linux")]
pub(crate) fn acknowledged(stream: &TcpStream) -> Option<u64> {
    linux::acknowledged(stream)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn acknowledged(_stream: &TcpStream) -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use nix::sys::socket::GetSockOpt as _;
    use nix::{getsockopt_impl, libc, sockopt_impl};
    use tokio::net::TcpStream;

    /// `tcpi_bytes_acked` of Linux's `struct tcp_info` (4.1), in words of 8 bytes.
    const BYTES_ACKED: usize = 15;

    sockopt_impl!(
        /// The beginning of `struct tcp_info`, up to the bytes that were acknowledged. The kernel copies as much of its own
        /// as is asked for. Numbers of any value: words will do.
        TcpInfo,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        [u64; BYTES_ACKED + 1]
    );

    pub(super) fn acknowledged(stream: &TcpStream) -> Option<u64> {
        let info = TcpInfo.get(stream).ok()?;
        Some(info[BYTES_ACKED])
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::{Acknowledgements, Stream as _, bound_unread, prepare};

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).await.expect("a connection");
        let (server, _) = listener.accept().await.expect("a connection");
        prepare(&client).expect("options");
        bound_unread(&server, 16 * 1024).expect("an option");
        (client, server)
    }

    /// Writes until the socket takes no more, and says how much it took.
    async fn fill(client: &TcpStream) -> u64 {
        let chunk = vec![7; 64 * 1024];
        let mut taken = 0;
        client.writable().await.expect("open");
        loop {
            match client.try_write(&chunk) {
                Ok(count) => taken += count as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return taken,
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[tokio::test]
    async fn what_a_peer_takes_is_acknowledged_and_what_it_does_not_take_is_little() {
        let (client, mut server) = pair().await;
        let before = client.acknowledged().expect("the kernel says");
        let taken = fill(&client).await;
        // The window is closed now, or nearly: what lies here is what the socket may hold unsent, and a last write.
        let acknowledged = client.acknowledged().expect("the kernel says") - before;
        assert!(acknowledged < taken, "{acknowledged} of {taken}");
        assert!(taken < 512 * 1024, "{taken} bytes fit in");
        let acknowledgements = Acknowledgements::default();
        acknowledgements.look(&client);
        assert!(acknowledgements.advanced());
        let mut read = vec![0; usize::try_from(taken).expect("few")];
        server.read_exact(&mut read).await.expect("all of it");
        // The last acknowledgement may still be on its way.
        while client.acknowledged().expect("the kernel says") - before < taken {
            tokio::task::yield_now().await;
        }
        acknowledgements.look(&client);
        assert!(acknowledgements.advanced());
        acknowledgements.look(&client);
        assert!(!acknowledgements.advanced(), "nothing was sent since");
    }
}
