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
