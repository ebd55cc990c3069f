//! ReliableWriter over real sockets, through a daemon and straight to devgcs.

use std::sync::Arc;

use bytes::Bytes;
use devgcs::{CallKind, SessionPhase};
use gcsd_client::{
    Aborted, Checkpoint, Error, FileSource, OpenUpload, ReliableUpload, ReliableWriter, Report, UploadError,
};
use gcsd_fault::{FaultyConnector, Plan};
use gcsd_net::SharedConnector;
use gcsd_types::{Crc32c, ObjectInfo};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::support::daemon::{BUCKET, Daemon, Options, PATIENCE, pattern};
use crate::support::uploads::{Way, direct, new_object, retries, small_chunks, tcp, via_daemon};

const K: usize = 256 * 1024;

const SIZES: [usize; 8] = [0, 1, K - 1, K, K + 1, 2 * K, 3 * K + 7, 5 << 20];

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

fn through(daemon: &Daemon, connector: SharedConnector, name: &str) -> Way {
    Way::Daemon(via_daemon(&[daemon.address], connector, new_object(name)))
}

fn straight(daemon: &Daemon, connector: SharedConnector, name: &str) -> Way {
    Way::Direct(direct(&daemon.devgcs, connector, new_object(name)))
}

/// A connector under a plan in text.
fn faulty(plan: &str) -> Arc<FaultyConnector> {
    let plan: Plan = plan.parse().expect("a plan");
    Arc::new(FaultyConnector::new(tcp(), plan))
}

/// Writes `bytes` from memory, and says what it took.
async fn write(open: impl OpenUpload, bytes: &Bytes) -> (Result<ObjectInfo, UploadError>, Report) {
    let mut writer = ReliableWriter::start(open, &small_chunks()).expect("good options");
    let reports = writer.reports();
    let work = async {
        for piece in 0..bytes.len().div_ceil(100_000) {
            let end = bytes.len().min((piece + 1) * 100_000);
            writer.write_bytes(bytes.slice(piece * 100_000..end)).await?;
        }
        writer.complete().await
    };
    let result = soon(work).await;
    let report = reports.borrow().clone();
    (result, report)
}

/// Uploads `bytes` as what can be read again.
async fn reread(open: impl OpenUpload, bytes: &Bytes) -> (Result<ObjectInfo, UploadError>, Report) {
    let upload = ReliableUpload::start(open, bytes.clone(), retries());
    let reports = upload.reports();
    let result = soon(upload.complete()).await;
    let report = reports.borrow().clone();
    (result, report)
}

/// The object is there, is `bytes`, and nothing is left over.
async fn check(daemon: &Daemon, name: &str, bytes: &Bytes, result: Result<ObjectInfo, UploadError>) {
    let object = result.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(object.crc32c, Some(Crc32c::of(bytes)), "{name}");
    assert!(daemon.object(name).await == bytes[..], "{name}: other bytes");
    let stored = daemon.devgcs.object(BUCKET, name).expect("it is there");
    assert_eq!(stored.generation, object.generation, "{name}");
    let session = daemon.devgcs.inspect().session(name).cloned().expect("a session");
    assert_eq!(session.phase, SessionPhase::Finished, "{name}");
}

#[tokio::test]
async fn every_size_both_ways() {
    let daemon = Daemon::start().await;
    for size in SIZES {
        let bytes = Bytes::from(pattern(size));
        for (name, way) in [
            (
                format!("daemon-{size}"),
                through(&daemon, tcp(), &format!("daemon-{size}")),
            ),
            (
                format!("direct-{size}"),
                straight(&daemon, tcp(), &format!("direct-{size}")),
            ),
        ] {
            let (result, report) = write(way.clone(), &bytes).await;
            check(&daemon, &name, &bytes, result).await;
            assert_eq!(report.recovered(), 0, "{name}: {report:?}");
            let (result, report) = reread(way, &bytes).await;
            check(&daemon, &name, &bytes, result).await;
            assert_eq!(report.recovered(), 0, "{name}: {report:?}");
        }
    }
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
}

#[tokio::test]
async fn a_file_goes_up_in_one_giant_request_and_a_small_one() {
    let daemon = Daemon::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = Bytes::from(pattern(9 << 20));
    let path = folder.path().join("file");
    std::fs::write(&path, &bytes).expect("written");
    let file = FileSource::new(std::fs::File::open(&path).expect("open")).expect("a file");
    let upload = ReliableUpload::start(through(&daemon, tcp(), "file"), file, retries());
    check(&daemon, "file", &bytes, soon(upload.complete()).await).await;
    let inspect = daemon.devgcs.inspect();
    assert_eq!(inspect.count(CallKind::StartUpload), 1);
    assert_eq!(inspect.count(CallKind::WriteUpload), 2);
    assert_eq!(inspect.calls[1].body_bytes, bytes.len() as u64 - K as u64);
    // A pipe is not a source that can be read again.
    let folder = std::fs::File::open(folder.path()).expect("a folder");
    assert!(FileSource::new(folder).is_err());
}

#[tokio::test]
async fn a_file_that_shrinks_is_an_error_and_no_object() {
    let daemon = Daemon::start().await;
    for (name, way) in [
        ("daemon", through(&daemon, tcp(), "daemon")),
        ("direct", straight(&daemon, tcp(), "direct")),
    ] {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(3 << 20).expect("sized");
        let source = FileSource::new(file.try_clone().expect("the same")).expect("a file");
        file.set_len(1 << 20).expect("cut");
        let upload = ReliableUpload::start(way, source, retries());
        let error = soon(upload.complete()).await.expect_err("bytes are missing");
        assert!(matches!(error, UploadError::Changed(_)), "{name}: {error}");
        assert!(!daemon.has_object(name));
    }
}

/// Faults of the connections that are dialed. Connection 0 carries the first of it.
const PLANS: [&str; 16] = [
    "refuse on 0",
    "refuse on 0..4",
    "reset before write 0 on 0",
    "reset after write 40 on 0",
    "reset in write 200KiB on 0",
    "reset after write 300KiB on 0",
    "reset before write 1MiB on 0",
    "close after write 700KiB on 0",
    "reset before read 0 on 0",
    "close in read 0 on 0",
    "reset after read 10 on 0",
    "close after read 200 on 0",
    "reset in read 300 on 0",
    "close before read 400 on 0; reset before read 0 on 1",
    "reset in write 0.5/MiB on 0..6; seed 3",
    "short write 7000; short read 11",
];

#[tokio::test]
async fn broken_connections_to_the_daemon_are_recovered_from() {
    let daemon = Daemon::start().await;
    let bytes = Bytes::from(pattern((1 << 20) + 3 * K + 9));
    for (at, plan) in PLANS.into_iter().enumerate() {
        let name = format!("writer-{at}");
        let connector = faulty(plan);
        let (result, report) = write(through(&daemon, connector.clone(), &name), &bytes).await;
        eprintln!(
            "{plan}: {} failures, {} connections",
            report.recovered(),
            connector.connections()
        );
        check(&daemon, &name, &bytes, result).await;
        let name = format!("source-{at}");
        let (result, _) = reread(through(&daemon, faulty(plan), &name), &bytes).await;
        check(&daemon, &name, &bytes, result).await;
    }
}

#[tokio::test]
async fn broken_connections_to_gcs_are_recovered_from() {
    let daemon = Daemon::start().await;
    let bytes = Bytes::from(pattern((1 << 20) + 3 * K + 9));
    for (at, plan) in PLANS.into_iter().enumerate() {
        let name = format!("writer-{at}");
        let (result, report) = write(straight(&daemon, faulty(plan), &name), &bytes).await;
        eprintln!("{plan}: {} failures", report.recovered());
        check(&daemon, &name, &bytes, result).await;
        let name = format!("source-{at}");
        let (result, _) = reread(straight(&daemon, faulty(plan), &name), &bytes).await;
        check(&daemon, &name, &bytes, result).await;
    }
}

#[tokio::test]
async fn a_damaged_byte_never_becomes_an_object() {
    let daemon = Daemon::start().await;
    let bytes = Bytes::from(pattern(3 * K));
    for at in ["1000", "100KiB", "300KiB", "600KiB"] {
        let plan = format!("flip write {at} on 0");
        for (hop, way) in [
            ("daemon", through(&daemon, faulty(&plan), &format!("daemon-{at}"))),
            (
                "direct",
                straight(&daemon, faulty(&plan), &format!("direct-{at}")),
            ),
        ] {
            let name = format!("{hop}-{at}");
            let (result, report) = reread(way, &bytes).await;
            check(&daemon, &name, &bytes, result).await;
            assert_eq!(report.restarts, 1, "{name}: {report:?}");
        }
    }
}

#[tokio::test]
async fn the_next_daemon_takes_over_in_the_middle_of_an_upload() {
    let mut first = Daemon::start().await;
    let second = Daemon::with(Options {
        endpoint: Some(first.devgcs.endpoint()),
        ..Options::default()
    })
    .await;
    let bytes = Bytes::from(pattern(4 << 20));
    let addresses = [first.address, second.address];
    let open = via_daemon(&addresses, tcp(), new_object("moved"));
    let mut writer = ReliableWriter::start(open, &small_chunks()).expect("good options");
    let mut reports = writer.reports();
    soon(writer.write_bytes(bytes.slice(..2 << 20)))
        .await
        .expect("room");
    soon(reports.wait_for(|report| report.committed > 0))
        .await
        .expect("it goes on");
    first.stop();
    soon(writer.write_bytes(bytes.slice(2 << 20..)))
        .await
        .expect("room");
    let result = soon(writer.complete()).await;
    let report = reports.borrow().clone();
    assert!(report.reconnects >= 1, "{report:?}");
    check(&first, "moved", &bytes, result).await;
}

#[tokio::test]
async fn another_process_goes_on_through_another_daemon() {
    let first = Daemon::start().await;
    let second = Daemon::with(Options {
        endpoint: Some(first.devgcs.endpoint()),
        ..Options::default()
    })
    .await;
    let bytes = Bytes::from(pattern(3 << 20));
    let mut writer =
        ReliableWriter::start(through(&first, tcp(), "resumed"), &small_chunks()).expect("good options");
    let token = soon(writer.token()).await.expect("started");
    let mut reports = writer.reports();
    soon(writer.write_bytes(bytes.slice(..1 << 20)))
        .await
        .expect("room");
    soon(reports.wait_for(|report| report.committed >= 2 * K as u64))
        .await
        .expect("it goes on");
    let checkpoint = reports.borrow().checkpoint.clone().expect("it has started");
    assert_eq!(checkpoint.token, token);
    drop(writer);

    // With the bytes behind the checkpoint, and with all of them.
    let from = usize::try_from(checkpoint.offset).expect("small");
    let mut writer = ReliableWriter::resume(through(&second, tcp(), "resumed"), checkpoint, &small_chunks())
        .expect("good options");
    soon(writer.write_bytes(bytes.slice(from..))).await.expect("room");
    check(&first, "resumed", &bytes, soon(writer.complete()).await).await;
    let start = Checkpoint::from(token);
    let upload = ReliableUpload::resume(
        through(&second, tcp(), "resumed"),
        bytes.clone(),
        start,
        retries(),
    );
    check(&first, "resumed", &bytes, soon(upload.complete()).await).await;
    assert_eq!(first.devgcs.inspect().sessions.len(), 1);
}

#[tokio::test]
async fn an_abort_ends_the_session_in_the_middle_of_a_body() {
    let daemon = Daemon::start().await;
    for (name, way) in [
        ("daemon", through(&daemon, tcp(), "daemon")),
        ("direct", straight(&daemon, tcp(), "direct")),
    ] {
        let writer = ReliableWriter::start(way, &small_chunks());
        let mut writer = writer.expect("good options");
        soon(writer.token()).await.expect("started");
        daemon.devgcs.pause_bodies(true);
        soon(writer.write_bytes(Bytes::from(pattern(2 * K))))
            .await
            .expect("room");
        let writing = |inspect: &devgcs::Snapshot| inspect.session(name).is_some_and(|s| s.writing > 0);
        assert!(daemon.devgcs.wait_for(PATIENCE, writing).await, "{name}");
        assert_eq!(soon(writer.abort()).await, Aborted::Cancelled, "{name}");
        daemon.devgcs.pause_bodies(false);
        let session = daemon.devgcs.inspect().session(name).cloned().expect("a session");
        assert_eq!(session.phase, SessionPhase::Ended(499), "{name}");
        assert!(!daemon.has_object(name));
    }
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
}

#[tokio::test]
async fn an_abort_after_the_end_names_the_generation() {
    let daemon = Daemon::start().await;
    for (name, way) in [
        ("daemon", through(&daemon, tcp(), "daemon")),
        ("direct", straight(&daemon, tcp(), "direct")),
    ] {
        let mut writer = ReliableWriter::start(way, &small_chunks()).expect("good options");
        soon(writer.write_all(b"here")).await.expect("room");
        soon(writer.shutdown()).await.expect("no faults");
        let generation = daemon
            .devgcs
            .object(BUCKET, name)
            .expect("it is there")
            .generation;
        let aborted = soon(writer.abort()).await;
        assert_eq!(aborted, Aborted::AlreadyFinished { generation }, "{name}");
    }
}

#[tokio::test]
async fn a_drop_cuts_the_request_and_finishes_nothing() {
    let daemon = Daemon::start().await;
    for (name, way) in [
        ("daemon", through(&daemon, tcp(), "daemon")),
        ("direct", straight(&daemon, tcp(), "direct")),
    ] {
        let mut writer = ReliableWriter::start(way, &small_chunks()).expect("good options");
        soon(writer.token()).await.expect("started");
        daemon.devgcs.pause_bodies(true);
        soon(writer.write_bytes(Bytes::from(pattern(2 * K))))
            .await
            .expect("room");
        let writing = |inspect: &devgcs::Snapshot| inspect.session(name).is_some_and(|s| s.writing > 0);
        assert!(daemon.devgcs.wait_for(PATIENCE, writing).await, "{name}");
        drop(writer);
        daemon.devgcs.pause_bodies(false);
        let still = |inspect: &devgcs::Snapshot| inspect.session(name).is_some_and(|s| s.writing == 0);
        assert!(
            daemon.devgcs.wait_for(PATIENCE, still).await,
            "{name}: it goes on"
        );
        let session = daemon.devgcs.inspect().session(name).cloned().expect("a session");
        assert_eq!(session.phase, SessionPhase::Open, "{name}");
        assert!(!daemon.has_object(name));
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason() {
    let daemon = Daemon::start().await;
    let mut object = new_object("refused");
    object.destination.preconditions.if_generation_match = Some(12345);
    let open = via_daemon(&[daemon.address], tcp(), object);
    let (result, _) = write(open, &Bytes::from_static(b"x")).await;
    let error = result.expect_err("there is no such generation");
    let Some(Error::Status(status)) = error.request() else {
        panic!("no request was refused: {error}");
    };
    assert_eq!(
        (status.status.name(), status.http_status),
        ("precondition_failed", 412)
    );
    assert!(error.to_string().starts_with("precondition_failed"), "{error}");
}
