//! ReadAt on the client's connection, against a scripted daemon.

use std::time::Duration;

use bytes::Bytes;
use gcsd_client::{Connection, Error, ObjectReader, Options};
use gcsd_types::{BucketName, Crc32c, ObjectInfo, ObjectName, ObjectRef};
use gcsd_wire::head::MORE;
use gcsd_wire::read_at::{Args, End, Range, Reply, Start};
use gcsd_wire::{self, Kind, Retry, Status, ping};

use crate::support::scripted::{Daemon, bytes, pair, pair_in_memory};

fn args() -> Args {
    Args {
        of: ObjectRef::new(
            BucketName::new("bucket").expect("a name"),
            ObjectName::new("object").expect("a name"),
        ),
        range: Range::From(0),
        decompress: false,
    }
}

fn start(len: Option<u64>) -> gcsd_wire::Reply {
    gcsd_wire::Reply::ReadAt(Reply::Start(Start {
        object: ObjectInfo::default(),
        offset: 0,
        len,
    }))
}

fn piece() -> gcsd_wire::Reply {
    gcsd_wire::Reply::ReadAt(Reply::Piece)
}

fn end(sent: u64, crc32c: Crc32c) -> gcsd_wire::Reply {
    gcsd_wire::Reply::ReadAt(Reply::End(End { sent, crc32c }))
}

/// Begins a read of which the daemon says `len`.
async fn begin(connection: &Connection, daemon: &mut Daemon, len: Option<u64>) -> (ObjectReader, u64) {
    let script = async {
        let (head, _) = daemon.request().await;
        daemon.reply(head.sequence, MORE, start(len), b"").await;
        head.sequence
    };
    let args = args();
    let (reader, sequence) = tokio::join!(connection.read_at(&args), script);
    (reader.expect("a start"), sequence)
}

/// What comes until the end or an error.
async fn all(reader: &mut ObjectReader) -> (Vec<u8>, Result<(), Error>) {
    let mut got = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(bytes)) => got.extend_from_slice(&bytes),
            Ok(None) => return (got, Ok(())),
            Err(error) => return (got, Err(error)),
        }
    }
}

#[tokio::test]
async fn pieces_come_in_order_between_other_replies() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let whole = bytes(700_000);
    let (mut reader, sequence) = begin(&connection, &mut daemon, Some(700_000)).await;
    assert_eq!(reader.start().len, Some(700_000));
    let script = async {
        let (other, _) = daemon.request().await;
        let (first, second) = whole.split_at(262_144);
        daemon.reply(sequence, MORE, piece(), first).await;
        let echo = gcsd_wire::Reply::Ping(ping::Args::default());
        daemon.reply(other.sequence, 0, echo, b"").await;
        for part in second.chunks(262_144) {
            daemon.reply(sequence, MORE, piece(), part).await;
        }
        daemon
            .reply(sequence, 0, end(700_000, Crc32c::of(&whole)), b"")
            .await;
    };
    let ((got, result), pong, ()) = tokio::join!(all(&mut reader), connection.ping(Bytes::new()), script);
    result.expect("a whole read");
    assert!(got == whole);
    assert!(pong.is_ok());
    assert_eq!(reader.end().map(|end| end.sent), Some(700_000));
    assert_eq!(reader.crc32c(), Crc32c::of(&whole));
    assert!(matches!(reader.next().await, Ok(None)));
}

#[tokio::test]
async fn a_read_of_nothing_ends_well() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    for len in [Some(0), None] {
        let (mut reader, sequence) = begin(&connection, &mut daemon, len).await;
        daemon.reply(sequence, 0, end(0, Crc32c::default()), b"").await;
        let (got, result) = all(&mut reader).await;
        assert!(got.is_empty() && result.is_ok());
    }
}

#[tokio::test]
async fn damaged_bytes_are_noticed() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let (mut reader, sequence) = begin(&connection, &mut daemon, Some(5)).await;
    daemon.reply(sequence, MORE, piece(), b"hullo").await;
    daemon.reply(sequence, 0, end(5, Crc32c::of(b"hello")), b"").await;
    let (got, result) = all(&mut reader).await;
    assert_eq!(got, b"hullo");
    assert!(matches!(result, Err(Error::Damaged { .. })));
    assert!(
        matches!(reader.next().await, Err(Error::Damaged { .. })),
        "the error stays"
    );
    assert!(connection.reason().is_none(), "the connection is not to blame");
}

#[tokio::test]
async fn an_error_can_come_before_and_after_the_first_bytes() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let missing = Status::new(Kind::NotFound, Retry::Never);
    let script = async {
        let (head, _) = daemon.request().await;
        daemon.error(&head, 0, missing, None).await;
        head
    };
    let request = args();
    let (result, mut head) = tokio::join!(connection.read_at(&request), script);
    assert_eq!(result.expect_err("missing").status(), Some(missing));

    let (mut reader, sequence) = begin(&connection, &mut daemon, Some(10)).await;
    head.sequence = sequence;
    let reset = Status::new(Kind::Reset, Retry::Same);
    daemon.reply(sequence, MORE, piece(), b"hello").await;
    daemon.error(&head, 0, reset, None).await;
    let (got, result) = all(&mut reader).await;
    assert_eq!(got, b"hello");
    assert_eq!(result.expect_err("reset").status(), Some(reset));
    assert!(connection.reason().is_none());
}

#[tokio::test]
async fn frames_out_of_place_end_the_connection() {
    let crc = Crc32c::of(b"hello");
    type Frames = Vec<(u16, gcsd_wire::Reply, &'static [u8])>;
    let scripts: Vec<(&str, Frames)> = vec![
        ("a second start", vec![(MORE, start(Some(5)), b"")]),
        (
            "an end without the bytes",
            vec![(0, end(0, Crc32c::default()), b"")],
        ),
        (
            "an end that miscounts",
            vec![(MORE, piece(), b"hello"), (0, end(6, crc), b"")],
        ),
        (
            "an end with more",
            vec![(MORE, piece(), b"hello"), (MORE, end(5, crc), b"")],
        ),
        (
            "an end with a body",
            vec![(MORE, piece(), b"hello"), (0, end(5, crc), b"x")],
        ),
        ("an empty piece", vec![(MORE, piece(), b"")]),
        ("a last piece", vec![(0, piece(), b"hello")]),
        ("too many bytes", vec![(MORE, piece(), b"hello!")]),
        ("the end of the stream", vec![(MORE, piece(), b"hell")]),
    ];
    for (name, frames) in scripts {
        let (connection, mut daemon) = pair(&Options::default()).await;
        let (mut reader, sequence) = begin(&connection, &mut daemon, Some(5)).await;
        for (flags, reply, body) in frames {
            daemon.reply(sequence, flags, reply, body).await;
        }
        drop(daemon);
        let (_, result) = all(&mut reader).await;
        assert!(matches!(result, Err(Error::Connection(_))), "{name}: {result:?}");
    }
    // Bytes before the start.
    let (connection, mut daemon) = pair(&Options::default()).await;
    let script = async {
        let (head, _) = daemon.request().await;
        daemon.reply(head.sequence, MORE, piece(), b"hello").await;
    };
    let request = args();
    let (result, ()) = tokio::join!(connection.read_at(&request), script);
    assert!(matches!(result, Err(Error::Connection(_))), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_stalls_the_daemon() {
    // Its slowness is not the daemon's stall.
    let options = Options::default().with_stall(Duration::from_millis(100));
    let (connection, mut daemon) = pair_in_memory(&options);
    let total = 64_u64 << 20;
    let (mut reader, sequence) = begin(&connection, &mut daemon, Some(total)).await;
    let part = bytes(262_144);
    let sent = std::sync::atomic::AtomicU64::new(0);
    let sending = async {
        for _ in 0..256 {
            daemon.reply(sequence, MORE, piece(), &part).await;
            sent.fetch_add(part.len() as u64, std::sync::atomic::Ordering::Relaxed);
        }
        let crc = Crc32c::of(&part.repeat(256));
        daemon.reply(sequence, 0, end(total, crc), b"").await;
    };
    let reading = async {
        // The paused clock goes on when nothing moves any more.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
        // The client holds about one MiB.
        assert!(
            sent <= 2 << 20,
            "{sent} bytes were taken from the daemon, and none by the reader"
        );
        all(&mut reader).await
    };
    let ((got, result), ()) = tokio::join!(reading, sending);
    result.expect("a whole read");
    assert_eq!(got.len() as u64, total);
}
