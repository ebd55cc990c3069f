//! An upload in progress: what its session permits, what it learns from answers, and what it says when it fails.

use std::collections::VecDeque;
use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use gcsd_gcs::{
    Anomaly, CancelOutcome, ErrorKind, Lease, Recovery, Refusal, Session, SessionError, UploadBody,
    WriteRange, lend, lend_all,
};
use gcsd_types::{CHUNK_ALIGNMENT, Crc32c};
use tokio::net::TcpStream;

use crate::support::feed::{Endless, feed};
use crate::support::peer::{Conversation, Peer, active, finished, patiently, response};

/// A session that was started elsewhere.
fn attached(peer: &Peer) -> Session {
    Session::attach(&peer.gcs(), peer.session())
}

/// One whose upload is known to be at `committed`, and the connection that it uses.
async fn settled(peer: &Peer, committed: u64) -> (Session, Conversation<TcpStream>) {
    let session = attached(peer);
    let held = committed.checked_sub(1).map(|last| format!("bytes=0-{last}"));
    let accepted = async {
        let mut server = peer.accept().await;
        answer(&mut server, 0, active(held.as_deref())).await;
        server
    };
    let (asked, server) = tokio::join!(session.query(), accepted);
    assert_eq!(asked.expect("an answer").answer.committed, committed);
    (session, server)
}

/// Takes one request with a body of `body` bytes, and answers it.
async fn answer(server: &mut Conversation<TcpStream>, body: usize, with: impl AsRef<[u8]>) {
    server.head().await;
    server.body(body).await;
    server.send(with).await;
}

fn range(offset: u64, len: u64, total: Option<u64>) -> WriteRange {
    WriteRange {
        offset,
        len: Some(len),
        total,
        object_crc32c: None,
    }
}

fn bytes(len: u64) -> (Lease<VecDeque<Bytes>>, UploadBody) {
    let bytes = vec![7; usize::try_from(len).expect("small")];
    lend(VecDeque::from([Bytes::from(bytes)]), len)
}

#[tokio::test]
async fn what_an_upload_does_not_permit_is_refused_without_a_call() {
    // Nobody accepts: a call would not come back.
    let peer = Peer::listen().await;
    let session = attached(&peer);
    let (mut lease, body) = bytes(3);
    let error = patiently(session.write(range(0, 3, Some(3)), body))
        .await
        .expect_err("unsettled");
    assert!(
        matches!(error, SessionError::Refused(Refusal::Unsettled)),
        "{error:?}"
    );
    let source = error.source().expect("why");
    assert!(source.to_string().contains("unknown what arrived"), "{source}");
    assert!(lease.take().is_some(), "the bytes are whole");
    let error = patiently(session.finish(3, None)).await.expect_err("unsettled");
    assert!(
        matches!(error, SessionError::Refused(Refusal::Unsettled)),
        "{error:?}"
    );
}

#[tokio::test]
async fn answers_move_the_upload() {
    const HALF: u64 = CHUNK_ALIGNMENT;
    let peer = Peer::listen().await;
    let (session, mut server) = settled(&peer, 0).await;
    let (_lease, body) = bytes(2 * HALF);
    let half = active(Some("bytes=0-262143"));
    let (written, ()) = tokio::join!(
        session.write(range(0, 2 * HALF, None), body),
        answer(&mut server, 2 << 18, &half)
    );
    let error = written.expect_err("half of it");
    let expected = Anomaly::Incomplete { committed: HALF };
    assert!(
        matches!(error, SessionError::Anomaly(anomaly) if anomaly == expected),
        "{error:?}"
    );
    assert_eq!(session.committed(), HALF);

    let (_lease, body) = bytes(3);
    let size = HALF + 3;
    let whole = format!(r#"{{"generation":"5","size":"{size}"}}"#);
    let (written, ()) = tokio::join!(
        session.write(range(HALF, 3, Some(size)), body),
        answer(
            &mut server,
            3,
            response("200 OK", "X-GUploader-UploadID: id-7\r\n", &whole)
        )
    );
    let written = written.expect("finished");
    assert_eq!(
        (written.http_status, written.request_id.as_deref()),
        (200, Some("id-7"))
    );
    assert_eq!(written.answer.committed, size);
    assert_eq!(written.answer.json, whole);
    assert_eq!(session.object(), written.answer.object);
    assert!(session.has_ended());
    let error = patiently(session.finish(size, None)).await.expect_err("over");
    assert!(
        matches!(error, SessionError::Refused(Refusal::Ended)),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_failed_call_says_what_is_committed_and_why() {
    let peer = Peer::listen().await;
    let (session, mut server) = settled(&peer, CHUNK_ALIGNMENT).await;
    let busy = response("503 Service Unavailable", "", "busy");
    let (finished, ()) = tokio::join!(
        session.finish(CHUNK_ALIGNMENT, None),
        answer(&mut server, 0, &busy)
    );
    let error = finished.expect_err("busy");
    let source = error.source().expect("why").to_string();
    assert!(
        source.contains("503") && !error.to_string().contains("503"),
        "{error}: {source}"
    );
    let SessionError::Call { error, committed } = error else {
        panic!("{error:?}")
    };
    assert_eq!((error.recovery(), committed), (Recovery::Query, CHUNK_ALIGNMENT));
    assert_eq!(
        session.check_write(&range(CHUNK_ALIGNMENT, 1, Some(CHUNK_ALIGNMENT + 1))),
        Err(Refusal::Unsettled)
    );

    let gone = response("410 Gone", "", "");
    let (asked, ()) = tokio::join!(session.query(), answer(&mut server, 0, &gone));
    assert!(
        matches!(&asked, Err(SessionError::Call { error, .. }) if error.kind() == ErrorKind::SessionLost),
        "{asked:?}"
    );
    assert!(session.has_ended());
}

/// GCS may hold bytes that are not the sender's, so that nothing but a new upload helps.
#[tokio::test]
async fn damaged_bytes_lose_the_upload_once_they_were_sent() {
    let peer = Peer::listen().await;
    let (session, mut server) = settled(&peer, 0).await;
    let (feeder, mut source) = feed();
    source.checksum = Some(Crc32c(5));
    feeder.send(Ok(Bytes::from_static(b"abc"))).expect("fed");
    let (_lease, body) = lend_all(source);
    let rest = WriteRange {
        len: None,
        ..range(0, 0, None)
    };
    let cut = async {
        server.upto(b"abc").await;
        drop(feeder);
        server.rest().await
    };
    let (written, _) = tokio::join!(session.write(rest, body), cut);
    assert!(
        matches!(&written, Err(SessionError::Call { error, .. }) if error.kind() == ErrorKind::SourceDamaged),
        "{written:?}"
    );
    assert!(session.has_ended());
}

#[tokio::test]
async fn a_request_that_is_dropped_leaves_unknown_what_arrived() {
    let peer = Peer::listen().await;
    let (session, mut server) = settled(&peer, 0).await;
    let session = Arc::new(session);
    let long = range(0, 1 << 30, None);

    // Asking changes nothing.
    let asked = tokio::spawn({
        let session = session.clone();
        async move { session.query().await.map(drop) }
    });
    server.head().await;
    asked.abort();
    assert!(patiently(asked).await.expect_err("dropped").is_cancelled());
    assert_eq!(session.check_write(&long), Ok(()));

    let (_lease, body) = lend(Endless::new(), 1 << 30);
    let written = tokio::spawn({
        let session = session.clone();
        async move { session.write(long, body).await.map(drop) }
    });
    let mut server = peer.accept().await;
    server.head().await;
    server.body(1 << 20).await;
    written.abort();
    assert!(patiently(written).await.expect_err("dropped").is_cancelled());
    assert!(server.count_to_end().await < 1 << 30, "the request is cut");
    assert_eq!(session.check_write(&long), Err(Refusal::Unsettled));

    let asked = async {
        let mut server = peer.accept().await;
        answer(&mut server, 0, active(None)).await;
    };
    let (asked, ()) = tokio::join!(session.query(), asked);
    assert_eq!(asked.expect("an answer").answer.committed, 0);
    assert_eq!(session.check_write(&long), Ok(()));
}

#[tokio::test]
async fn a_cancel_that_finds_the_object_says_so_from_then_on() {
    let peer = Peer::listen().await;
    let (session, mut server) = settled(&peer, 0).await;
    let (cancelled, ()) = tokio::join!(session.cancel(), answer(&mut server, 0, finished()));
    let cancelled = cancelled.expect("an answer").answer;
    let CancelOutcome::Finished(object) = cancelled else {
        panic!("{cancelled:?}")
    };
    assert_eq!(session.object(), Some(object.info));
}
