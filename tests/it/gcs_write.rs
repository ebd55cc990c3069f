//! Writing into a session: what streams, what stalls, what is cut.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use gcsd_gcs::{
    BodyState, ErrorKind, Gcs, Lease, Recovery, SessionStatus, Source, SourceError, UploadBody, WriteRange,
    lend, lend_all,
};
use gcsd_types::Crc32c;

use crate::support::feed::{Endless, feed};
use crate::support::peer::{Peer, active, client, finished, patiently, response};

const GIB: u64 = 1 << 30;

/// All bytes from `offset` on.
fn rest(offset: u64) -> WriteRange {
    WriteRange {
        offset,
        len: None,
        total: None,
        object_crc32c: None,
    }
}

/// The first range of an upload that goes on behind it.
fn first(len: u64) -> WriteRange {
    WriteRange {
        offset: 0,
        len: Some(len),
        total: None,
        object_crc32c: None,
    }
}

/// Writes in a task of its own, as a daemon does.
fn spawn_write(
    gcs: &Gcs,
    peer: &Peer,
    len: u64,
    body: UploadBody,
) -> tokio::task::JoinHandle<Result<SessionStatus, gcsd_gcs::Error>> {
    let (gcs, session) = (gcs.clone(), peer.session());
    tokio::spawn(async move {
        gcs.write(&session, first(len), body)
            .await
            .map(|answered| answered.answer)
    })
}

async fn source_back<S: Source>(lease: &mut Lease<S>) -> S {
    patiently(lease.settled()).await;
    lease.take().expect("the source")
}

#[tokio::test]
async fn bytes_arrive_while_the_client_withholds_the_rest() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let (feeder, source) = feed();
    let (mut lease, body) = lend(source, 6);
    let write = spawn_write(&gcs, &peer, 6, body);
    feeder.send(Ok(Bytes::from_static(b"abc"))).expect("fed");

    let mut server = peer.accept().await;
    let head = server.head().await;
    assert!(
        head.starts_with("PUT /session?upload_id=secret HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("content-length: 6"), "{head}");
    assert!(head.contains("content-range: bytes 0-5/*"), "{head}");
    assert!(head.contains(&format!("host: {}", peer.address())), "{head}");
    assert!(head.contains("user-agent: gcsd/"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
    assert_eq!(server.body(3).await, b"abc");
    assert_eq!((lease.received(), lease.state()), (3, BodyState::Lent));

    // More than the body has room for stays with the source.
    feeder.send(Ok(Bytes::from_static(b"defNEXT"))).expect("fed");
    assert_eq!(server.body(3).await, b"def");
    // The source is back before GCS has answered.
    let mut source = source_back(&mut lease).await;
    assert_eq!(
        (lease.state(), lease.crc32c()),
        (BodyState::Complete, Crc32c::of(b"abcdef"))
    );
    let next = std::future::poll_fn(|cx| source.poll_chunk(cx, 100))
        .await
        .expect("bytes");
    assert_eq!(&next[..], b"NEXT");
    assert!(!write.is_finished());

    server.send(active(Some("bytes=0-5"))).await;
    let progress = patiently(write).await.expect("no panic").expect("written");
    assert_eq!(progress, SessionStatus::Active { committed: Some(6) });
}

#[tokio::test]
async fn a_last_range_carries_the_objects_checksum_and_gives_the_object() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let chunks: VecDeque<Bytes> = ["a", "", "bc"].into_iter().map(Bytes::from).collect();
    let (lease, body) = lend(chunks, 3);
    let range = WriteRange {
        offset: 262_144,
        len: Some(3),
        total: Some(262_147),
        object_crc32c: Some(Crc32c::of(b"hello world")),
    };
    let session = peer.session();
    let serve = async {
        let mut server = peer.accept().await;
        let head = server.head().await;
        assert!(
            head.contains("content-range: bytes 262144-262146/262147"),
            "{head}"
        );
        assert!(head.contains("x-goog-hash: crc32c=yZRlqg=="), "{head}");
        assert_eq!(server.body(3).await, b"abc");
        server.send(finished()).await;
    };
    let (written, ()) = patiently(async { tokio::join!(gcs.write(&session, range, body), serve) }).await;
    let written = written.expect("written");
    assert_eq!(written.request_id.as_deref(), Some("id-7"));
    let SessionStatus::Finished(object) = written.answer else {
        panic!("not finished")
    };
    assert_eq!((object.info.generation, object.info.size), (5, 3));
    assert_eq!(&object.json[..], br#"{"generation":"5","size":"3"}"#);
    assert_eq!(lease.crc32c(), Crc32c::of(b"abc"));
}

#[tokio::test]
async fn a_stalled_gcs_stalls_the_source_and_is_cut() {
    let peer = Peer::listen().await;
    let mut config = peer.config();
    config.stall_timeout = Duration::from_secs(1);
    let gcs = client(config);
    let source = Endless::new();
    let (mut lease, body) = lend(source.clone(), GIB);
    let write = spawn_write(&gcs, &peer, GIB, body);
    let mut server = peer.accept().await;
    server.head().await;
    // The server reads nothing more.
    let error = patiently(write).await.expect("no panic").expect_err("stalled");
    assert_eq!(
        (error.kind(), error.request_sent()),
        (ErrorKind::GcsStalled, true),
        "{error}"
    );
    assert_eq!(error.recovery(), Recovery::Query);
    assert!(source.given() < 64 << 20, "{} bytes piled up", source.given());
    source_back(&mut lease).await;
    assert_eq!(lease.state(), BodyState::Stopped);
    assert_eq!(lease.received(), source.given());
    // The connection is cut before its body ends.
    assert!(server.count_to_end().await < GIB);
}

#[tokio::test]
async fn a_silent_client_is_told_from_a_stalled_gcs() {
    let peer = Peer::listen().await;
    let mut config = peer.config();
    config.source_timeout = Duration::from_millis(200);
    let gcs = client(config);
    let (feeder, source) = feed();
    let (mut lease, body) = lend(source, 10);
    let write = spawn_write(&gcs, &peer, 10, body);
    feeder.send(Ok(Bytes::from_static(b"abc"))).expect("fed");
    let mut server = peer.accept().await;
    server.head().await;
    let error = patiently(write).await.expect("no panic").expect_err("stalled");
    assert_eq!(
        (error.kind(), error.request_sent()),
        (ErrorKind::SourceStalled, true),
        "{error}"
    );
    assert_eq!(server.count_to_end().await, 3);
    source_back(&mut lease).await;
}

#[tokio::test]
async fn gcs_alone_is_to_blame_once_it_has_every_byte() {
    let peer = Peer::listen().await;
    let mut config = peer.config();
    config.source_timeout = Duration::from_millis(1);
    config.stall_timeout = Duration::from_millis(300);
    let gcs = client(config);
    let (_lease, body) = lend(VecDeque::from([Bytes::from_static(b"abc")]), 3);
    let write = spawn_write(&gcs, &peer, 3, body);
    let mut server = peer.accept().await;
    server.head().await;
    let error = patiently(write).await.expect("no panic").expect_err("stalled");
    assert_eq!(error.kind(), ErrorKind::GcsStalled, "{error}");
}

#[tokio::test]
async fn an_early_answer_stops_the_body_at_once() {
    for server_reads_on in [false, true] {
        let peer = Peer::listen().await;
        let gcs = peer.gcs();
        let source = Endless::new();
        let (mut lease, body) = lend(source.clone(), GIB);
        let write = spawn_write(&gcs, &peer, GIB, body);
        let mut server = peer.accept().await;
        server.head().await;
        server.body(1 << 20).await;
        server
            .send(response("503 Service Unavailable", "Retry-After: 3\r\n", "busy"))
            .await;
        let rest = tokio::spawn(async move {
            if server_reads_on {
                server.count_to_end().await
            } else {
                patiently(std::future::pending()).await
            }
        });
        let error = patiently(write).await.expect("no panic").expect_err("refused");
        assert_eq!(
            (error.kind(), error.http_status()),
            (ErrorKind::Http, Some(503)),
            "{error}"
        );
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(error.message(), "GCS answered 503: busy");
        source_back(&mut lease).await;
        assert_eq!(lease.state(), BodyState::Stopped);
        assert!(source.given() < 128 << 20, "{} bytes were taken", source.given());
        if server_reads_on {
            assert!(patiently(rest).await.expect("no panic") < GIB);
        } else {
            rest.abort();
        }
    }
}

#[tokio::test]
async fn an_early_answer_gives_the_source_back_before_it_is_complete() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let (_feeder, source) = feed();
    let (mut lease, body) = lend(source, 10);
    let write = spawn_write(&gcs, &peer, 10, body);
    let mut server = peer.accept().await;
    server.head().await;
    server
        .send("HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nno")
        .await;
    source_back(&mut lease).await;
    assert!(!write.is_finished());
    server.send("pe").await;
    let error = patiently(write).await.expect("no panic").expect_err("refused");
    assert_eq!(error.message(), "GCS answered 400: nope");
}

#[tokio::test]
async fn an_early_answer_followed_by_a_reset_is_seen_or_unknown() {
    let mut seen = 0;
    for _ in 0..20 {
        let peer = Peer::listen().await;
        let gcs = peer.gcs();
        let (_lease, body) = lend(Endless::new(), GIB);
        let write = spawn_write(&gcs, &peer, GIB, body);
        let mut server = peer.accept().await;
        server.head().await;
        server.send(response("400 Bad Request", "", "no")).await;
        server.reset();
        let error = patiently(write).await.expect("no panic").expect_err("refused");
        match error.kind() {
            ErrorKind::Http => seen += 1,
            kind => assert_eq!(kind, ErrorKind::Reset, "{error}"),
        }
        assert!(error.request_sent());
    }
    eprintln!("the answer was seen in {seen} of 20");
}

#[tokio::test]
async fn a_client_that_leaves_never_completes_a_put() {
    let endings: [Option<io::Error>; 2] = [None, Some(io::ErrorKind::ConnectionReset.into())];
    for ending in endings {
        let peer = Peer::listen().await;
        let gcs = peer.gcs();
        let (feeder, source) = feed();
        let (mut lease, body) = lend(source, 1000);
        let write = spawn_write(&gcs, &peer, 1000, body);
        feeder.send(Ok(Bytes::from_static(b"abc"))).expect("fed");
        let mut server = peer.accept().await;
        server.head().await;
        let (kind, state) = match &ending {
            None => (ErrorKind::SourceEnded, BodyState::Ended),
            Some(error) => (ErrorKind::SourceFailed, BodyState::Failed(error.kind())),
        };
        if let Some(error) = ending {
            feeder.send(Err(error.into())).expect("fed");
        }
        drop(feeder);
        assert_eq!(server.count_to_end().await, 3);
        let error = patiently(write).await.expect("no panic").expect_err("cut");
        assert_eq!((error.kind(), error.request_sent()), (kind, true), "{error}");
        source_back(&mut lease).await;
        assert_eq!(lease.state(), state);
    }
}

#[tokio::test]
async fn a_source_taken_back_cuts_the_put_even_when_gcs_is_stalled() {
    for stalled in [false, true] {
        let peer = Peer::listen().await;
        let gcs = peer.gcs();
        let endless = Endless::new();
        let (_feeder, waiting) = feed();
        let mut server;
        let error = if stalled {
            let (mut lease, body) = lend(endless.clone(), GIB);
            let write = spawn_write(&gcs, &peer, GIB, body);
            server = peer.accept().await;
            server.head().await;
            lease.take().expect("the source");
            assert!(lease.take().is_none());
            assert_eq!(patiently(lease.settled()).await, BodyState::Taken);
            patiently(write).await
        } else {
            let (mut lease, body) = lend(waiting, GIB);
            let write = spawn_write(&gcs, &peer, GIB, body);
            server = peer.accept().await;
            server.head().await;
            lease.take().expect("the source");
            patiently(write).await
        };
        let error = error.expect("no panic").expect_err("cut");
        assert_eq!(
            (error.kind(), error.request_sent()),
            (ErrorKind::SourceTaken, true),
            "{error}"
        );
        assert!(server.count_to_end().await < GIB);
    }
}

#[tokio::test]
async fn a_dropped_write_cuts_the_put_and_leaves_no_task() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (mut lease, body) = lend(Endless::new(), GIB);
    let session = peer.session();
    let mut write = Box::pin(gcs.write(&session, first(GIB), body));
    let mut server = tokio::select! {
        _ = &mut write => panic!("it cannot end"),
        server = async {
            let mut server = peer.accept().await;
            server.head().await;
            server
        } => server,
    };
    assert_eq!(
        tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        tasks
    );
    drop(write);
    source_back(&mut lease).await;
    assert_eq!(lease.state(), BodyState::Stopped);
    assert!(server.count_to_end().await < GIB);
    assert_eq!(
        tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        tasks
    );
}

#[tokio::test]
async fn what_the_kernel_holds_of_a_cut_put_is_thrown_away() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let endless = Endless::new();
    let (_lease, body) = lend(endless.clone(), GIB);
    let session = peer.session();
    let mut write = Box::pin(gcs.write(&session, first(GIB), body));
    let mut server = tokio::select! {
        _ = &mut write => panic!("it cannot end"),
        server = peer.accept() => server,
    };
    // The server takes nothing, so that all buffers on the way fill up.
    let more = tokio::time::timeout(Duration::from_millis(500), &mut write).await;
    assert!(more.is_err(), "it cannot end");
    drop(write);
    let (taken, error) = server.end().await;
    assert_eq!(error, Some(io::ErrorKind::ConnectionReset));
    assert!(taken < endless.given(), "all {taken} bytes came");
}

#[tokio::test]
async fn informational_answers_do_not_stop_a_body() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let (feeder, source) = feed();
    let (_lease, body) = lend(source, 6);
    let write = spawn_write(&gcs, &peer, 6, body);
    feeder.send(Ok(Bytes::from_static(b"abc"))).expect("fed");
    let mut server = peer.accept().await;
    server.head().await;
    server.body(3).await;
    server
        .send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n")
        .await;
    feeder.send(Ok(Bytes::from_static(b"d"))).expect("fed");
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.send("\r\n").await;
    feeder.send(Ok(Bytes::from_static(b"ef"))).expect("fed");
    assert_eq!(server.body(3).await, b"def");
    server.send(active(Some("bytes=0-5"))).await;
    let progress = patiently(write).await.expect("no panic").expect("written");
    assert_eq!(progress, SessionStatus::Active { committed: Some(6) });
}

#[tokio::test]
async fn a_source_that_breaks_its_word_corrupts_nothing() {
    #[derive(Debug)]
    struct Liar;
    impl Source for Liar {
        fn poll_chunk(
            &mut self,
            _cx: &mut std::task::Context<'_>,
            _max: usize,
        ) -> std::task::Poll<Result<Bytes, gcsd_gcs::SourceError>> {
            std::task::Poll::Ready(Ok(Bytes::from_static(b"far too much")))
        }
    }
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let (lease, body) = lend(Liar, 3);
    let write = spawn_write(&gcs, &peer, 3, body);
    let mut server = peer.accept().await;
    assert_eq!(server.count_to_end().await, 0);
    let error = patiently(write).await.expect("no panic").expect_err("cut");
    assert_eq!(
        (error.kind(), error.request_sent()),
        (ErrorKind::SourceFailed, false),
        "{error}"
    );
    assert_eq!(lease.state(), BodyState::Failed(io::ErrorKind::InvalidData));
}

#[tokio::test]
async fn ranges_that_make_no_sense_are_refused_before_anything_is_sent() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    for (range, len) in [
        (first(3), 4),
        (
            WriteRange {
                offset: u64::MAX,
                ..first(3)
            },
            3,
        ),
        (
            WriteRange {
                total: Some(4),
                ..first(3)
            },
            3,
        ),
    ] {
        let (mut lease, body) = lend(Endless::new(), len);
        let error = gcs
            .write(&peer.session(), range, body)
            .await
            .expect_err("refused");
        assert_eq!(
            (error.kind(), error.recovery()),
            (ErrorKind::Invalid, Recovery::Never),
            "{range:?}"
        );
        source_back(&mut lease).await;
    }
}

/// The chunks that hyper makes of these, as they are sent.
fn chunked(chunks: &[&[u8]]) -> Vec<u8> {
    let each = chunks
        .iter()
        .flat_map(|chunk| [format!("{:X}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    each.collect()
}

#[tokio::test]
async fn a_body_of_unknown_length_ends_where_its_source_does_and_only_there() {
    let taken_back = || Some(SourceError::Aborted);
    let gone = || Some(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    let right = Crc32c::of(b"abcdef");
    let cases = [
        (None, None, BodyState::Complete),
        (None, Some(right), BodyState::Complete),
        (None, Some(Crc32c(5)), BodyState::Damaged),
        (taken_back(), None, BodyState::Aborted),
        (gone(), None, BodyState::Ended),
        (
            Some(SourceError::Malformed("no body")),
            Some(right),
            BodyState::Malformed("no body"),
        ),
    ];
    for (ending, checksum, state) in cases {
        let peer = Peer::listen().await;
        let gcs = peer.gcs();
        let (feeder, mut source) = feed();
        source.checksum = checksum;
        let (mut lease, body) = lend_all(source);
        assert_eq!(body.len(), None);
        let session = peer.session();
        let write = tokio::spawn(async move { gcs.write(&session, rest(7), body).await });
        feeder.send(Ok(Bytes::from_static(b"abc"))).expect("fed");
        let mut server = peer.accept().await;
        let head = server.head().await;
        assert!(head.contains("content-range: bytes 7-*/*"), "{head}");
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        assert!(!head.contains("content-length"), "{head}");
        assert_eq!(server.body(8).await, chunked(&[b"abc"]));
        feeder.send(Ok(Bytes::from_static(b"def"))).expect("fed");
        assert_eq!(server.body(8).await, chunked(&[b"def"]));
        assert_eq!((lease.received(), lease.state()), (6, BodyState::Lent));
        if let Some(error) = ending {
            feeder.send(Err(error)).expect("fed");
        }
        drop(feeder);
        source_back(&mut lease).await;
        assert_eq!((lease.state(), lease.crc32c()), (state, right));
        if state == BodyState::Complete {
            assert_eq!(server.body(5).await, b"0\r\n\r\n");
            server.send(finished()).await;
            let written = patiently(write).await.expect("no panic").expect("written");
            assert!(matches!(written.answer, SessionStatus::Finished(_)));
        } else {
            // The last chunk, which would make it whole, is never sent.
            assert_eq!(server.count_to_end().await, 0, "{state:?}");
            let error = patiently(write).await.expect("no panic").expect_err("cut");
            let (kind, recovery) = match state {
                BodyState::Damaged => (ErrorKind::SourceDamaged, Recovery::Restart),
                BodyState::Aborted => (ErrorKind::SourceAborted, Recovery::Query),
                BodyState::Malformed(_) => (ErrorKind::SourceMalformed, Recovery::Query),
                _ => (ErrorKind::SourceEnded, Recovery::Query),
            };
            assert_eq!((error.kind(), error.recovery()), (kind, recovery), "{error}");
        }
    }
}

#[tokio::test]
async fn an_early_answer_stops_a_body_of_unknown_length() {
    let peer = Peer::listen().await;
    let gcs = peer.gcs();
    let source = Endless::new();
    let (mut lease, body) = lend_all(source.clone());
    let session = peer.session();
    let write = tokio::spawn(async move { gcs.write(&session, rest(0), body).await });
    let mut server = peer.accept().await;
    server.head().await;
    server.body(1 << 20).await;
    server.send(response("410 Gone", "", "lost")).await;
    let error = patiently(write).await.expect("no panic").expect_err("refused");
    assert_eq!(
        (error.kind(), error.recovery()),
        (ErrorKind::SessionLost, Recovery::Restart)
    );
    source_back(&mut lease).await;
    assert_eq!(lease.state(), BodyState::Stopped);
    assert!(server.count_to_end().await < GIB);
    assert!(source.given() < 128 << 20);
}
