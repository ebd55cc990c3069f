//! Requests whose callers go away: what only looks is cancelled, what changes something is carried out, and the connection goes on.

use bytes::Bytes;
use gcsd_client::{Connection, ObjectReader, Options, Reason};
use gcsd_types::{Crc32c, ObjectInfo};
use gcsd_wire::head::MORE;
use gcsd_wire::read_at::{End, Range, Reply, Start};
use gcsd_wire::{
    Kind, Opcode, Request, RequestHead, Retry, Status, cancel, delete_object, list_objects, page, ping,
    read_at, stat_object,
};
use tokio::net::TcpStream;

use crate::support::daemon::{self, behind, object_ref, pattern};
use crate::support::peer::{Peer, patiently};
use crate::support::scripted::{Daemon, bytes, pair};

const MIB: usize = 1 << 20;

fn read(object: &str) -> read_at::Args {
    read_at::Args {
        of: object_ref(object),
        range: Range::From(0),
        decompress: false,
    }
}

/// Begins a read of which the daemon says no length.
async fn begin(connection: &Connection, daemon: &mut Daemon) -> (ObjectReader, RequestHead) {
    let script = async {
        let (head, _) = daemon.request().await;
        let start = Start {
            object: ObjectInfo::default(),
            offset: 0,
            len: None,
        };
        let start = gcsd_wire::Reply::ReadAt(Reply::Start(start));
        daemon.reply(head.sequence, MORE, start, b"").await;
        head
    };
    let args = read("object");
    let (reader, head) = tokio::join!(connection.read_at(&args), script);
    (reader.expect("a start"), head)
}

async fn piece(daemon: &mut Daemon, sequence: u64, body: &[u8]) {
    let piece = gcsd_wire::Reply::ReadAt(Reply::Piece);
    daemon.reply(sequence, MORE, piece, body).await;
}

/// The next request cancels `target`: ends it so.
async fn cancelled(daemon: &mut Daemon, target: &RequestHead) {
    let (head, request) = daemon.request().await;
    let target_is = cancel::Args {
        target: target.sequence,
    };
    assert_eq!(request, Request::Cancel(target_is));
    let status = Status::new(Kind::Cancelled, Retry::Same);
    daemon.error(target, 0, status, None).await;
    let reply = gcsd_wire::Reply::Cancel(cancel::Reply {
        outcome: cancel::CancelOutcome::Ended,
    });
    daemon.reply(head.sequence, 0, reply, b"").await;
}

/// The next request is a Ping, and is answered.
async fn lives(connection: &Connection, daemon: &mut Daemon) {
    let script = async {
        let (head, request) = daemon.request().await;
        assert!(matches!(request, Request::Ping(_)), "{request:?}");
        let echo = gcsd_wire::Reply::Ping(ping::Args::default());
        daemon.reply(head.sequence, 0, echo, b"").await;
    };
    let (pong, ()) = tokio::join!(connection.ping(Bytes::new()), script);
    pong.expect("the connection lives");
}

#[tokio::test]
async fn a_read_that_is_dropped_is_cancelled_and_what_is_on_its_way_is_skipped() {
    // One request at a time: the permit comes back, too.
    let options = Options::default().with_max_in_flight(1);
    let (connection, mut daemon) = pair(&options).await;
    for pieces in [0, 1, 12] {
        let (reader, head) = begin(&connection, &mut daemon).await;
        drop(reader);
        for _ in 0..pieces {
            piece(&mut daemon, head.sequence, &bytes(MIB)).await;
        }
        cancelled(&mut daemon, &head).await;
        lives(&connection, &mut daemon).await;
    }
    // In the middle, when the reader is behind.
    let (mut reader, head) = begin(&connection, &mut daemon).await;
    piece(&mut daemon, head.sequence, &bytes(2 * MIB)).await;
    assert!(reader.next().await.expect("bytes").is_some());
    drop(reader);
    cancelled(&mut daemon, &head).await;
    lives(&connection, &mut daemon).await;
}

#[tokio::test]
async fn a_read_that_has_ended_is_not_cancelled() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let (mut reader, head) = begin(&connection, &mut daemon).await;
    piece(&mut daemon, head.sequence, b"hello").await;
    let end = End {
        sent: 5,
        crc32c: Crc32c::of(b"hello"),
    };
    let end = gcsd_wire::Reply::ReadAt(Reply::End(end));
    daemon.reply(head.sequence, 0, end, b"").await;
    while reader.next().await.expect("a whole read").is_some() {}
    drop(reader);
    lives(&connection, &mut daemon).await;
}

#[tokio::test]
async fn a_daemon_that_goes_on_sending_what_was_cancelled_is_left() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let (reader, head) = begin(&connection, &mut daemon).await;
    drop(reader);
    let (_, request) = daemon.request().await;
    assert!(matches!(request, Request::Cancel(_)));
    let bytes = bytes(MIB);
    for _ in 0..64 {
        piece(&mut daemon, head.sequence, &bytes).await;
    }
    assert!(!connection.is_over(), "so much can be on its way");
    piece(&mut daemon, head.sequence, b"!").await;
    connection.ended().await;
    assert!(matches!(connection.reason(), Some(Reason::Abandoned)));
}

#[tokio::test]
async fn a_list_is_cancelled_before_its_first_frame_and_behind_it() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let args = list_objects::Args::from(gcsd_types::ObjectQuery::new(object_ref("o").bucket));
    for begun in [false, true] {
        let mut list = Box::pin(connection.list_objects(&args));
        let script = async {
            let (head, _) = daemon.request().await;
            if begun {
                let piece = gcsd_wire::Reply::ListObjects(page::Reply::Piece);
                daemon.reply(head.sequence, MORE, piece, b"{").await;
            }
            head
        };
        let head = tokio::select! {
            list = &mut list => panic!("{list:?}"),
            head = script => head,
        };
        drop(list);
        cancelled(&mut daemon, &head).await;
        lives(&connection, &mut daemon).await;
    }
}

#[tokio::test]
async fn what_looks_is_cancelled_and_what_changes_something_is_carried_out() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let args = stat_object::Args { of: object_ref("o") };
    let mut stat = Box::pin(connection.stat_object(&args));
    let head = tokio::select! {
        stat = &mut stat => panic!("{stat:?}"),
        (head, _) = daemon.request() => head,
    };
    drop(stat);
    cancelled(&mut daemon, &head).await;

    let args = delete_object::Args { of: object_ref("o") };
    let mut delete = Box::pin(connection.delete_object(&args));
    let head = tokio::select! {
        deleted = &mut delete => panic!("{deleted:?}"),
        (head, _) = daemon.request() => head,
    };
    assert_eq!(head.opcode, Opcode::DeleteObject as u8);
    drop(delete);
    lives(&connection, &mut daemon).await;
    let done = gcsd_wire::Reply::DeleteObject(gcsd_wire::args::Done);
    daemon.reply(head.sequence, 0, done, b"").await;
    lives(&connection, &mut daemon).await;
}

/// A connection of the library's to a real daemon.
async fn connected(daemon: &daemon::Daemon, options: &Options) -> Connection {
    let stream = TcpStream::connect(daemon.address).await;
    Connection::over(Box::new(stream.expect("the daemon listens")), options)
}

#[tokio::test]
async fn the_daemon_cuts_its_call_of_what_was_dropped_and_the_connection_goes_on() {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let connection = connected(&daemon, &Options::default()).await;
    let args = stat_object::Args { of: object_ref("o") };
    let mut stat = Box::pin(connection.stat_object(&args));
    let mut call = tokio::select! {
        stat = &mut stat => panic!("{stat:?}"),
        call = peer.accept() => call,
    };
    call.head().await;
    drop(stat);
    call.end().await;
    patiently(connection.ping(Bytes::new())).await.expect("it lives");
}

#[tokio::test]
async fn of_a_large_object_that_is_dropped_little_is_sent_and_the_connection_goes_on() {
    // One call at a time: the next request has its turn only when the read has ended.
    let daemon = daemon::Daemon::with(daemon::Options {
        max_calls: 1,
        ..daemon::Options::default()
    })
    .await;
    let body = pattern(64 * MIB);
    daemon.connect().await.put(1, "large", &body).await;
    let connection = connected(&daemon, &Options::default()).await;
    let args = stat_object::Args {
        of: object_ref("large"),
    };
    for _ in 0..5 {
        let mut reader = connection.read_at(&read("large")).await.expect("a read");
        let first = reader.next().await.expect("bytes").expect("bytes");
        assert_eq!(first, body[..first.len()]);
        drop(reader);
        patiently(connection.stat_object(&args)).await.expect("it lives");
    }
}
