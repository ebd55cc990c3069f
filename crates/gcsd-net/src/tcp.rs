//! Plain TCP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::connector::{Connecting, Connector, ResolveError};
use super::exhausted::shortage_behind;
use super::failures::ConnectError;
use super::race::{interleave, race};
use super::socket::prepare;
use super::stream::BoxStream;

/// Plain TCP, with the options of [`prepare`]. The addresses of a name come from the system's resolver and are raced as
/// [`connect_any`] does.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let addresses = resolve(host, port).await?;
            Ok(Box::new(dial(host, addresses, None).await?) as BoxStream)
        })
    }

    fn connect_within<'a>(&'a self, host: &'a str, port: u16, limit: Duration) -> Connecting<'a> {
        Box::pin(async move {
            let limit = Limit::from_now(limit);
            let addresses = timeout_at(limit.end, resolve(host, port))
                .await
                .unwrap_or_else(|_| {
                    Err(ResolveError::io(
                        host,
                        format!("no answer within {:?}", limit.length),
                    ))
                })?;
            Ok(Box::new(dial(host, addresses, Some(limit)).await?) as BoxStream)
        })
    }
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match lookup_host((host, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(match shortage_behind(error) {
            Ok(shortage) => shortage,
            Err(error) => ResolveError::io(host, error),
        }),
    }
}

/// Connects to whichever of the `addresses` of `host` answers first (RFC 8305): families take turns, the next address is
/// tried when the one before has failed or has not answered for 250 ms, and the first connection that succeeds ends the
/// other attempts. So an address that does not answer costs a quarter of a second, and not all of `limit`.
///
/// For connectors that have addresses from elsewhere than the system's resolver; [`TcpConnector`] does the same. The error
/// is a [`ConnectError`] that names each address that failed, or a [`ResolveError`] if there is none.
pub async fn connect_any(
    host: &str,
    addresses: impl IntoIterator<Item = SocketAddr>,
    limit: Option<Duration>,
) -> io::Result<TcpStream> {
    dial(host, addresses, limit.map(Limit::from_now)).await
}

/// How long all attempts together may take.
struct Limit {
    length: Duration,
    end: Instant,
}

impl Limit {
    fn from_now(length: Duration) -> Self {
        let end = Instant::now() + length;
        Self { length, end }
    }
}

async fn dial(
    host: &str,
    addresses: impl IntoIterator<Item = SocketAddr>,
    limit: Option<Limit>,
) -> io::Result<TcpStream> {
    let addresses = interleave(addresses);
    if addresses.is_empty() {
        return Err(ResolveError::io(host, "it has no address"));
    }
    let end = limit.as_ref().map(|limit| limit.end);
    let won = race(addresses, end, |address| async move {
        let stream = TcpStream::connect(address).await?;
        prepare(&stream)?;
        Ok(stream)
    });
    won.await.map_err(|mut lost| {
        // A caller that named an address need not be told which one it was.
        if host.parse::<IpAddr>().is_ok()
            && let Some((_, error)) = lost.failures.pop()
            && let Some(error) = error
        {
            return error;
        }
        match limit.filter(|_| lost.late) {
            Some(limit) => ConnectError::late(limit.length, lost.failures),
            None => ConnectError::io(lost.failures),
        }
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::Ipv4Addr;

    use socket2::{Domain, SockAddr, SockRef, Socket, Type};
    use tokio::net::TcpListener;

    use super::super::Stream as _;
    use super::*;

    /// Connections to it never come about: its queue is full, so that the kernel drops further ones as a firewall would.
    struct BlackHole {
        _listener: Socket,
        _queued: Vec<Socket>,
    }

    impl BlackHole {
        fn at(address: SocketAddr) -> Self {
            let socket = || Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
            let listener = socket();
            listener.bind(&SockAddr::from(address)).expect("bound");
            listener.listen(0).expect("listening");
            let mut queued = Vec::new();
            // More than the queue takes; those beyond it wait for ever.
            for _ in 0..4 {
                let client = socket();
                client.set_nonblocking(true).expect("an option");
                let _under_way = client.connect(&SockAddr::from(address));
                queued.push(client);
            }
            Self {
                _listener: listener,
                _queued: queued,
            }
        }
    }

    /// The same port at 127.0.0.2 and at 127.0.0.1, where `listener` is.
    fn addresses(listener: &TcpListener) -> [SocketAddr; 2] {
        let port = listener.local_addr().expect("an address").port();
        [2, 1].map(|last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port)))
    }

    async fn listen() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.expect("a port")
    }

    #[tokio::test]
    async fn a_dead_address_does_not_eat_the_time() {
        let listener = listen().await;
        let [dead, live] = addresses(&listener);
        let _hole = BlackHole::at(dead);
        let limit = Some(Duration::from_secs(60));
        let stream = connect_any("name", [dead, live], limit).await.expect("connected");
        assert_eq!(stream.peer_addr().expect("a peer"), live);
        assert!(stream.nodelay().expect("an option"));
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("an option"));
        assert_eq!(
            socket.tcp_keepalive_time().expect("an option"),
            Duration::from_secs(60)
        );
    }

    #[tokio::test]
    async fn the_error_names_every_address() {
        let listener = listen().await;
        let [refusing, dead] = addresses(&listener);
        drop(listener);
        let _hole = BlackHole::at(dead);
        let error = connect_any("name", [refusing, dead], Some(Duration::from_millis(50)))
            .await
            .expect_err("nobody answers");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            error.to_string(),
            format!("{refusing}: Connection refused (os error 111); {dead}: no answer within 50ms")
        );
    }

    #[tokio::test]
    async fn an_address_by_itself_is_not_named_again() {
        let listener = listen().await;
        let [_, closed] = addresses(&listener);
        drop(listener);
        let limit = Duration::from_secs(60);
        let error = TcpConnector
            .connect_within("127.0.0.1", closed.port(), limit)
            .await
            .err()
            .expect("refused");
        assert_eq!(error.to_string(), "Connection refused (os error 111)");
        let error = connect_any("nowhere", [], None).await.expect_err("no address");
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<ResolveError>());
        assert!(inner.is_some(), "{error}");
    }

    #[tokio::test]
    async fn the_user_timeout_is_the_kernels() {
        let listener = listen().await;
        let [_, live] = addresses(&listener);
        let mut stream = connect_any("name", [live], None).await.expect("connected");
        stream.set_user_timeout(Duration::from_secs(7));
        let told = SockRef::from(&stream).tcp_user_timeout().expect("an option");
        assert_eq!(told, Some(Duration::from_secs(7)));
    }
}
