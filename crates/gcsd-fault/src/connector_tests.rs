//! Connections that are refused, hang, or fail later.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::*;
use gcsd_net::{BoxStream, Connecting, Connector, Plain, SharedConnector, TcpConnector};

fn connector(plan: &str) -> FaultyConnector {
    FaultyConnector::new(Arc::new(TcpConnector), plan.parse().expect("a plan"))
}

#[tokio::test]
async fn connections_are_numbered_as_they_are_asked_for() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let connector = connector("refuse on 1..3; flip write 0 on 4");
    let mut received = Vec::new();
    for _ in 0..6 {
        match connector.connect("127.0.0.1", port).await {
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
                received.push(None);
            }
            Ok(mut stream) => {
                stream.write_all(&[0x40]).await.expect("a write");
                let (mut server, _) = listener.accept().await.expect("a connection");
                received.push(Some(server.read_u8().await.expect("a byte")));
            }
        }
    }
    let plain = Some(0x40);
    assert_eq!(received, [plain, None, None, plain, Some(0x41), plain]);
    assert_eq!(connector.connections(), 6);
    assert_eq!(connector.counts().to_string(), "2 refuse, 1 flip");
}

#[tokio::test(start_paused = true)]
async fn a_connect_hangs_for_as_long_as_it_says() {
    // No byte passes in this test: with the clock paused, sockets would have no time to be ready.
    let connector = connector("hang for 20s on 0; refuse on 0; hang on 1");
    let start = Instant::now();
    let refused = connector.connect("127.0.0.1", 1).await.err().expect("refused");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(start.elapsed().as_secs(), 20);
    let day = Duration::from_secs(86_400);
    assert!(timeout(day, connector.connect("127.0.0.1", 1)).await.is_err());
    assert_eq!(connector.counts().to_string(), "1 refuse, 2 hang");
}

#[tokio::test]
async fn what_the_inner_connector_says_passes_through() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let connector = connector("flip write 0");
    let refused = connector.connect("127.0.0.1", port).await.err().expect("refused");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(connector.counts().total(), 0);
}

/// A connector whose streams know nothing of resets.
#[derive(Debug)]
struct InMemory;

impl Connector for InMemory {
    fn connect<'a>(&'a self, _: &'a str, _: u16) -> Connecting<'a> {
        let (near, far) = tokio::io::duplex(64);
        tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(far);
            tokio::io::copy(&mut read, &mut write).await
        });
        let (read, write) = tokio::io::split(near);
        let stream = Plain(tokio::io::join(read, write));
        Box::pin(async { Ok(Box::new(stream) as BoxStream) })
    }
}

#[tokio::test]
async fn any_stream_and_any_connector_can_be_wrapped() {
    let shared: SharedConnector = Arc::new(InMemory);
    let plan: Plan = "flip read 1 mask 0x20; reset after write 4"
        .parse()
        .expect("a plan");
    for connector in [
        FaultyConnector::new(InMemory, plan.clone()),
        FaultyConnector::new(shared, plan),
    ] {
        let mut stream = connector.connect("nowhere", 0).await.expect("connected");
        stream.write_all(b"echo").await.expect("a write");
        let mut reply = [0; 4];
        stream.read_exact(&mut reply).await.expect("a reply");
        assert_eq!(&reply, b"eCho");
        stream.write_all(b"!").await.expect("the last byte");
        let error = stream.write_all(b"more").await.expect_err("the reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(connector.counts().to_string(), "1 reset, 1 flip");
    }
}
