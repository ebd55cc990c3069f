//! The client's bodies without a length: against a scripted daemon, and against a real one.

use std::io;

use bytes::Bytes;
use gcsd_client::{Body, BodySource, Connection, Error, NextPiece, Options, ReaderBody};
use gcsd_net::BoxStream;
use gcsd_types::Crc32c;
use gcsd_wire::head::CLOSING;
use gcsd_wire::{self, Kind, PieceHead, Retry, Status};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::daemon::{BUCKET, Daemon, pattern};
use crate::support::scripted::{self, at, bytes, pair, pong, written};
use crate::support::uploads::new_object;

/// Gives what a test sends.
struct Fed(mpsc::UnboundedReceiver<io::Result<Bytes>>);

impl BodySource for Fed {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(async { self.0.recv().await.unwrap_or_else(|| Ok(Bytes::new())) })
    }
}

fn fed() -> (mpsc::UnboundedSender<io::Result<Bytes>>, Body) {
    let (feeder, source) = mpsc::unbounded_channel();
    (feeder, Body::streamed(Fed(source)))
}

/// Reads a body in pieces to its end: its bytes, and the last piece.
async fn pieces(daemon: &mut scripted::Daemon) -> (Vec<u8>, PieceHead, Option<Crc32c>) {
    let mut bytes = Vec::new();
    loop {
        let head: [u8; 8] = daemon.body(8).await.try_into().expect("8 bytes");
        match PieceHead::decode_checked(&head).expect("a piece") {
            PieceHead::Data(len) => bytes.extend(daemon.body(len.into()).await),
            last @ PieceHead::End { checksum: true } => {
                let checksum: [u8; 4] = daemon.body(4).await.try_into().expect("4 bytes");
                return (bytes, last, Some(Crc32c(u32::from_le_bytes(checksum))));
            }
            last => return (bytes, last, None),
        }
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_goes_out_in_pieces_with_its_checksum() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let whole = bytes(3_000_001);
    let reader = ReaderBody::new(io::Cursor::new(whole.to_vec()));
    for (body, expected) in [
        (Body::streamed(reader), whole.clone()),
        (Body::streamed(ReaderBody::new(tokio::io::empty())), Bytes::new()),
    ] {
        let script = async {
            let (head, _) = daemon.request().await;
            assert!(head.streamed() && head.body_len == 0);
            let (got, _, checksum) = pieces(&mut daemon).await;
            assert!(got == expected);
            assert_eq!(checksum, Some(Crc32c::of(&expected)));
            daemon.reply(head.sequence, 0, written(&got), b"").await;
        };
        let args = at(0);
        let (reply, ()) = tokio::join!(connection.write_at(7, &args, body), script);
        assert_eq!(reply.expect("a reply").args.received, expected.len() as u64);
    }
}

/// Checks that the next request on `connection` comes right behind.
async fn lives(connection: &Connection, daemon: &mut scripted::Daemon) {
    let script = async {
        let (head, _) = daemon.request().await;
        daemon.reply(head.sequence, 0, pong(b"x"), b"").await;
    };
    let (reply, ()) = tokio::join!(connection.ping(Bytes::from_static(b"x")), script);
    assert!(reply.is_ok());
    assert!(connection.reason().is_none());
}

#[tokio::test]
async fn what_cannot_be_read_to_its_end_is_taken_back() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let (feeder, body) = fed();
    feeder.send(Ok(Bytes::from_static(b"abc"))).expect("fed");
    feeder
        .send(Err(io::Error::other("the disk is gone")))
        .expect("fed");
    let script = async {
        let (head, _) = daemon.request().await;
        let (got, last, _) = pieces(&mut daemon).await;
        assert_eq!((&got[..], last), (&b"abc"[..], PieceHead::Abort));
        let aborted = Status::new(Kind::BodyAborted, Retry::Query);
        daemon.error(&head, 0, aborted, Some(0)).await;
    };
    let args = at(0);
    let (reply, ()) = tokio::join!(connection.write_at(7, &args, body), script);
    assert!(matches!(reply, Err(Error::Source(_))), "{reply:?}");
    lives(&connection, &mut daemon).await;
}

#[tokio::test]
async fn who_goes_away_takes_the_body_back() {
    let (connection, mut daemon) = pair(&Options::default()).await;
    let (feeder, body) = fed();
    feeder.send(Ok(Bytes::from_static(b"abc"))).expect("fed");
    let writer = connection.clone();
    let writing = tokio::spawn(async move { writer.write_at(1, &at(0), body).await });
    let (head, _) = daemon.request().await;
    assert_eq!(daemon.body(11).await[8..], *b"abc");
    writing.abort();
    let (got, last, _) = pieces(&mut daemon).await;
    assert_eq!((got.len(), last), (0, PieceHead::Abort));
    let aborted = Status::new(Kind::BodyAborted, Retry::Query);
    daemon.error(&head, 0, aborted, Some(0)).await;
    lives(&connection, &mut daemon).await;
}

#[tokio::test]
async fn an_early_error_takes_the_rest_back() {
    for flags in [0, CLOSING] {
        let (connection, mut daemon) = pair(&Options::default()).await;
        let (feeder, body) = fed();
        feeder.send(Ok(Bytes::from_static(b"abc"))).expect("fed");
        let busy = Status::new(Kind::Unavailable, Retry::Query);
        let script = async {
            let (head, _) = daemon.request().await;
            daemon.body(11).await;
            daemon.error(&head, flags, busy, Some(0)).await;
        };
        let args = at(0);
        let (reply, ()) = tokio::join!(connection.write_at(1, &args, body), script);
        assert_eq!(reply.expect_err("busy").status(), Some(busy));
        if flags == CLOSING {
            assert_eq!(daemon.rest().await, 0, "the daemon said that it reads no more");
        } else {
            assert_eq!(pieces(&mut daemon).await.1, PieceHead::Abort);
            lives(&connection, &mut daemon).await;
        }
    }
}

#[tokio::test]
async fn a_daemon_makes_the_object_of_it_and_nothing_of_what_is_taken_back() {
    let daemon = Daemon::start().await;
    let stream = TcpStream::connect(daemon.address).await.expect("a daemon");
    let connection = Connection::over(Box::new(stream) as BoxStream, &Options::default());
    let upload = connection.new_upload();
    connection
        .start_upload(upload, &new_object("streamed").into())
        .await
        .expect("started");
    let body = pattern(5_000_000);
    let (feeder, taken_back) = fed();
    feeder
        .send(Ok(Bytes::copy_from_slice(&body[..1_000_000])))
        .expect("fed");
    feeder.send(Err(io::Error::other("no more"))).expect("fed");
    let args = gcsd_wire::write_at::Args::default();
    let error = connection.write_at(upload, &args, taken_back).await;
    assert!(matches!(error, Err(Error::Source(_))), "{error:?}");
    let committed = connection.query_upload(upload).await.expect("queried").args;
    assert!(committed.object.is_none());
    let from = usize::try_from(committed.committed).expect("small");
    let rest = ReaderBody::new(io::Cursor::new(body[from..].to_vec()));
    let args = at(committed.committed);
    let written = connection.write_at(upload, &args, Body::streamed(rest)).await;
    let object = written.expect("written").args.object.expect("finished");
    assert_eq!(object.crc32c, Some(Crc32c::of(&body)));
    assert_eq!(
        daemon
            .devgcs
            .object_bytes(BUCKET, "streamed")
            .await
            .expect("bytes"),
        body
    );
}
