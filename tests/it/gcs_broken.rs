//! Connections that break, stall, are kept and found closed; and the errors that tell these apart.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gcsd_gcs::{Error, ErrorKind, Gcs, Recovery, WriteRange, lend};
use gcsd_net::{Connecting, Connector};

use crate::support::feed::Endless;
use crate::support::peer::{Peer, active, client, patiently, response};

async fn query_against(answer: &str, reset: bool) -> Error {
    let peer = Peer::listen().await;
    let mut config = peer.config();
    config.stall_timeout = Duration::from_millis(300);
    let gcs = client(config);
    let session = peer.session();
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        if !answer.is_empty() {
            server.send(answer).await;
        }
        if reset {
            server.reset();
        }
    };
    let (outcome, ()) = patiently(async { tokio::join!(gcs.query(&session), serve) }).await;
    let error = outcome.expect_err("broken");
    assert!(error.request_sent(), "{error}");
    assert_eq!(error.recovery(), Recovery::Same);
    error
}

#[tokio::test]
async fn broken_answers_are_told_apart() {
    for (answer, kind) in [
        ("", ErrorKind::EarlyClose),
        ("HTTP/1.1 308 Resume", ErrorKind::EarlyClose),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            ErrorKind::EarlyClose,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            ErrorKind::EarlyClose,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            ErrorKind::BadResponse,
        ),
        ("\x15\x03\x03\0\x02\x02\x0a\r\n\r\n", ErrorKind::BadResponse),
        ("HTTP/9.9 nonsense\r\n\r\n", ErrorKind::BadResponse),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            ErrorKind::BadResponse,
        ),
    ] {
        let error = query_against(answer, false).await;
        assert_eq!(error.kind(), kind, "{answer:?}: {error}");
    }
    assert_eq!(query_against("", true).await.kind(), ErrorKind::Reset);
    let large = format!("HTTP/1.1 308 X\r\nX: {}\r\n\r\n", "x".repeat(100 << 10));
    assert_eq!(query_against(&large, false).await.kind(), ErrorKind::BadResponse);
}

#[tokio::test]
async fn an_answer_that_stops_halfway_is_a_stall() {
    for answer in ["HTTP/1.1 308", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"] {
        let peer = Peer::listen().await;
        let mut config = peer.config();
        config.stall_timeout = Duration::from_millis(200);
        let gcs = client(config);
        let session = peer.session();
        let serve = async {
            let mut server = peer.accept().await;
            server.head().await;
            server.send(answer).await;
            server.count_to_end().await;
        };
        let (outcome, ()) = patiently(async { tokio::join!(gcs.query(&session), serve) }).await;
        let error = outcome.expect_err("stalled");
        assert_eq!(
            (error.kind(), error.request_sent()),
            (ErrorKind::GcsStalled, true),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_connection_is_kept_until_the_server_ends_it() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let session = peer.session();
    let serve = async {
        let mut server = peer.accept().await;
        for _ in 0..3 {
            server.head().await;
            server.send(active(None)).await;
        }
        // Now it goes away without a word.
        drop(server);
    };
    let calls = async {
        for _ in 0..3 {
            gcs.query(&session).await.expect("answered");
        }
    };
    patiently(async { tokio::join!(serve, calls) }).await;
    // The end of the connection must have come through.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server
            .send(response("308 Resume Incomplete", "Connection: close\r\n", ""))
            .await;
        // A server that says so is not used again, even while its connection is open.
        let mut other = peer.accept().await;
        other.head().await;
        other.send(active(None)).await;
        (server, other)
    };
    let calls = async {
        gcs.query(&session).await.expect("answered on a new connection");
        gcs.query(&session).await.expect("answered on yet another");
    };
    patiently(async { tokio::join!(serve, calls) }).await;
}

#[tokio::test]
async fn a_kept_connection_is_closed_when_it_is_idle_for_too_long() {
    let peer = Peer::listen().await;
    let mut config = peer.config();
    config.idle_timeout = Duration::from_millis(100);
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let gcs = client(config);
    let session = peer.session();
    let mut server = {
        let serve = async {
            let mut server = peer.accept().await;
            server.head().await;
            server.send(active(None)).await;
            server
        };
        let (answered, server) = patiently(async { tokio::join!(gcs.query(&session), serve) }).await;
        answered.expect("answered");
        server
    };
    assert_eq!(server.count_to_end().await, 0);
    drop(gcs);
    patiently(async {
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > tasks {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_kept_connection_that_takes_the_body_and_resets_leaves_the_outcome_unknown() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let session = peer.session();
    let range = WriteRange {
        offset: 0,
        len: Some(3),
        total: None,
        object_crc32c: None,
    };
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        server.send(active(None)).await;
        server.head().await;
        server.reset();
    };
    let calls = async {
        gcs.query(&session).await.expect("answered");
        let (_lease, body) = lend(VecDeque::from([Bytes::from_static(b"abc")]), 3);
        gcs.write(&session, range, body).await.expect_err("reset")
    };
    let ((), error) = patiently(async { tokio::join!(serve, calls) }).await;
    assert_eq!(
        (error.kind(), error.request_sent()),
        (ErrorKind::Reset, true),
        "{error}"
    );
    assert_eq!(error.recovery(), Recovery::Query);
}

#[tokio::test]
async fn a_failed_write_does_not_hide_an_answer() {
    /// Its writes fail after the first, and its reads give an answer, or an end.
    #[derive(Debug)]
    struct Broken {
        answer: &'static [u8],
    }
    impl Connector for Broken {
        fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
            let answer = half_dead::stream(self.answer);
            Box::pin(async move { Ok(answer) })
        }
    }
    for (answer, kind) in [
        (
            &b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"[..],
            ErrorKind::Http,
        ),
        (&b""[..], ErrorKind::Reset),
    ] {
        let peer = Peer::listen().await;
        let gcs = Gcs::new(peer.config(), Arc::new(Broken { answer })).expect("a client");
        let (lease, body) = lend(Endless::new(), 1 << 30);
        let range = WriteRange {
            offset: 0,
            len: Some(1 << 30),
            total: None,
            object_crc32c: None,
        };
        let error = patiently(gcs.write(&peer.session(), range, body))
            .await
            .expect_err("refused");
        assert_eq!((error.kind(), error.request_sent()), (kind, true), "{error}");
        assert!(lease.received() < 64 << 20);
    }
}

/// A stream whose writes fail after the first.
mod half_dead {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use gcsd_net::{BoxStream, Stream};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    struct HalfDead {
        writes: u32,
        answer: &'static [u8],
    }

    pub(super) fn stream(answer: &'static [u8]) -> BoxStream {
        Box::new(HalfDead { writes: 0, answer })
    }

    impl Stream for HalfDead {}

    impl AsyncRead for HalfDead {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            // What was received is found only after the write has failed.
            if self.writes < 2 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            buf.put_slice(std::mem::take(&mut self.answer));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for HalfDead {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.writes += 1;
            match self.writes {
                1 => Poll::Ready(Ok(buf.len())),
                _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}

#[tokio::test]
async fn an_answer_that_trickles_in_is_a_stall() {
    for start in [
        "HTTP/1.1 308 X\r\nX: ",
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    ] {
        let peer = Peer::listen().await;
        let mut config = peer.config();
        config.stall_timeout = Duration::from_millis(300);
        let gcs = client(config);
        let session = peer.session();
        let trickle = async {
            let mut server = peer.accept().await;
            server.head().await;
            server.send(start).await;
            loop {
                server.send("x").await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let error = patiently(async {
            tokio::select! {
                outcome = gcs.query(&session) => outcome.expect_err("stalled"),
                () = trickle => unreachable!("it goes on for ever"),
            }
        })
        .await;
        assert_eq!(
            (error.kind(), error.request_sent()),
            (ErrorKind::GcsStalled, true),
            "{error}"
        );
    }
}
