//! PutObject: one request, one object or none (proto-spec.md, "PutObject").

use std::time::Duration;

use bytes::Bytes;
use devgcs::CallKind;
use gcsd_client::{Body, Connection, Options as ClientOptions, ReaderBody};
use gcsd_net::BoxStream;
use gcsd_types::{Crc32c, EncryptionKey};
use gcsd_wire::put_object::Args;
use gcsd_wire::{Kind, Reply, Request, Retry, put_object::Reply as Put};
use tokio::net::TcpStream;

use crate::support::daemon::{BUCKET, Client, Daemon, Frame, Options, PATIENCE, behind, pattern, put_object};
use crate::support::peer::{Peer, patiently, response};
use crate::support::pieces::{abort, data, end, whole};

const MIB: usize = 1 << 20;

/// What a successful reply tells.
fn put(frame: &Frame) -> Put {
    match frame.ok() {
        Reply::PutObject(put) => put,
        other => panic!("{other:?}"),
    }
}

/// Puts an object whose size is known.
async fn known(client: &mut Client, args: &Args, body: &[u8]) -> Frame {
    let request = Request::PutObject(args.clone());
    let sequence = client.begin(0, &request, body.len() as u64).await;
    client.raw(body).await;
    client.reply_to(sequence).await
}

/// Puts an object in pieces.
async fn pieces(client: &mut Client, args: &Args, pieces: &[u8]) -> Frame {
    let sequence = client.begin_streamed(0, &Request::PutObject(args.clone())).await;
    client.raw(pieces).await;
    client.reply_to(sequence).await
}

#[tokio::test]
async fn one_request_makes_an_object_of_any_size() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    for len in [0, 1, 262_144, 3 * MIB + 7] {
        let body = pattern(len);
        let crc32c = Crc32c::of(&body);
        for streamed in [false, true] {
            let object = format!("{len} {streamed}");
            let args = put_object(&object);
            let reply = if streamed {
                pieces(&mut client, &args, &whole(&body, 100_000)).await
            } else {
                known(&mut client, &args, &body).await
            };
            let put = put(&reply);
            assert_eq!((put.received, put.received_crc32c), (len as u64, crc32c));
            assert_eq!((put.object.size, put.object.crc32c), (len as u64, Some(crc32c)));
            assert!(put.object.generation > 0 && reply.head.http_status == 200);
            let json: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
            assert_eq!(json["name"], object.as_str());
            assert_eq!(daemon.object(&object).await, body);
        }
    }
    assert_eq!(daemon.devgcs.inspect().count(CallKind::InsertObject), 8);
    client.lives().await;
}

#[tokio::test]
async fn what_the_object_will_be_travels_along() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let mut args = put_object("a b#c/ü");
    args.destination.metadata = Bytes::from_static(br#"{"contentType":"text/plain","metadata":{"a":"b"}}"#);
    args.destination.kms_key_name = Some("projects/p/k&1".into());
    args.destination.predefined_acl = Some("publicRead".into());
    args.destination.user_project = Some("billing".into());
    args.destination.key = Some(EncryptionKey::new([7; 32]));
    args.body_crc32c = Some(Crc32c::of(b"hello"));
    put(&known(&mut client, &args, b"hello").await);
    let resource = daemon.devgcs.object(BUCKET, "a b#c/ü").expect("stored").resource;
    assert_eq!(resource["contentType"], "text/plain");
    assert_eq!(resource["metadata"]["a"], "b");
    let call = daemon.devgcs.inspect().calls.last().expect("a call").clone();
    assert!(call.headers.contains_key("x-goog-encryption-key-sha256"));
    for metadata in [r#"{"name":"other"}"#, "[]", r#"{"crc32c":"AAAAAA=="}"#] {
        args.destination.metadata = Bytes::from_static(metadata.as_bytes());
        known(&mut client, &args, b"hello")
            .await
            .fails(Kind::BadArgs, Retry::Never);
    }
    client.lives().await;

    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let mut client = daemon.connect().await;
    args.destination.metadata = Bytes::new();
    args.destination.fields = Some("name".into());
    client.begin(0, &Request::PutObject(args), 5).await;
    client.raw(b"hello").await;
    let mut server = peer.accept().await;
    assert!(server.head().await.starts_with(
        "POST /upload/storage/v1/b/bucket/o?uploadType=multipart&name=a%20b%23c%2F%C3%BC\
         &kmsKeyName=projects%2Fp%2Fk%261&predefinedAcl=publicRead&userProject=billing\
         &fields=name%2Cgeneration%2Cmetageneration%2Csize%2Ccrc32c%2Cmd5Hash HTTP/1.1\r\n"
    ));
    let sent = server.upto(b"--\r\n").await;
    assert!(String::from_utf8_lossy(&sent).contains("\r\n\r\n{\"crc32c\":\"mnG7TA==\"}\r\n"));
    server
        .send(response("200 OK", "", r#"{"generation":"5","size":"3"}"#))
        .await;
    assert_eq!(put(&client.frame().await.expect("a reply")).object.generation, 5);
}

#[tokio::test]
async fn a_wrong_object_never_becomes_visible() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let body = pattern(300_000);
    let (right, wrong) = (Crc32c::of(&body), Crc32c(7));
    let mut args = put_object("checked");
    args.body_crc32c = Some(wrong);
    let reply = known(&mut client, &args, &body).await;
    reply.fails(Kind::BodyDamaged, Retry::Same);
    let reply = pieces(&mut client, &args, &whole(&body, 65_536)).await;
    reply.fails(Kind::BodyDamaged, Retry::Same);
    // What the client says at the end is another thing than what came.
    args.body_crc32c = None;
    let damaged = [data(&body), end(Some(wrong))].concat();
    let reply = pieces(&mut client, &args, &damaged).await;
    reply.fails(Kind::BodyDamaged, Retry::Same);
    assert!(!reply.head.closing());
    assert!(!daemon.has_object("checked"));
    args.body_crc32c = Some(right);
    assert_eq!(
        put(&known(&mut client, &args, &body).await).object.crc32c,
        Some(right)
    );
    client.lives().await;
}

#[tokio::test]
async fn a_precondition_is_kept_and_the_connection_lives() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let mut args = put_object("once");
    args.destination.preconditions.if_generation_match = Some(0);
    let first = put(&known(&mut client, &args, b"first").await).object.generation;
    let reply = known(&mut client, &args, &pattern(100_000)).await;
    reply.fails(Kind::PreconditionFailed, Retry::Never);
    assert_eq!(reply.head.http_status, 412);
    let sequence = client.begin_streamed(0, &Request::PutObject(args.clone())).await;
    client.raw(&data(b"second")).await;
    let reply = client.reply_to(sequence).await;
    reply.fails(Kind::PreconditionFailed, Retry::Never);
    assert!(!reply.head.closing(), "the answer came before the end");
    client.raw(&abort()).await;
    assert_eq!(daemon.object("once").await, b"first");
    args.destination.preconditions.if_generation_match = Some(first);
    put(&pieces(&mut client, &args, &whole(b"second", 2)).await);
    assert_eq!(daemon.object("once").await, b"second");
}

#[tokio::test]
async fn what_does_not_come_whole_is_no_object_and_may_be_sent_again() {
    let daemon = Daemon::start().await;
    // Only where a client stalls is there a clock that runs out.
    let mut options = Options {
        endpoint: Some(daemon.devgcs.endpoint()),
        ..Options::default()
    };
    options.limits.client_timeout = Duration::from_millis(500);
    let hasty = Daemon::with(options).await;
    let body = pattern(400_000);
    // Cut by FIN or by RST, in a known length and in pieces; taken back; stalled.
    for (at, how) in [
        "fin",
        "rst",
        "pieces fin",
        "pieces rst",
        "abort",
        "stall",
        "pieces stall",
    ]
    .iter()
    .enumerate()
    {
        let object = format!("cut {at}");
        let through = if how.ends_with("stall") { &hasty } else { &daemon };
        let mut client = through.connect().await;
        let request = Request::PutObject(put_object(&object));
        let sequence = if how.starts_with("pieces") || *how == "abort" {
            let sequence = client.begin_streamed(0, &request).await;
            client.raw(&data(&body)).await;
            sequence
        } else {
            let sequence = client.begin(0, &request, 400_001).await;
            client.raw(&body).await;
            sequence
        };
        let reply = match how {
            how if how.ends_with("rst") => {
                client.stream.set_zero_linger().expect("a socket option");
                drop(client);
                continue;
            }
            how if how.ends_with("fin") => {
                client.half_close().await;
                (Kind::BodyTruncated, client.reply_to(sequence).await)
            }
            how if how.ends_with("stall") => (Kind::ClientStalled, client.reply_to(sequence).await),
            _ => {
                client.raw(&abort()).await;
                let reply = client.reply_to(sequence).await;
                client.lives().await;
                (Kind::BodyAborted, reply)
            }
        };
        // Nothing happened, whatever GCS has received.
        reply.1.fails(reply.0, Retry::Same);
        assert_eq!(reply.1.head.closing(), *how != "abort", "{how}");
    }
    let settled = daemon.devgcs.wait_for(PATIENCE, |state| {
        state.calls.iter().all(|call| call.status.is_some())
    });
    assert!(settled.await, "a POST goes on");
    for at in 0..7 {
        assert!(!daemon.has_object(&format!("cut {at}")), "{at}");
    }
}

#[tokio::test]
async fn the_class_says_whether_it_can_have_happened() {
    for (plan, happened) in [
        ("return-reset-connection-after-all on any call 0", true),
        ("return-503-after-all on any call 0", true),
        ("return-503 on any call 0", false),
    ] {
        for pinned in [false, true] {
            let daemon = Daemon::with(Options::failing(plan)).await;
            let mut client = daemon.connect().await;
            let mut args = put_object("lost");
            if pinned {
                args.destination.preconditions.if_generation_match = Some(0);
            }
            let sequence = client.begin(0, &Request::PutObject(args.clone()), 6).await;
            client.raw(b"hello").await;
            let reply = if happened {
                client.raw(b"!").await;
                client.reply_to(sequence).await
            } else {
                // GCS has answered, and the last byte is not sent yet.
                let reply = client.reply_to(sequence).await;
                client.raw(b"!").await;
                reply
            };
            let expected = match happened && !pinned {
                true => Retry::Query,
                false => Retry::Same,
            };
            assert_eq!(reply.head.status.retry(), Some(expected), "{plan} {pinned}");
            assert_eq!(daemon.has_object("lost"), happened, "{plan}");
            // Sent again, the pinned one is made once.
            let again = known(&mut client, &args, b"hello!").await;
            if happened && pinned {
                again.fails(Kind::PreconditionFailed, Retry::Never);
            } else {
                put(&again);
            }
        }
    }
}

#[tokio::test]
async fn the_closing_boundary_stands_behind_a_whole_body_and_nowhere_else() {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    for (ending, streamed) in [
        ("whole", false),
        ("whole", true),
        ("checksum", true),
        ("abort", true),
        ("fin", false),
    ] {
        let mut client = daemon.connect().await;
        let request = Request::PutObject(put_object("o"));
        if streamed {
            client.begin_streamed(0, &request).await;
            client.raw(&data(b"BYTES")).await;
        } else {
            client.begin(0, &request, 6).await;
            client.raw(b"BYTES").await;
        }
        let mut server = peer.accept().await;
        let head = server.head().await;
        assert!(head.starts_with("POST /upload/storage/v1/b/bucket/o?uploadType=multipart&name=o "));
        let (_, boundary) = head
            .split_once("content-type: multipart/related; boundary=")
            .expect("a boundary");
        let boundary = boundary.lines().next().expect("a line").trim().to_owned();
        assert_eq!(head.contains("transfer-encoding: chunked"), streamed, "{head}");
        assert_eq!(head.contains("content-length: "), !streamed, "{head}");
        // Before the end, which may be a reset: that takes along what is still on its way.
        let mut sent = patiently(server.upto(b"BYTES")).await;
        match ending {
            "whole" if streamed => client.raw(&end(None)).await,
            "checksum" => client.raw(&end(Some(Crc32c::of(b"BYTES")))).await,
            "abort" => client.raw(&abort()).await,
            "fin" => client.half_close().await,
            _ => client.raw(b"!").await,
        }
        sent.extend(if ["abort", "fin"].contains(&ending) {
            patiently(server.rest()).await
        } else {
            let last = if streamed {
                "0\r\n\r\n".to_owned()
            } else {
                format!("--{boundary}--\r\n")
            };
            let sent = server.upto(last.as_bytes()).await;
            let answer = response("200 OK", "", r#"{"generation":"5","size":"3"}"#);
            server.send(answer).await;
            assert!(client.frame().await.expect("a reply").head.status.is_ok());
            sent
        });
        let text = String::from_utf8(sent).expect("text");
        let front = format!(
            "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{{}}\r\n--{boundary}\r\n\r\n"
        );
        assert!(text.contains(&front), "{text}");
        assert!(text.contains("BYTES"), "{text}");
        let closing = format!("\r\n--{boundary}--\r\n");
        assert_eq!(
            text.contains(&closing),
            ["whole", "checksum"].contains(&ending),
            "{ending}: {text}"
        );
        assert_eq!(text.contains("crc32c"), ending == "checksum", "{text}");
    }
}

#[tokio::test]
async fn a_client_puts_what_a_reader_gives() {
    let daemon = Daemon::start().await;
    let stream = TcpStream::connect(daemon.address).await.expect("a daemon");
    let connection = Connection::over(Box::new(stream) as BoxStream, &ClientOptions::default());
    let body = pattern(2 * MIB);
    let reader = ReaderBody::new(std::io::Cursor::new(body.clone()));
    let reply = connection
        .put_object(&put_object("piped"), Body::streamed(reader))
        .await
        .expect("put");
    assert_eq!(reply.args.object.crc32c, Some(Crc32c::of(&body)));
    assert!(!reply.json.is_empty());
    let reply = connection
        .put_object(&put_object("held"), Body::from(Bytes::from(body.clone())))
        .await;
    assert_eq!(reply.expect("put").args.received, body.len() as u64);
    assert_eq!(daemon.object("piped").await, body);
    assert_eq!(daemon.object("held").await, body);
}
