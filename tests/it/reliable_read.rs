//! Reads that go on where they broke, through a daemon, with faults at both hops.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use gcsd_client::{
    Address, Daemons, Options as ClientOptions, ReadError, ReadRequest, ReliableReader, Report,
};
use gcsd_fault::{FaultyConnector, Plan};
use gcsd_net::SharedConnector;
use gcsd_types::{ByteRange as Range, Crc32c, ObjectInfo};
use gcsd_wire::head::MORE;
use gcsd_wire::read_at::{End, Reply, Start};
use gcsd_wire::{self, Kind, Retry, Status};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::daemon::{BUCKET, Daemon, Options, PATIENCE, object_ref, pattern};
use crate::support::devgcs::{Session, upload};
use crate::support::scripted;
use crate::support::uploads::{retries, tcp};

fn faulty(plan: &str) -> Arc<FaultyConnector> {
    let plan: Plan = plan.parse().expect("a plan");
    Arc::new(FaultyConnector::new(tcp(), plan))
}

fn daemons(addresses: &[SocketAddr], connector: SharedConnector) -> Daemons {
    let addresses = addresses.iter().copied().map(Address::from);
    Daemons::new(connector, addresses.collect(), ClientOptions::default())
}

/// A daemon whose GCS fails by `plan`, and whose connections to it by `hop`.
async fn failing(plan: &str, hop: &str) -> Daemon {
    let devgcs = devgcs::Server::builder().bucket(BUCKET).faults(plan);
    Daemon::with(Options {
        devgcs,
        connector: faulty(hop),
        ..Options::default()
    })
    .await
}

fn request(name: &str, range: Range) -> ReadRequest {
    ReadRequest::new(object_ref(name)).with_range(range)
}

/// Reads to the end, and says what came of it and what it took.
async fn read(daemons: Daemons, request: ReadRequest) -> (Vec<u8>, Result<(), ReadError>, Report) {
    let reports = watch::Sender::default();
    let mut reader = ReliableReader::new(daemons, request, &retries()).reporting(reports.clone());
    let mut bytes = Vec::new();
    let result = timeout(PATIENCE, async {
        loop {
            match reader.next().await {
                Ok(Some(piece)) => bytes.extend_from_slice(&piece),
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    });
    let result = result.await.expect("in time");
    assert_eq!(reader.received(), bytes.len() as u64);
    assert_eq!(reader.crc32c(), Crc32c::of(&bytes));
    let report = reports.borrow().clone();
    (bytes, result, report)
}

/// Faults of the connections to the daemon.
const TO_DAEMON: [&str; 12] = [
    "refuse on 0..4",
    "reset before write 0 on 0",
    "reset in write 40 on 0",
    "close before read 0 on 0",
    "reset in read 10 on 0",
    "close after read 60 on 0",
    "reset in read 100 on 0; reset in read 100 on 1",
    "reset in read 300KiB on 0",
    "close in read 1MiB on 0; reset in read 1MiB on 1",
    "reset in read 200KiB on 0..9",
    "reset in read 0.5/MiB on 0..6; seed 3",
    "short read 1100",
];

/// What GCS does.
const AT_GCS: [&str; 8] = [
    "return-503 on read call 0..3",
    "return-429 on read call 0",
    "return-reset-connection on read call 0",
    "return-broken-stream on read call 0",
    "return-broken-stream-after-512K on read call 0..3",
    "return-reset-connection-after-1024K on read call 0",
    "close-connection-after-256K on read call 0..5",
    "seed 11; return-reset-connection-after-some on read p 0.5",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_all_bytes_come_in_their_order() {
    let bytes = pattern(2_500_007);
    let len = bytes.len() as u64;
    let ranges = [
        (Range::From(0), 0..bytes.len()),
        (Range::From(1_000_000), 1_000_000..bytes.len()),
        (
            Range::Of {
                offset: 7,
                len: 2_000_000,
            },
            7..2_000_007,
        ),
        (Range::Suffix(1_700_001), bytes.len() - 1_700_001..bytes.len()),
        (Range::Suffix(len * 2), 0..bytes.len()),
    ];
    // Every fault of each hop alone, then pairs of them at both hops at once.
    let alone = TO_DAEMON.iter().map(|plan| (*plan, "off", "off"));
    let alone = alone.chain(AT_GCS.iter().map(|plan| ("off", "off", *plan)));
    let hop = TO_DAEMON.iter().map(|plan| ("off", *plan, "off"));
    let both = TO_DAEMON
        .iter()
        .zip(TO_DAEMON.iter().rev())
        .zip(AT_GCS.iter().cycle());
    let both = both.map(|((first, second), gcs)| (*first, *second, *gcs));
    for (number, (first, second, gcs)) in alone.chain(hop).chain(both).enumerate() {
        for (range, expected) in ranges.iter().cycle().skip(number).take(2) {
            let daemon = failing(gcs, second).await;
            upload(&daemon.devgcs, "object", &bytes).await;
            let daemons = daemons(&[daemon.address], faulty(first));
            let (came, result, report) = read(daemons, request("object", *range)).await;
            let case = format!("{first} | {second} | {gcs} | {range:?}: {report:?}");
            assert_eq!(result, Ok(()), "{case}");
            assert!(came == bytes[expected.clone()], "{case}");
        }
    }
}

#[tokio::test]
async fn small_objects_and_empty_ones() {
    for len in [0, 1, 262_144] {
        for plan in [
            "off",
            "reset in read 100 on 0",
            "reset before read 170 on 0",
            "close after read 172 on 0",
        ] {
            let daemon = Daemon::start().await;
            let bytes = pattern(len);
            upload(&daemon.devgcs, "object", &bytes).await;
            let daemons = daemons(&[daemon.address], faulty(plan));
            let (came, result, _) = read(daemons, request("object", Range::From(0))).await;
            assert_eq!((result, came == bytes), (Ok(()), true), "{len}: {plan}");
        }
    }
}

#[tokio::test]
async fn a_read_never_mixes_two_generations() {
    let daemon = failing("return-broken-stream-after-512K on read call 0", "off").await;
    upload(&daemon.devgcs, "object", &pattern(4 << 20)).await;
    let daemons = daemons(&[daemon.address], tcp());
    let mut reader = ReliableReader::new(daemons, request("object", Range::From(0)), &retries());
    let generation = reader.start().await.expect("it is there").object.generation;
    upload(&daemon.devgcs, "object", &pattern(5 << 20)).await;
    let error = loop {
        match reader.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("all of it came"),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, ReadError::Gone { generation: gone, .. } if gone == generation),
        "{error}"
    );
    assert_eq!(reader.received(), 512 << 10);
    assert_eq!(reader.next().await, Err(error), "an error stays");
}

#[tokio::test]
async fn what_is_stored_compressed_comes_as_it_is_or_cannot_go_on() {
    let plain = pattern(1 << 20);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(&plain).expect("compressed");
    let packed = encoder.finish().expect("compressed");
    let plan = "return-broken-stream-after-512K on read call 0; \
                return-broken-stream-after-512K on read call 2";
    let daemon = failing(plan, "off").await;
    let session = Session::start_with(&daemon.devgcs, "gz", "", &[], r#"{"contentEncoding": "gzip"}"#);
    assert_eq!(session.await.put(None, &packed).await.status, 200);
    let daemons = daemons(&[daemon.address], tcp());
    let stored = request("gz", Range::From(0));
    let (came, result, report) = read(daemons.clone(), stored.clone()).await;
    assert_eq!((result, came == packed, report.recovered()), (Ok(()), true, 1));
    let inflated = stored.with_decompress(true);
    let (came, result, _) = read(daemons.clone(), inflated.clone()).await;
    assert!(
        matches!(result, Err(ReadError::CannotResume { .. })),
        "{result:?}"
    );
    assert!(came == plain[..came.len()]);
    // Nothing breaks any more.
    let (came, result, _) = read(daemons, inflated).await;
    assert_eq!((result, came == plain), (Ok(()), true));
}

#[tokio::test]
async fn damage_is_noticed_and_never_called_a_success() {
    let bytes = pattern(1 << 20);
    // On the way to the client, on the way to the daemon, and at GCS.
    for (to_daemon, to_gcs, gcs) in [
        ("flip read 500000 on 0", "off", "off"),
        ("off", "flip read 500000 on 0", "off"),
        ("off", "off", "return-corrupted-data on read call 0"),
        ("flip read 300000 on 0; reset in read 700000 on 0", "off", "off"),
    ] {
        let daemon = failing(gcs, to_gcs).await;
        upload(&daemon.devgcs, "object", &bytes).await;
        let daemons = daemons(&[daemon.address], faulty(to_daemon));
        let (_, result, report) = read(daemons, request("object", Range::From(0))).await;
        assert!(
            matches!(result, Err(ReadError::Damaged { .. })),
            "{to_daemon}, {to_gcs}, {gcs}: {result:?} {report:?}"
        );
    }
}

#[tokio::test]
async fn the_next_daemon_goes_on_where_one_stops() {
    let mut first = Daemon::with(Options {
        grace: std::time::Duration::ZERO,
        ..Options::default()
    })
    .await;
    let second = Daemon::with(Options {
        endpoint: Some(first.devgcs.endpoint()),
        ..Options::default()
    })
    .await;
    let bytes = pattern(32 << 20);
    upload(&first.devgcs, "object", &bytes).await;
    let daemons = daemons(&[first.address, second.address], tcp());
    let reports = watch::Sender::default();
    let mut reader = ReliableReader::new(daemons, request("object", Range::From(0)), &retries())
        .reporting(reports.clone());
    let mut came = reader.next().await.expect("bytes").expect("bytes").to_vec();
    // It has far more to send than fits on the way.
    first.stop();
    while let Some(piece) = timeout(PATIENCE, reader.next())
        .await
        .expect("in time")
        .expect("bytes")
    {
        came.extend_from_slice(&piece);
    }
    assert!(came == bytes);
    assert!(reports.borrow().recovered() > 0);
}

#[tokio::test]
async fn who_cannot_be_helped_is_told_at_once() {
    let daemon = Daemon::start().await;
    let daemons = daemons(&[daemon.address], tcp());
    let (_, result, _) = read(daemons.clone(), request("missing", Range::From(0))).await;
    let error = result.expect_err("it is not there");
    let name = error.request().map(|request| request.name());
    assert_eq!(
        (name, error.to_string().contains("gave up")),
        (Some("not_found"), false)
    );
    upload(&daemon.devgcs, "object", b"0123").await;
    let (_, result, _) = read(daemons, request("object", Range::From(4))).await;
    let error = result.expect_err("beyond the end");
    assert_eq!(
        error.request().map(|request| request.name()),
        Some("range_not_satisfiable")
    );
}

/// Even if the old connection is still open.
#[tokio::test]
async fn a_failure_that_asks_for_another_connection_gets_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let reading = tokio::spawn(read(
        daemons(&[address], tcp()),
        request("object", Range::From(0)),
    ));
    let script = async {
        let mut first = scripted::Daemon::accept(&listener).await;
        let (head, _) = first.request().await;
        let draining = Status::new(Kind::Draining, Retry::Reconnect);
        first.error(&head, 0, draining, None).await;
        let mut second = scripted::Daemon::accept(&listener).await;
        let (head, _) = second.request().await;
        let start = Start {
            object: ObjectInfo::default(),
            offset: 0,
            len: Some(0),
        };
        let end = End {
            sent: 0,
            crc32c: Crc32c::default(),
        };
        let reply = |reply| gcsd_wire::Reply::ReadAt(reply);
        second
            .reply(head.sequence, MORE, reply(Reply::Start(start)), b"")
            .await;
        second.reply(head.sequence, 0, reply(Reply::End(end)), b"").await;
        (first, second)
    };
    let _open = timeout(PATIENCE, script).await.expect("another connection");
    let (bytes, result, report) = reading.await.expect("no panic");
    assert_eq!((bytes.len(), result, report.reconnects), (0, Ok(()), 1));
}
