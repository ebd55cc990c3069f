//! Clients that take no replies: the daemon gives them up after its client timeout.

use std::time::Duration;

use gcsd::server::Stopped;
use gcsd_wire::{Request, read_at};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::support::daemon::{Client, Daemon, Options, PATIENCE, object_ref};

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
