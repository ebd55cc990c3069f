//! The options of TCP sockets, those that are dialed and those that are accepted.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How long a connection may be silent before the kernel asks whether the peer is still there. Shorter than the memory of
/// what stands between: NAT gateways and load balancers forget a silent connection after 4 minutes (Azure), 350 s (AWS)
/// or 10 minutes (Google Cloud), and drop its packets from then on.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// How long between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How many unanswered ones end the connection: after two minutes of silence in all.
const KEEPALIVE_PROBES: u32 = 4;

/// Prepares a connected TCP socket for this protocol and for HTTP:
///
/// * `TCP_NODELAY`: both write whole heads, so Nagle's algorithm only delays.
/// * Keepalive: a peer that is gone without a word is found after two minutes, where nothing is being sent. What is sent and
///   not acknowledged is [`Stream::set_user_timeout`](super::Stream::set_user_timeout)'s.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

#[cfg(target_os = "linux")]
pub(crate) fn set_user_timeout(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(limit))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn set_user_timeout(_stream: &TcpStream, _limit: Duration) -> io::Result<()> {
    Ok(())
}
