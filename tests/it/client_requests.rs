//! The client's connection against a scripted daemon: order, bodies, bounds, the beginning.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use gcsd_client::{Body, Connection, Error, FileBody, Options, ReaderBody};
use gcsd_net::{BoxStream, Stream, TcpConnector};
use gcsd_types::Crc32c;
use gcsd_wire::head::CLOSING;
use gcsd_wire::{self, Kind, Request, Retry, Status, hello};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;

use crate::support::scripted::{Daemon, at, bytes, lost, pair, pair_in_memory, pong, written};

#[tokio::test]
async fn replies_come_in_any_order() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let script = async {
        let mut heads = Vec::new();
        for _ in 0..3 {
            heads.push(daemon.request().await);
        }
        for (head, request) in heads.into_iter().rev() {
            let Request::Ping(args) = request else {
                panic!("not a ping")
            };
            daemon
                .reply(head.sequence, 0, gcsd_wire::Reply::Ping(args), b"")
                .await;
        }
    };
    let ping = |text: &'static [u8]| connection.ping(Bytes::from_static(text));
    let (a, b, c, ()) = tokio::join!(ping(b"a"), ping(b"b"), ping(b"c"), script);
    let echoes = [a, b, c].map(|reply| reply.expect("a reply").args.echo);
    assert_eq!(echoes, [b"a".as_slice(), b"b", b"c"]);
}

#[tokio::test]
async fn a_body_of_pieces_a_file_and_a_reader_arrive_whole() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let whole = bytes(3_000_001);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &whole).expect("a full file");
    let opened = Arc::new(file.reopen().expect("the file"));

    let pieces: Vec<Bytes> = whole.chunks(70_000).map(Bytes::copy_from_slice).collect();
    let from_file = FileBody::new(opened, 1, 2_999_999);
    let reader = ReaderBody::new(io::Cursor::new(whole.to_vec()));
    let cases = [
        (Body::from(pieces), whole.clone()),
        (Body::source(2_999_999, from_file), whole.slice(1..3_000_000)),
        (Body::source(100, reader), whole.slice(..100)),
        (Body::empty(), Bytes::new()),
    ];
    for (body, expected) in cases {
        let script = async {
            let (head, _) = daemon.request().await;
            assert_eq!(head.body_len, expected.len() as u64);
            let got = daemon.body(head.body_len).await;
            assert!(got == expected);
            daemon.reply(head.sequence, 0, written(&got), b"").await;
        };
        let args = at(0);
        let (reply, ()) = tokio::join!(connection.write_at(7, &args, body), script);
        let progress = reply.expect("a reply").args;
        assert_eq!(progress.received_crc32c, Crc32c::of(&expected));
    }
}

/// A stream that remembers where the bytes lay that were written to it, and never has any to read.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<Vec<Slices>>>);

/// Address and length of each piece of one write.
type Slices = Vec<(usize, usize)>;

impl AsyncRead for Addresses {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Addresses {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let seen = pieces
            .iter()
            .map(|piece| (piece.as_ptr().addr(), piece.len()))
            .collect();
        self.0.lock().expect("no panic").push(seen);
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    }
    fn is_write_vectored(&self) -> bool {
        true
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Stream for Addresses {}

#[tokio::test]
async fn a_body_leaves_from_where_it_lies() {
    let stream = Addresses::default();
    let connection = Connection::over(Box::new(stream.clone()) as BoxStream, &Options::default());
    let pieces: Vec<Bytes> = (1..=40).map(|n| bytes(n * 1000)).collect();
    let expected: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.as_ptr().addr(), piece.len()))
        .collect();
    let writing = tokio::spawn(async move { connection.write_at(1, &at(0), Body::from(pieces)).await });
    while stream.0.lock().expect("no panic").is_empty() {
        tokio::task::yield_now().await;
    }
    let writes = stream.0.lock().expect("no panic").clone();
    assert_eq!(writes.len(), 1, "head, args and body are one write");
    assert_eq!(writes[0][0].1, 32 + 40 + 4);
    assert_eq!(writes[0][1..], expected);
    writing.abort();
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_in_flight_than_agreed() {
    let options = Options::default().with_max_in_flight(2);
    let (connection, mut daemon) = pair_in_memory(&options);
    let calls = async {
        let ping = || connection.ping(Bytes::new());
        tokio::join!(ping(), ping(), ping())
    };
    let script = async {
        let (first, _) = daemon.request().await;
        let (second, _) = daemon.request().await;
        assert!(daemon.hears_nothing().await);
        daemon.reply(first.sequence, 0, pong(b""), b"").await;
        let (third, _) = daemon.request().await;
        daemon.reply(second.sequence, 0, pong(b""), b"").await;
        daemon.reply(third.sequence, 0, pong(b""), b"").await;
    };
    let ((a, b, c), ()) = tokio::join!(calls, script);
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_not_sent() {
    let (connection, mut daemon) = pair_in_memory(&Options::default());
    let error = connection.ping(bytes(65_537)).await.expect_err("too large");
    assert!(matches!(error, Error::Request(_)), "{error}");
    assert_eq!(error.retry(), Retry::Never);
    let source = ReaderBody::new(tokio::io::empty());
    let error = connection
        .write_at(1, &at(0), Body::source(1 << 63, source))
        .await;
    assert!(matches!(error, Err(Error::Request(_))), "{error:?}");
    assert!(daemon.hears_nothing().await);
}

#[tokio::test]
async fn a_connection_begins_with_the_secret() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let address = format!("127.0.0.1:{port}").parse().expect("an address");
    let options = Options::default().with_secret("open sesame");
    let script = async {
        let mut daemon = Daemon::accept(&listener).await;
        let (head, request) = daemon.request().await;
        let Request::Hello(args) = request else {
            panic!("not a Hello")
        };
        assert_eq!(args.secret, b"open sesame".as_slice());
        let refused = Status::new(Kind::Unauthenticated, Retry::Never);
        daemon.error(&head, CLOSING, refused, None).await;
    };
    let (result, ()) = tokio::join!(Connection::open(&TcpConnector, &address, &options), script);
    assert_eq!(result.expect_err("refused").name(), "unauthenticated");
    assert!(!format!("{options:?}").contains("sesame"));

    drop(listener);
    let error = Connection::open(&TcpConnector, &address, &options)
        .await
        .expect_err("nobody listens");
    assert_eq!((error.name(), error.retry()), ("unreachable", Retry::Reconnect));
    assert!(!lost::<()>(Err(error)).1);
}

#[tokio::test]
async fn checked_frames_are_agreed_on_first_and_then_every_frame_is_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let address = format!("127.0.0.1:{port}").parse().expect("an address");
    for granted in [0, hello::CHECKED] {
        let script = async {
            let mut daemon = Daemon::accept(&listener).await;
            let (head, request) = daemon.request().await;
            let Request::Hello(args) = request else {
                panic!("not a Hello")
            };
            assert_eq!((args.features, args.secret.len()), (hello::CHECKED, 0));
            let reply = hello::Reply {
                version: 1,
                features: granted,
                max_args: 65_536,
                max_in_flight: 64,
                max_uploads: 16,
                alignment: 262_144,
                drain_cap: 0,
                idle_timeout_ms: 0,
                client_timeout_ms: 0,
                gcs_timeout_ms: 0,
                handshake_timeout_ms: 0,
                server: "scripted".to_owned(),
            };
            daemon
                .reply(head.sequence, 0, gcsd_wire::Reply::Hello(reply), b"")
                .await;
            let (head, _) = daemon.request().await;
            assert!(head.checked());
            // An error that answers nothing, without a checksum.
            let nothing = gcsd_wire::RequestHead {
                opcode: 0,
                flags: 0,
                sequence: 0,
                ..head
            };
            let damaged = Status::new(Kind::Damaged, Retry::Reconnect);
            daemon.error(&nothing, CLOSING, damaged, None).await;
        };
        let ping = async {
            let options = Options::default().with_checked(true);
            let connection = Connection::open(&TcpConnector, &address, &options).await;
            let connection = connection.expect("a connection");
            let answer = connection.ping(Bytes::from_static(b"x")).await;
            (answer.expect_err("no answer"), connection.reason())
        };
        let ((error, reason), ()) = tokio::join!(ping, script);
        assert_eq!(error.retry(), Retry::Reconnect);
        let noticed = matches!(reason, Some(gcsd_client::Reason::Damaged));
        assert_eq!(noticed, granted != 0, "{reason:?}");
    }
}
