//! The client's connection against a scripted daemon: how requests and connections end before their time.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use gcsd_client::{Body, Error, Options, ReaderBody, Reason};
use gcsd_wire::head::{CLOSING, MORE};
use gcsd_wire::{self, ErrorReply, Kind, Opcode, Retry, Status, WireArgs as _};

use crate::support::scripted::{at, bytes, head, lost, pair, pair_in_memory, pong, written};

/// What the scripts answer when they refuse.
const BUSY: Status = Status(0x418a);

#[tokio::test]
async fn an_early_error_keeps_the_connection_if_the_daemon_does() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let body = Body::from(vec![bytes(1 << 20); 16]);
    let script = async {
        let (head, _) = daemon.request().await;
        daemon.error(&head, 0, BUSY, Some(5)).await;
        daemon
    };
    let args = at(0);
    let (result, mut daemon) = tokio::join!(connection.write_at(1, &args, body), script);
    let error = result.expect_err("busy");
    assert_eq!((error.status(), error.committed()), (Some(BUSY), Some(5)));
    // The rest of the body comes, and behind it the next request.
    let script = async {
        daemon.body(16 << 20).await;
        let (head, _) = daemon.request().await;
        daemon.reply(head.sequence, 0, pong(b"x"), b"").await;
    };
    let (reply, ()) = tokio::join!(connection.ping(Bytes::from_static(b"x")), script);
    assert!(reply.is_ok());
    assert!(connection.reason().is_none());
}

#[tokio::test]
async fn an_early_error_that_closes_stops_the_body_and_nothing_else() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let body = Body::from(vec![bytes(1 << 20); 1024]);
    let args = at(0);
    let calls = async { tokio::join!(connection.ping(Bytes::new()), connection.write_at(1, &args, body)) };
    let script = async {
        let (ping, _) = daemon.request().await;
        let (write, _) = daemon.request().await;
        daemon.error(&write, CLOSING, BUSY, None).await;
        // The earlier request is still answered.
        daemon.reply(ping.sequence, 0, pong(b""), b"").await;
        daemon.rest().await
    };
    let ((ping, write), sent) = tokio::join!(calls, script);
    assert!(ping.is_ok());
    assert_eq!(write.expect_err("busy").status(), Some(BUSY));
    assert!(sent < 1 << 30, "the client went on sending");
    let (reason, sent) = lost(connection.ping(Bytes::new()).await);
    assert!(matches!(reason, Reason::Closing(BUSY)), "{reason}");
    assert!(!sent);
}

#[tokio::test]
async fn giving_up_inside_a_body_ends_the_connection() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let writer = connection.clone();
    let writing = tokio::spawn(async move {
        let body = Body::from(vec![bytes(1 << 20); 256]);
        writer.write_at(1, &at(0), body).await
    });
    let (head, _) = daemon.request().await;
    writing.abort();
    assert!(daemon.rest().await < 256 << 20);
    // What the daemon still says is read past.
    daemon
        .error(
            &head,
            CLOSING,
            Status::new(Kind::BodyTruncated, Retry::Query),
            None,
        )
        .await;
    drop(daemon);
    connection.ended().await;
    let (reason, sent) = lost(connection.ping(Bytes::new()).await);
    assert!(matches!(reason, Reason::Abandoned), "{reason}");
    assert!(!sent);
}

#[tokio::test(start_paused = true)]
async fn giving_up_before_or_after_sending_harms_nobody() {
    let options = Options::default().with_max_in_flight(1);
    let (connection, mut daemon) = pair_in_memory(&options);
    // The paused clock gets there when all that can be sent is sent.
    let soon = Duration::from_millis(50);
    // This one is sent, and nobody waits for its reply.
    let first = tokio::time::timeout(soon, connection.ping(Bytes::from_static(b"1"))).await;
    // This one never gets its turn.
    let second = tokio::time::timeout(soon, connection.ping(Bytes::from_static(b"2"))).await;
    assert!(first.is_err() && second.is_err());
    let script = async {
        let (head, _) = daemon.request().await;
        daemon.reply(head.sequence, 0, pong(b"1"), b"").await;
        let (head, request) = daemon.request().await;
        assert_eq!(request.to_bytes(), b"3".as_slice());
        daemon.reply(head.sequence, 0, pong(b"3"), b"").await;
    };
    let (third, ()) = tokio::join!(connection.ping(Bytes::from_static(b"3")), script);
    assert!(third.is_ok());
}

#[tokio::test]
async fn a_source_that_ends_early_ends_the_connection() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let source = ReaderBody::new(io::Cursor::new(bytes(1000).to_vec()));
    let args = at(0);
    let script = async {
        let (head, _) = daemon.request().await;
        assert_eq!(daemon.rest().await, 1000);
        head
    };
    let (result, head) = tokio::join!(connection.write_at(1, &args, Body::source(1001, source)), script);
    assert!(matches!(result, Err(Error::Source(_))), "{result:?}");
    daemon
        .error(
            &head,
            CLOSING,
            Status::new(Kind::BodyTruncated, Retry::Query),
            None,
        )
        .await;
    drop(daemon);
    connection.ended().await;
    assert!(matches!(connection.reason(), Some(Reason::SourceFailed)));
}

#[tokio::test]
async fn everybody_learns_that_the_daemon_is_gone() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let script = async {
        daemon.request().await;
        daemon.request().await;
        drop(daemon);
    };
    let ping = || connection.ping(Bytes::new());
    let (a, b, ()) = tokio::join!(ping(), ping(), script);
    for result in [a, b] {
        let error = result.expect_err("gone");
        assert_eq!(error.retry(), Retry::Reconnect);
        let (_, sent) = lost::<()>(Err(error));
        assert!(sent);
    }
    let (_, sent) = lost(ping().await);
    assert!(!sent);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_stays_silent_is_given_up() {
    let options = Options::default().with_stall(Duration::from_millis(50));
    let (connection, _daemon) = pair_in_memory(&options);
    let (reason, sent) = lost(connection.ping(Bytes::new()).await);
    assert!(matches!(reason, Reason::Stalled(_)), "{reason}");
    assert!(sent);

    // One that takes no bytes, too.
    let (connection, _daemon) = pair_in_memory(&options);
    let body = Body::from(vec![bytes(1 << 20); 64]);
    let (reason, sent) = lost(connection.write_at(1, &at(0), body).await);
    assert!(matches!(reason, Reason::Stalled(_)), "{reason}");
    assert!(sent);
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_and_an_idle_connection_are_no_stall() {
    let options = Options::default().with_stall(Duration::from_millis(50));
    let (connection, mut daemon) = pair_in_memory(&options);
    tokio::time::sleep(Duration::from_millis(150)).await;
    let (mut pipe, reader) = tokio::io::duplex(64);
    let feed = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::io::AsyncWriteExt::write_all(&mut pipe, b"late")
            .await
            .expect("a reader");
    };
    let script = async {
        let (head, _) = daemon.request().await;
        let body = daemon.body(4).await;
        daemon.reply(head.sequence, 0, written(&body), b"").await;
    };
    let args = at(0);
    let body = Body::source(4, ReaderBody::new(reader));
    let (reply, (), ()) = tokio::join!(connection.write_at(1, &args, body), feed, script);
    assert!(reply.is_ok(), "{reply:?}");
}

#[tokio::test]
async fn closing_waits_for_what_is_due() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let calling = connection.clone();
    let script = async {
        let (head, _) = daemon.request().await;
        assert!(daemon.next().await.is_none(), "a half-close follows");
        daemon.reply(head.sequence, 0, pong(b""), b"").await;
        drop(daemon);
    };
    let (reply, (), ()) = tokio::join!(
        biased;
        calling.ping(Bytes::new()),
        async {
            tokio::task::yield_now().await;
            connection.close().await;
        },
        script
    );
    assert!(reply.is_ok(), "{reply:?}");
    let (reason, _) = lost(calling.ping(Bytes::new()).await);
    assert!(matches!(reason, Reason::ClosedHere), "{reason}");
}

#[tokio::test]
async fn an_answer_to_what_could_not_be_read_ends_the_connection() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let script = async {
        let (request, _) = daemon.request().await;
        let nowhere = gcsd_wire::RequestHead {
            opcode: 0,
            sequence: 0,
            ..request
        };
        daemon
            .error(
                &nowhere,
                CLOSING,
                Status::new(Kind::BadVersion, Retry::Never),
                None,
            )
            .await;
        drop(daemon);
    };
    let (result, ()) = tokio::join!(connection.ping(Bytes::new()), script);
    let (reason, _) = lost(result);
    assert!(
        matches!(&reason, Reason::NotUnderstood(error) if error.status.name() == "bad_version"),
        "{reason}"
    );
}

/// Whatever comes back, every caller gets an error, and soon.
#[tokio::test]
async fn a_lying_daemon_is_told_apart_from_an_honest_one() {
    let ok = Status::OK;
    let ping = Opcode::Ping as u8;
    let noise = bytes(4096);
    let error = ErrorReply::default().to_bytes();
    let scripts: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("half a head", b"GCS!\x01".to_vec()),
        (
            "http",
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
        ("noise", noise.to_vec()),
        ("a request", [b"GCS?\x01\x02\0\0", [0; 24].as_slice()].concat()),
        (
            "another version",
            [b"GCS!\x02\x02\0\0", [0; 24].as_slice()].concat(),
        ),
        ("an unknown sequence", head(ping, 0, 77, ok, 0, 0).to_vec()),
        (
            "another opcode",
            head(Opcode::Hello as u8, 0, 1, ok, 48, 0).to_vec(),
        ),
        ("more frames", head(ping, MORE, 1, ok, 0, 0).to_vec()),
        ("huge args", head(ping, 0, 1, ok, 0xffff_fff0, 0).to_vec()),
        ("a huge body", head(ping, 0, 1, ok, 0, usize::MAX >> 1).to_vec()),
        ("a body cut short", head(ping, 0, 1, ok, 0, 10).to_vec()),
        ("a success for nobody", head(0, CLOSING, 0, ok, 0, 0).to_vec()),
        ("an error without args", head(ping, 0, 1, BUSY, 0, 0).to_vec()),
        (
            "an error with more",
            [&head(ping, MORE, 1, BUSY, error.len(), 0), &error[..]].concat(),
        ),
        (
            "an error with a huge body",
            [&head(ping, 0, 1, BUSY, error.len(), 1 << 60), &error[..]].concat(),
        ),
    ];
    for (name, script) in scripts {
        let (connection, mut daemon) = pair(&Options::default()).await;
        let playing = async {
            daemon.request().await;
            daemon.raw(&script).await;
            drop(daemon);
        };
        let (result, ()) = tokio::join!(connection.ping(Bytes::new()), playing);
        let error = result.expect_err(name);
        assert!(matches!(error, Error::Connection(_)), "{name}: {error}");
        connection.ended().await;
    }
}
