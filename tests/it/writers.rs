//! The two unreliable writers: the same behaviour, and no copy on the way to the socket.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gcsd_client::{
    Body, Cancelled, Error, Last, OpenUpload as _, Progress, ReliableWriter, UnreliableWriter,
};
use gcsd_net::SharedConnector;
use gcsd_types::Crc32c;
use gcsd_wire::{Kind, Retry};
use tokio::time::timeout;

use crate::support::daemon::{Daemon, PATIENCE, pattern};
use crate::support::stage::faulty;
use crate::support::tap::{Listener, Tap};
use crate::support::uploads::{Way, direct, new_object, small_chunks, tcp, via_daemon};

const K: usize = 256 * 1024;

/// Both ways to an object, by name.
fn both(daemon: &Daemon, connector: &SharedConnector, name: &str) -> [(String, Way); 2] {
    let object = |way: &str| new_object(&format!("{name}/{way}"));
    [
        (
            format!("{name}/daemon"),
            Way::Daemon(via_daemon(&[daemon.address], connector.clone(), object("daemon"))),
        ),
        (
            format!("{name}/direct"),
            Way::Direct(direct(&daemon.devgcs, connector.clone(), object("direct"))),
        ),
    ]
}

/// `bytes` in pieces of `len`, as they lie in memory.
fn pieces(bytes: &Bytes, len: usize) -> Vec<Bytes> {
    (0..bytes.len())
        .step_by(len)
        .map(|at| bytes.slice(at..bytes.len().min(at + len)))
        .collect()
}

fn last(bytes: &[u8]) -> Last {
    Last {
        total: bytes.len() as u64,
        crc32c: Crc32c::of(bytes),
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

/// What is the same in both: all but times and texts.
fn outcome(answer: Result<Progress, Error>) -> (Option<(Kind, Retry)>, Option<u64>, bool) {
    match answer {
        Ok(progress) => (None, Some(progress.committed), progress.object.is_some()),
        Err(error) => {
            let kind = error.status().and_then(|status| status.kind());
            (kind.map(|kind| (kind, error.retry())), error.committed(), false)
        }
    }
}

#[tokio::test]
async fn both_writers_answer_the_same() {
    let daemon = Daemon::start().await;
    let bytes = Bytes::from(pattern(2 * K + 9));
    let mut seen = Vec::new();
    for (name, mut way) in both(&daemon, &tcp(), "same") {
        let (mut writer, token) = soon(way.start()).await.expect("started");
        let mut answers = Vec::new();
        let first = Body::from(pieces(&bytes.slice(..K), 1000));
        let progress = soon(writer.write_at(0, first, None)).await.expect("written");
        assert_eq!(progress.received, K as u64);
        assert_eq!(progress.received_crc32c, Crc32c::of(&bytes[..K]));
        answers.push(outcome(Ok(progress)));
        // Refused before GCS is asked.
        let body = || Body::from(bytes.slice(K..2 * K));
        answers.push(outcome(soon(writer.write_at(2 * K as u64, body(), None)).await));
        answers.push(outcome(soon(writer.write_at(K as u64 + 1, body(), None)).await));
        answers.push(outcome(
            soon(writer.write_at(K as u64, Body::empty(), None)).await,
        ));
        // A writer that attached must ask first.
        let mut writer = soon(way.attach(&token)).await.expect("attached");
        answers.push(outcome(soon(writer.write_at(K as u64, body(), None)).await));
        answers.push(outcome(soon(writer.finish(last(&bytes))).await));
        answers.push(outcome(soon(writer.query()).await));
        // A finish that comes too early, a wrong checksum, and what is left after it.
        answers.push(outcome(soon(writer.finish(last(&bytes))).await));
        let rest = || Body::from(pieces(&bytes.slice(K..), 70_000));
        let wrong = Last {
            crc32c: Crc32c(1),
            ..last(&bytes)
        };
        answers.push(outcome(
            soon(writer.write_at(K as u64, rest(), Some(wrong))).await,
        ));
        answers.push(outcome(
            soon(writer.write_at(K as u64, rest(), Some(last(&bytes)))).await,
        ));
        assert!(!daemon.has_object(&name));
        // Another one, to its end.
        let (mut writer, token) = soon(way.start()).await.expect("started");
        let whole = Body::from(pieces(&bytes, K + 1));
        answers.push(outcome(soon(writer.write_at(0, whole, Some(last(&bytes)))).await));
        assert_eq!(daemon.object(&name).await, bytes);
        let mut again = soon(way.attach(&token)).await.expect("attached");
        answers.push(outcome(soon(again.query()).await));
        assert!(matches!(
            soon(again.cancel()).await,
            Ok(Cancelled::Finished { .. })
        ));
        // And one that is thrown away.
        let (mut writer, token) = soon(way.start()).await.expect("started");
        assert_eq!(soon(writer.cancel()).await, Ok(Cancelled::Cancelled));
        let mut again = soon(way.attach(&token)).await.expect("attached");
        answers.push(outcome(soon(again.query()).await));
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
    let kinds: Vec<_> = seen[0].iter().map(|answer| answer.0).collect();
    assert_eq!(kinds[1], Some((Kind::Gap, Retry::Query)));
    assert_eq!(kinds[2], Some((Kind::BadAlignment, Retry::Never)));
    assert_eq!(kinds[4], Some((Kind::Unsettled, Retry::Query)));
    assert_eq!(kinds[7], Some((Kind::Incomplete, Retry::Query)));
    assert_eq!(kinds[8], Some((Kind::ChecksumMismatch, Retry::Restart)));
}

#[tokio::test]
async fn a_token_of_another_kind_is_refused() {
    let daemon = Daemon::start().await;
    for (name, mut way) in both(&daemon, &tcp(), "token") {
        let token = gcsd_client::Token::new("no token");
        let error = soon(way.attach(&token)).await.expect_err("refused");
        assert!(error.is(Kind::BadToken), "{name}: {error}");
        assert!(!error.to_string().contains("no token\n"));
    }
}

#[tokio::test]
async fn no_daemon_is_no_harm() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = unused.local_addr().expect("an address");
    drop(unused);
    let daemon = Daemon::start().await;
    let mut way = via_daemon(&[address], tcp(), new_object("x"));
    let error = soon(way.start()).await.expect_err("nobody listens");
    assert_eq!((error.name(), error.retry()), ("unreachable", Retry::Reconnect));
    let mut way = via_daemon(&[], tcp(), new_object("x"));
    let error = soon(way.start()).await.expect_err("nobody to ask");
    assert_eq!((error.name(), error.retry()), ("no_daemon", Retry::Never));
    // The next one is asked.
    let mut way = via_daemon(&[address, daemon.address], tcp(), new_object("x"));
    soon(way.start()).await.expect("started");
}

/// Where the bytes lay that went to the socket.
#[derive(Debug, Default)]
struct Addresses(Mutex<Vec<(usize, usize)>>);

impl Addresses {
    fn take(&self) -> Vec<(usize, usize)> {
        std::mem::take(&mut *self.0.lock().expect("no panic under the lock"))
    }
}

impl Listener for Addresses {
    fn wrote(&self, _connection: usize, bytes: &[u8]) {
        let mut seen = self.0.lock().expect("no panic under the lock");
        seen.push((bytes.as_ptr().addr(), bytes.len()));
    }
}

#[tokio::test]
async fn a_reliable_writer_sends_from_where_the_bytes_lie_again_and_again() {
    let daemon = Daemon::start().await;
    let bytes = Bytes::from(pattern(5 * K + 77));
    let input = bytes.as_ptr().addr()..bytes.as_ptr().addr() + bytes.len();
    let seen = Arc::new(Addresses::default());
    // The first connection breaks in the middle of the bytes: they are sent again.
    let faulty: SharedConnector = faulty("reset after write 700KiB on 0");
    let tap: SharedConnector = Arc::new(Tap::new(faulty, seen.clone()));
    for (name, way) in both(&daemon, &tap, "reliable") {
        let mut writer = ReliableWriter::start(way, &small_chunks()).expect("good options");
        for piece in pieces(&bytes, 100_000) {
            soon(writer.write_bytes(piece)).await.expect("room");
        }
        soon(writer.complete()).await.expect("recovered");
        assert_eq!(daemon.object(&name).await, bytes, "{name}");
        let (own, other): (Vec<_>, Vec<_>) = seen
            .take()
            .into_iter()
            .partition(|(at, len)| input.contains(at) && at + len <= input.end);
        let sent: usize = own.iter().map(|(_, len)| len).sum();
        assert!(
            sent >= bytes.len(),
            "{name}: {sent} bytes left from where they lay"
        );
        let heads: usize = other.iter().map(|(_, len)| len).sum();
        assert!(heads < 10_000, "{name}: {heads} bytes came from elsewhere");
    }
}

#[tokio::test]
async fn the_bytes_that_leave_have_the_addresses_of_those_that_came_in() {
    let daemon = Daemon::start().await;
    let bytes = Bytes::from(pattern(5 * K + 77));
    let input = bytes.as_ptr() as usize..bytes.as_ptr() as usize + bytes.len();
    // One piece, some large ones, many small ones.
    for len in [bytes.len(), 100_000, 700] {
        let seen = Arc::new(Addresses::default());
        let recorder: SharedConnector = Arc::new(Tap::new(tcp(), seen.clone()));
        for (name, mut way) in both(&daemon, &recorder, &format!("zero-copy-{len}")) {
            let (mut writer, _) = soon(way.start()).await.expect("started");
            seen.take();
            let body = Body::from(pieces(&bytes, len));
            soon(writer.write_at(0, body, Some(last(&bytes))))
                .await
                .expect("written");
            assert_eq!(daemon.object(&name).await, bytes, "{name}");
            let (own, other): (Vec<_>, Vec<_>) = seen
                .take()
                .into_iter()
                .partition(|(at, len)| input.contains(at) && at + len <= input.end);
            // Each byte of the input left once, in order, from where it lay; the rest is heads.
            let mut next = input.start;
            for (at, len) in own {
                assert_eq!(at, next, "{name}");
                next = at + len;
            }
            assert_eq!(next, input.end, "{name}");
            let heads: usize = other.iter().map(|(_, len)| len).sum();
            assert!(heads < 2000, "{name}: {heads} bytes came from elsewhere");
        }
    }
}
