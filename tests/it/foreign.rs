//! Other protocols at the daemon's port (proto-spec.md, "Refused frames").

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::support::daemon::{Client, Daemon};
use crate::support::http::PATIENCE;

/// All that the daemon says to these bytes, with the stream left open.
async fn answered(daemon: &Daemon, bytes: &[u8]) -> Vec<u8> {
    let mut client: Client = daemon.connect().await;
    client.raw(bytes).await;
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, client.stream.read_to_end(&mut answer)).await;
    read.expect("it closes").expect("without a reset");
    answer
}

#[tokio::test]
async fn http_is_answered_in_http_as_soon_as_it_shows() {
    let daemon = Daemon::start().await;
    for request in [
        "GET ",
        "GET / HTTP/1.1\r\nHost: localhost:4743\r\n\r\n",
        "POST /upload HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = answered(&daemon, request.as_bytes()).await;
        let answer = String::from_utf8(answer).expect("text");
        let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert!(head.contains("\r\nConnection: close"), "{head}");
        assert!(
            head.contains(&format!("Content-Length: {}", text.len())),
            "{head}"
        );
        assert!(text.contains("gcsd"), "{text}");
    }
    daemon.connect().await.lives().await;
}

#[tokio::test]
async fn a_tls_hello_is_answered_by_an_alert() {
    let daemon = Daemon::start().await;
    let answer = answered(&daemon, &[22, 3, 1, 2]).await;
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70]);
}

#[tokio::test]
async fn what_comes_behind_a_request_is_no_other_protocol() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.lives().await;
    client.raw(b"GET / HTTP/1.1\r\n").await;
    let reply = client.reply_to(0).await;
    reply.fails(gcsd_wire::Kind::BadHead, gcsd_wire::Retry::Reconnect);
    client.closed().await;
}
