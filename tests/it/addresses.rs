//! Names with several addresses, on both hops; and what is asked of the sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gcsd_client::{Address, Connection, Options};
use gcsd_gcs::{Config, ErrorKind, Gcs, Recovery};
use gcsd_net::{BoxStream, Connecting, Connector, Stream, TcpConnector, connect_any};
use gcsd_wire::Request;
use gcsd_wire::read_at::{Args, Range};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::support::daemon::{Client, Daemon, Options as DaemonOptions, PATIENCE, object_ref};
use crate::support::delegating::delegate_io;
use crate::support::peer::{Peer, finished, object, patiently};

/// The name `two.example` has two addresses: 127.0.0.2, and then 127.0.0.1.
#[derive(Debug)]
struct TwoAddresses;

impl TwoAddresses {
    fn of(port: u16) -> [SocketAddr; 2] {
        [2, 1].map(|last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port)))
    }
}

impl Connector for TwoAddresses {
    fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
        unreachable!("everything here has a limit")
    }

    fn connect_within<'a>(&'a self, host: &'a str, port: u16, limit: Duration) -> Connecting<'a> {
        assert_eq!(host, "two.example");
        Box::pin(async move {
            let stream = connect_any(host, Self::of(port), Some(limit)).await?;
            Ok(Box::new(stream) as BoxStream)
        })
    }
}

/// An address that never answers: the listener's queue is full, and the kernel drops what comes.
fn black_hole(address: SocketAddr) -> Vec<Socket> {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let listener = socket();
    listener.bind(&SockAddr::from(address)).expect("bound");
    listener.listen(0).expect("listening");
    let mut held = vec![listener];
    for _ in 0..4 {
        let client = socket();
        client.set_nonblocking(true).expect("an option");
        let _under_way = client.connect(&SockAddr::from(address));
        held.push(client);
    }
    held
}

#[tokio::test]
async fn a_dead_first_address_of_gcs_does_not_matter() {
    let peer = Peer::listen().await;
    let port = peer.address().port();
    let _hole = black_hole(TwoAddresses::of(port)[0]);
    let mut config = peer.config();
    config.endpoint = format!("http://two.example:{port}").parse().expect("an endpoint");
    let gcs = Gcs::new(config, Arc::new(TwoAddresses)).expect("a client");
    let object = object();
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server.send(finished()).await;
    };
    let (stated, ()) = patiently(async { tokio::join!(gcs.stat_object(&object), serve) }).await;
    stated.expect("answered");
}

#[tokio::test]
async fn a_dead_first_address_of_the_daemon_does_not_matter() {
    let daemon = Daemon::start().await;
    let port = daemon.address.port();
    let _hole = black_hole(TwoAddresses::of(port)[0]);
    let address: Address = format!("two.example:{port}").parse().expect("an address");
    let options = Options::default().with_connect_timeout(Duration::from_secs(60));
    let connection = patiently(Connection::open(&TwoAddresses, &address, &options))
        .await
        .expect("connected");
    patiently(connection.ping(Bytes::new()))
        .await
        .expect("it answers");
}

#[tokio::test]
async fn each_address_that_failed_is_named_on_both_hops() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let expected = format!(
        "127.0.0.2:{port}: Connection refused (os error 111); 127.0.0.1:{port}: Connection refused (os error 111)"
    );
    let address: Address = format!("two.example:{port}").parse().expect("an address");
    let error = Connection::open(&TwoAddresses, &address, &Options::default())
        .await
        .expect_err("refused");
    let chain: Vec<String> =
        std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    assert_eq!(
        chain,
        [
            format!("could not connect to two.example:{port}"),
            expected.clone()
        ]
    );

    let mut config = Config::new(format!("http://two.example:{port}").parse().expect("an endpoint"));
    config.credentials = gcsd_gcs::CredentialsSource::Anonymous;
    let gcs = Gcs::new(config.clone(), Arc::new(TwoAddresses)).expect("a client");
    let error = gcs.stat_object(&object()).await.expect_err("refused");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::Connect, Recovery::Same)
    );
    assert_eq!(
        error.message(),
        format!("cannot connect to http://two.example:{port}: {expected}")
    );

    // And what each had done when the time was up.
    let _hole = black_hole(TwoAddresses::of(port)[1]);
    config.connect_timeout = Duration::from_millis(100);
    let gcs = Gcs::new(config, Arc::new(TwoAddresses)).expect("a client");
    let error = gcs.stat_object(&object()).await.expect_err("no answer");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::ConnectTimeout, Recovery::Same)
    );
    let expected = format!(
        "127.0.0.2:{port}: Connection refused (os error 111); 127.0.0.1:{port}: no answer within 100ms"
    );
    assert_eq!(
        error.message(),
        format!("cannot connect to http://two.example:{port}: {expected}")
    );
}

/// Notes what user timeouts its streams are given.
#[derive(Debug, Clone, Default)]
struct Noting(Arc<Mutex<Vec<Duration>>>);

impl Connector for Noting {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let inner = TcpConnector.connect(host, port).await?;
            let notes = self.clone();
            Ok(Box::new(Noted { inner, notes }) as BoxStream)
        })
    }
}

struct Noted {
    inner: BoxStream,
    notes: Noting,
}

impl Stream for Noted {
    fn set_user_timeout(&mut self, limit: Duration) {
        self.notes.0.lock().expect("no panic under the lock").push(limit);
        self.inner.set_user_timeout(limit);
    }
}

delegate_io!(Noted);

#[tokio::test]
async fn the_kernel_gives_up_later_than_the_clocks() {
    let notes = Noting::default();
    let daemon = Daemon::start().await;
    let address: Address = daemon.address.to_string().parse().expect("an address");
    let options = Options::default().with_stall(Duration::from_secs(70));
    Connection::open(&notes, &address, &options)
        .await
        .expect("connected");
    let peer = Peer::listen().await;
    let mut config = peer.config();
    config.stall_timeout = Duration::from_secs(40);
    let gcs = Gcs::new(config, Arc::new(notes.clone())).expect("a client");
    let object = object();
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server.send(finished()).await;
    };
    let (stated, ()) = patiently(async { tokio::join!(gcs.stat_object(&object), serve) }).await;
    stated.expect("answered");
    let noted = notes.0.lock().expect("no panic under the lock").clone();
    assert_eq!(noted, [140, 120].map(Duration::from_secs));
}

/// The row of `/proc/net/tcp` for the socket at `local` that is connected to `remote`, as its columns.
#[cfg(target_os = "linux")]
fn socket_row(local: SocketAddr, remote: SocketAddr) -> Option<Vec<String>> {
    // Loopback addresses in the byte order of the machine, as the kernel writes them.
    let cell = |address: SocketAddr| {
        let SocketAddr::V4(v4) = address else {
            panic!("an IPv4 address")
        };
        format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port())
    };
    let (local, remote) = (cell(local), cell(remote));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let mut rows = table
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    rows.find(|row| row[1] == local && row[2] == remote)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_daemon_asks_a_silent_client_whether_it_is_there() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.lives().await;
    // The column "tr": 02 is the timer of keepalive, and 00 none.
    let row = socket_row(daemon.address, client.stream.local_addr().expect("an address")).expect("a socket");
    assert!(row[5].starts_with("02:"), "{row:?}");
}

/// A client that takes nothing, of replies that fit into the kernel's buffer: the daemon has written them all.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_takes_nothing_of_what_the_kernel_holds_is_let_go() {
    let mut options = DaemonOptions::default();
    options.limits.client_timeout = Duration::from_secs(1);
    let daemon = Daemon::with(options).await;
    daemon.connect().await.put(1, "large", &[7; 200_000]).await;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("an option");
    socket
        .connect(&SockAddr::from(daemon.address))
        .expect("connected");
    socket.set_nonblocking(true).expect("an option");
    let mut client = Client::over(TcpStream::from_std(socket.into()).expect("a stream"));
    let local = client.stream.local_addr().expect("an address");
    let read = Request::ReadAt(Args {
        of: object_ref("large"),
        range: Range::From(0),
        decompress: false,
    });
    client.begin(0, &read, 0).await;
    assert!(socket_row(daemon.address, local).is_some());
    let end = tokio::time::Instant::now() + PATIENCE;
    while socket_row(daemon.address, local).is_some() {
        assert!(tokio::time::Instant::now() < end, "the connection stays for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
