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

/// How many bytes a socket takes before it has sent them, at most: enough to keep a fast link busy while the task that
/// writes is woken, and few enough that what a socket took has nearly left. Without it the kernel takes up to 4 MiB,
/// which a slow uplink drains for minutes.
const UNSENT: u32 = 64 * 1024;

/// Prepares a connected TCP socket for this protocol and for HTTP:
///
/// * `TCP_NODELAY`: both write whole heads, so Nagle's algorithm only delays.
/// * Keepalive: a peer that is gone without a word is found after two minutes, where nothing is being sent. What is sent and
///   not acknowledged is [`Stream::set_user_timeout`](super::Stream::set_user_timeout)'s.
/// * `TCP_NOTSENT_LOWAT`, on Linux: the socket takes no more while 64 KiB are unsent. What is sent and on its way is
///   the congestion control's, so that throughput is what it was.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    bound_unsent(stream)
}

/// Has the kernel keep about so many bytes of what the peer sends until they are read; 0 leaves it to the system, which
/// takes as much as the connection seems to need, up to megabytes.
///
/// What is kept counts as acknowledged: a program that passes it on slowly keeps the peer waiting for an answer long after that.
pub fn bound_unread(stream: &TcpStream, bytes: usize) -> io::Result<()> {
    match bytes {
        0 => Ok(()),
        bytes => SockRef::from(stream).set_recv_buffer_size(bytes),
    }
}

#[cfg(target_os = "linux")]
fn bound_unsent(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)
}

#[cfg(not(target_os = "linux"))]
fn bound_unsent(_stream: &TcpStream) -> io::Result<()> {
    Ok(())
}

/// The [`set_user_timeout`](super::Stream::set_user_timeout) for a connection whose own clock gives up after `stall`: later
/// than that clock, which knows whose turn it is, and two minutes at least. The kernel counts from the first loss of an
/// episode, whatever is acknowledged in between, and on a slow and crowded link such an episode is long.
pub fn backstop(stall: Duration) -> Duration {
    stall.saturating_mul(2).max(Duration::from_secs(120))
}

#[cfg(target_os = "linux")]
pub(crate) fn set_user_timeout(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(limit))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn set_user_timeout(_stream: &TcpStream, _limit: Duration) -> io::Result<()> {
    Ok(())
}
