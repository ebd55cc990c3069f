//! Kept connections that break: what follows goes out on a new one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use gcsd_gcs::{ErrorKind, Gcs, Recovery, SessionStatus, SessionUri, WriteRange, lend};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::command::run;
use crate::support::daemon::{Daemon, Options, pattern};
use crate::support::peer::{Peer, active, finished, patiently};

const RANGE: WriteRange = WriteRange {
    offset: 0,
    len: Some(3),
    total: Some(3),
    object_crc32c: None,
};

async fn write(gcs: &Gcs, session: &SessionUri) -> Result<SessionStatus, gcsd_gcs::Error> {
    let (_lease, body) = lend(VecDeque::from([Bytes::from_static(b"abc")]), 3);
    gcs.write(session, RANGE, body)
        .await
        .map(|answered| answered.answer)
}

#[tokio::test]
async fn after_a_break_on_a_kept_connection_nothing_goes_out_on_a_kept_one() {
    let peer = Peer::listen().await;
    let (gcs, session) = (peer.gcs(), peer.session());
    let serve = async {
        // Two connections that are kept.
        let (mut one, mut other) = (peer.accept().await, peer.accept().await);
        for server in [&mut one, &mut other] {
            server.head().await;
        }
        for server in [&mut one, &mut other] {
            server.send(active(None)).await;
        }
        // Whichever is used: it breaks under the write, and the other is closed.
        let (mut broken, mut idle) = tokio::select! {
            head = one.head() => { assert!(head.starts_with("PUT"), "{head}"); (one, other) },
            head = other.head() => { assert!(head.starts_with("PUT"), "{head}"); (other, one) },
        };
        broken.body(3).await;
        broken.reset();
        assert_eq!(idle.count_to_end().await, 0, "it is used no more");
        // The query has a new connection, and does not leave it to the write.
        let mut queried = peer.accept().await;
        queried.head().await;
        queried.send(active(None)).await;
        assert_eq!(queried.count_to_end().await, 0, "it is not kept");
        let mut written = peer.accept().await;
        written.head().await;
        written.body(3).await;
        written.send(finished()).await;
    };
    let calls = async {
        let (one, other) = tokio::join!(gcs.query(&session), gcs.query(&session));
        one.and(other).expect("answered");
        let error = write(&gcs, &session).await.expect_err("reset");
        assert_eq!(
            (error.kind(), error.recovery()),
            (ErrorKind::Reset, Recovery::Query)
        );
        gcs.query(&session).await.expect("answered");
        let status = write(&gcs, &session).await.expect("answered");
        assert!(matches!(status, SessionStatus::Finished(_)), "{status:?}");
    };
    patiently(async { tokio::join!(serve, calls) }).await;
}

/// Passes connections on to `upstream`, and resets each at its second request. Counts how often it did.
async fn middlebox(upstream: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let resets = Arc::new(AtomicUsize::new(0));
    let count = resets.clone();
    let task = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, upstream, count.clone()));
        }
    });
    (address, resets, task)
}

async fn pass(mut client: TcpStream, upstream: SocketAddr, resets: Arc<AtomicUsize>) {
    const REQUEST: &[u8] = b" HTTP/1.1\r\n";
    let mut server = TcpStream::connect(upstream).await.expect("a server");
    let (mut requests, mut tail) = (0, Vec::new());
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                let bytes = [&tail[..], &up[..n]].concat();
                requests += bytes.windows(REQUEST.len()).filter(|bytes| *bytes == REQUEST).count();
                tail = bytes[bytes.len().saturating_sub(REQUEST.len() - 1)..].to_vec();
                if requests > 1 {
                    resets.fetch_add(1, Relaxed);
                    client.set_zero_linger().expect("an option");
                    return;
                }
                if server.write_all(&up[..n]).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                if client.write_all(&down[..n]).await.is_err() { return }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_through_a_box_that_resets_each_second_request_ends() {
    let devgcs = Daemon::start().await;
    let (address, resets, task) = middlebox(devgcs.devgcs.address()).await;
    let daemon = Daemon::with(Options {
        endpoint: Some(format!("http://{address}")),
        ..Options::default()
    })
    .await;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    let bytes = pattern(1 << 20);
    std::fs::write(&path, &bytes).expect("written");
    let path = path.to_str().expect("UTF-8");
    let put = &["put", "--retry-for", "60s", path, "gs://bucket/file"];
    let put = run(Some(daemon.address), put, b"").await;
    assert_eq!(put.code, Some(0), "{}", put.err);
    assert_eq!(devgcs.object("file").await, bytes);
    assert!(resets.load(Relaxed) > 0, "it was in the way");
    task.abort();
}
