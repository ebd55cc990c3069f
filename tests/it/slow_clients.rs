//! Clients that take no replies: what waits for them is bounded, and the daemon gives them up after its client timeout.

use std::time::Duration;

use gcsd::server::Stopped;
use gcsd_wire::cancel::{self, CancelOutcome};
use gcsd_wire::{Kind, Reply, Request, Retry, ping, read_at};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::support::daemon::{Client, Daemon, Options, PATIENCE, behind, object_ref};
use crate::support::peer::Peer;

/// More than the sockets between daemon and client hold.
const SIZE: usize = 64 << 20;

#[tokio::test]
async fn a_client_that_takes_no_replies_is_given_up() {
    let mut options = Options::default();
    options.limits.client_timeout = Duration::from_millis(300);
    // The daemon must be rid of the client by itself, before it cuts anything.
    options.grace = PATIENCE / 2;
    let daemon = Daemon::with(options).await;
    daemon.connect().await.put(1, "large", &vec![7; SIZE]).await;

    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 * 1024).expect("an option");
    let stream = socket.connect(daemon.address).await.expect("the daemon listens");
    let mut client = Client::over(stream);
    let read = Request::ReadAt(read_at::Args {
        of: object_ref("large"),
        range: read_at::Range::From(0),
        decompress: false,
    });
    let sequence = client.begin(0, &read, 0).await;
    client.reply_to(sequence).await.ok();
    // It reads no further.
    assert_eq!(daemon.stopped().await, Stopped::Drained);

    let mut rest = Vec::new();
    // The end may be a reset: nobody waits for what is left.
    let _ = timeout(PATIENCE, client.stream.read_to_end(&mut rest))
        .await
        .expect("the connection has ended");
    assert!(rest.len() < SIZE, "all of it was taken");
}

/// What the specification says may wait of one reply before everything on the connection stops: the daemon's queue, and the
/// buffers of both kernels, which hold what they are allowed to.
fn waiting() -> usize {
    let most = |name: &str| -> usize {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"));
        let most = text
            .ok()
            .and_then(|text| text.split_whitespace().nth(2)?.parse().ok());
        // Linux's defaults, where it does not say.
        most.unwrap_or(if name == "tcp_wmem" { 4 << 20 } else { 6 << 20 })
    };
    (2 << 20) + most("tcp_wmem") + most("tcp_rmem")
}

#[tokio::test]
async fn an_unread_read_of_1_gib_stops_a_ping_beside_it_and_no_more_than_the_buffers_wait() {
    const GIB: usize = 1 << 30;
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let mut client = daemon.connect().await;
    let read = Request::ReadAt(read_at::Args {
        of: object_ref("large"),
        range: read_at::Range::From(0),
        decompress: false,
    });
    let target = client.begin(0, &read, 0).await;
    let mut call = peer.accept().await;
    call.head().await;
    let size = format!("Content-Length: {GIB}\r\nx-goog-stored-content-length: {GIB}\r\n");
    let head = format!("HTTP/1.1 200 OK\r\nx-goog-generation: 1\r\n{size}\r\n");
    call.send(head).await;
    // The client reads so long and so fast that the kernels make room for it, and then no more. GCS sends until nobody takes any.
    let read_first = async {
        let mut read = 0;
        while read < 64 << 20 {
            let frame = client.frame().await.expect("a frame");
            frame.ok();
            read += frame.body.len();
        }
    };
    let ((), mut given) = tokio::join!(read_first, call.flood());

    // What a Ping beside it sees: it is read and answered, and its reply stands behind what waited before.
    let ping = client.begin(0, &Request::Ping(ping::Args::default()), 0).await;
    // Meanwhile the daemon reads it.
    given += call.flood().await;
    let mut before = 0;
    let read_on = async {
        loop {
            let frame = client.frame().await.expect("a reply");
            if frame.head.sequence == ping {
                frame.ok();
                break;
            }
            before += frame.body.len();
        }
    };
    let ((), more) = tokio::join!(read_on, call.flood());
    given += more;
    let bound = waiting();
    assert!(
        before <= bound,
        "{before} bytes stood before the Ping's reply, and {bound} may"
    );
    assert!(before > 256 << 10, "nothing waited: {before} bytes");

    // Cancel ends it: of 1 GiB, the client and GCS saw little.
    let sequence = client
        .begin(0, &Request::Cancel(cancel::Args { target }), 0)
        .await;
    let mut behind = 0;
    let last = loop {
        let frame = client.frame().await.expect("a reply");
        behind += frame.body.len();
        if !frame.head.more() {
            break frame;
        }
    };
    assert_eq!(last.head.sequence, target);
    last.fails(Kind::Cancelled, Retry::Same);
    let Reply::Cancel(reply) = client.reply_to(sequence).await.ok() else {
        panic!("Cancel's own reply");
    };
    assert_eq!(reply.outcome, CancelOutcome::Ended);
    assert!(
        behind <= bound,
        "{behind} bytes stood before the end, and {bound} may"
    );
    let given = usize::try_from(given).expect("a size");
    assert!(given < GIB / 4, "GCS gave {given} bytes");
    call.end().await;
    client.lives().await;
}
