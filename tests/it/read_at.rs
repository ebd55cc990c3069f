//! ReadAt and StatObject (proto-spec.md, sections of the same names).

use std::sync::Arc;

use devgcs::Snapshot;
use gcsd_net::TcpConnector;
use gcsd_types::Crc32c;
use gcsd_wire::read_at::{Args, Range, Reply as Read};
use gcsd_wire::{Kind, MAX_BODY_LEN, Reply, Request, Retry, stat_object};

use crate::support::daemon::{Client, Daemon, Options, PATIENCE, object_ref, pattern};
use crate::support::tap::{Came, Tap};
use crate::support::waiting::standstill;

fn read(object: &str, range: Range) -> Request {
    Request::ReadAt(Args {
        of: object_ref(object),
        range,
        decompress: false,
    })
}

/// Reads a range whole, and checks what the frames say of it.
async fn bytes(client: &mut Client, object: &str, range: Range) -> (u64, Vec<u8>) {
    let sequence = client.begin(0, &read(object, range), 0).await;
    let first = client.reply_to(sequence).await;
    let Reply::ReadAt(Read::Start(start)) = first.ok() else {
        panic!("{first:?}")
    };
    assert!(first.head.more() && first.body.is_empty());
    let mut all = Vec::new();
    loop {
        let frame = client.reply_to(sequence).await;
        match frame.ok() {
            Reply::ReadAt(Read::Piece) => {
                assert!(frame.head.more() && (1..=256 * 1024).contains(&frame.body.len()));
                all.extend(frame.body);
            }
            Reply::ReadAt(Read::End(end)) => {
                assert!(!frame.head.more() && frame.body.is_empty());
                assert_eq!((end.sent, end.crc32c), (all.len() as u64, Crc32c::of(&all)));
                assert_eq!(start.len, Some(all.len() as u64));
                return (start.offset, all);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn ranges_are_what_they_say() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let body = pattern(1_000_000);
    let name = "dir/with #?&+%2F ünicode/..";
    client.put(1, name, &body).await;
    client.put(1, "empty", b"").await;
    assert_eq!(bytes(&mut client, name, Range::From(0)).await, (0, body.clone()));
    assert_eq!(
        bytes(&mut client, name, Range::From(999_999)).await,
        (999_999, body[999_999..].to_vec())
    );
    assert_eq!(
        bytes(&mut client, name, Range::Of { offset: 0, len: 1 }).await,
        (0, body[..1].to_vec())
    );
    let middle = Range::Of {
        offset: 300_000,
        len: 300_001,
    };
    assert_eq!(
        bytes(&mut client, name, middle).await,
        (300_000, body[300_000..600_001].to_vec())
    );
    let beyond = Range::Of {
        offset: 999_990,
        len: 100,
    };
    assert_eq!(
        bytes(&mut client, name, beyond).await,
        (999_990, body[999_990..].to_vec())
    );
    assert_eq!(
        bytes(&mut client, name, Range::Suffix(7)).await,
        (999_993, body[999_993..].to_vec())
    );
    assert_eq!(
        bytes(&mut client, name, Range::Suffix(MAX_BODY_LEN)).await,
        (0, body.clone())
    );
    let (offset, len) = (MAX_BODY_LEN, 1);
    for beyond in [
        Range::Suffix(MAX_BODY_LEN + 1),
        Range::From(MAX_BODY_LEN + 1),
        Range::Of { offset, len },
    ] {
        let refused = client.call(0, read(name, beyond)).await;
        refused.fails(Kind::BadArgs, Retry::Never);
    }
    assert_eq!(bytes(&mut client, "empty", Range::From(0)).await, (0, vec![]));
    let outside = client.call(0, read(name, Range::From(1_000_000))).await;
    assert_eq!(outside.head.http_status, 416);
    outside.fails(Kind::RangeNotSatisfiable, Retry::Never);
    client
        .call(0, read("missing", Range::From(0)))
        .await
        .fails(Kind::NotFound, Retry::Never);
    client.lives().await;
}

#[tokio::test]
async fn a_slow_reader_stalls_gcs_and_not_memory() {
    let came = Arc::new(Came::default());
    let daemon = Daemon::with(Options {
        connector: Arc::new(Tap::new(Arc::new(TcpConnector), came.clone())),
        ..Options::default()
    })
    .await;
    let mut client = daemon.connect().await;
    let body = pattern(32 << 20);
    client.put(1, "large", &body).await;
    client.begin(0, &read("large", Range::From(0)), 0).await;
    let answered = |seen: &Snapshot| seen.calls.last().is_some_and(|call| call.status == Some(200));
    assert!(daemon.devgcs.wait_for(PATIENCE, answered).await);
    // Some MiB fit into the sockets' buffers.
    let taken = standstill(|| came.bytes()).await;
    assert!(
        taken < 24 << 20,
        "the daemon took {taken} bytes for a client that reads none"
    );
    // Everything still comes, and is right.
    let mut all = Vec::new();
    loop {
        let frame = client.frame().await.expect("a frame");
        match frame.ok() {
            Reply::ReadAt(Read::End(end)) => {
                assert_eq!(end.crc32c, Crc32c::of(&body));
                break;
            }
            _ => all.extend(frame.body),
        }
    }
    assert!(all == body);
}

#[tokio::test]
async fn stat_tells_fields_and_json() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.put(1, "it", b"hello world").await;
    let stat = |change: &dyn Fn(&mut stat_object::Args)| {
        let mut args = stat_object::Args { of: object_ref("it") };
        change(&mut args);
        Request::StatObject(args)
    };
    let frame = client.call(0, stat(&|_| ())).await;
    let Reply::StatObject(reply) = frame.ok() else {
        panic!("{frame:?}")
    };
    assert_eq!(reply.object.size, 11);
    assert_eq!(reply.object.crc32c, Some(Crc32c::of(b"hello world")));
    assert!(reply.object.md5.is_some() && reply.object.generation > 0 && reply.object.metageneration == 1);
    let json: serde_json::Value = serde_json::from_slice(&frame.body).expect("JSON");
    assert_eq!(json["size"], "11");
    let generation = reply.object.generation;
    client
        .call(0, stat(&|args| args.of.generation = Some(generation)))
        .await
        .ok();
    client
        .call(0, stat(&|args| args.of.generation = Some(7)))
        .await
        .fails(Kind::NotFound, Retry::Never);
    let other = client
        .call(
            0,
            stat(&|args| args.of.preconditions.if_generation_match = Some(7)),
        )
        .await;
    assert_eq!(other.head.http_status, 412);
    other.fails(Kind::PreconditionFailed, Retry::Never);
}
