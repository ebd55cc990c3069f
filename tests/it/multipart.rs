//! Multipart uploads: start, parts, list, complete, abort (proto-spec.md, "StartMultipart" to "AbortMultipart").

use bytes::Bytes;
use devgcs::CallKind;
use gcsd_client::{Body, Connection, Options as ClientOptions, ReaderBody};
use gcsd_net::BoxStream;
use gcsd_types::{Crc32c, Destination, EncryptionKey, MultipartRef, Part, PartsPage};
use gcsd_wire::multipart::encode_parts;
use gcsd_wire::{
    Kind, Reply, Request, Retry, abort_multipart, complete_multipart, list_parts, start_multipart,
    upload_part,
};
use tokio::net::TcpStream;

use crate::support::daemon::{BUCKET, Client, Daemon, Frame, Options, behind, object_ref, pattern};
use crate::support::peer::{Peer, response};
use crate::support::pieces::{abort, data, end, whole};

const MIB: usize = 1 << 20;

fn destination(object: &str) -> Destination {
    Destination::new(BUCKET.parse().expect("a name"), object.parse().expect("a name"))
}

fn of(object: &str, multipart_id: &str) -> MultipartRef {
    let Destination { bucket, object, .. } = destination(object);
    MultipartRef {
        bucket,
        object,
        multipart_id: multipart_id.to_owned(),
        user_project: None,
        key: None,
    }
}

async fn start(client: &mut Client, destination: Destination) -> MultipartRef {
    let (object, key) = (destination.object.as_str().to_owned(), destination.key.clone());
    let request = Request::StartMultipart(start_multipart::Args { destination });
    match client.call(0, request).await.ok() {
        Reply::StartMultipart(reply) => MultipartRef {
            key,
            ..of(&object, &reply.multipart_id)
        },
        other => panic!("{other:?}"),
    }
}

fn part_request(of: &MultipartRef, part_number: u32, body_crc32c: Option<Crc32c>) -> Request {
    Request::UploadPart(upload_part::Args {
        of: of.clone(),
        part_number,
        body_crc32c,
    })
}

async fn upload(client: &mut Client, of: &MultipartRef, number: u32, body: &[u8]) -> Frame {
    let request = part_request(of, number, Some(Crc32c::of(body)));
    let sequence = client.begin(0, &request, body.len() as u64).await;
    client.raw(body).await;
    client.reply_to(sequence).await
}

/// The part that a successful reply names.
fn part(number: u32, frame: &Frame) -> Part {
    match frame.ok() {
        Reply::UploadPart(reply) => Part {
            number,
            etag: reply.etag,
        },
        other => panic!("{other:?}"),
    }
}

async fn list(client: &mut Client, of: &MultipartRef, after: u32, max_parts: u32) -> Frame {
    let args = list_parts::Args {
        of: of.clone(),
        after,
        max_parts,
    };
    client.call(0, Request::ListParts(args)).await
}

fn page(frame: &Frame) -> PartsPage {
    match frame.ok() {
        Reply::ListParts(page) => page,
        other => panic!("{other:?}"),
    }
}

async fn complete(client: &mut Client, of: &MultipartRef, list: &[u8]) -> Frame {
    let request = Request::CompleteMultipart(complete_multipart::Args { of: of.clone() });
    let sequence = client.begin(0, &request, list.len() as u64).await;
    client.raw(list).await;
    client.reply_to(sequence).await
}

#[tokio::test]
async fn parts_in_any_order_make_the_object() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let body = pattern(12 * MIB);
    let object = "a b#c/ü";
    let mut destination = destination(object);
    destination.metadata = Bytes::from_static(br#"{"contentType":"text/plain","metadata":{"a":"b"}}"#);
    destination.kms_key_name = Some("k".into());
    destination.key = Some(EncryptionKey::new([7; 32]));
    let of = start(&mut client, destination).await;
    let last = part(9, &upload(&mut client, &of, 9, &body[10 * MIB..]).await);
    let first = part(2, &upload(&mut client, &of, 2, &body[..5 * MIB]).await);
    // In pieces, and sent again in the place of another.
    upload(&mut client, &of, 5, b"to be replaced").await.ok();
    let sequence = client.begin_streamed(0, &part_request(&of, 5, None)).await;
    client.raw(&whole(&body[5 * MIB..10 * MIB], 300_000)).await;
    let reply = client.reply_to(sequence).await;
    let Reply::UploadPart(uploaded) = reply.ok() else {
        panic!("no part")
    };
    assert_eq!(
        (uploaded.received, uploaded.received_crc32c),
        (5 * MIB as u64, Crc32c::of(&body[5 * MIB..10 * MIB]))
    );
    let middle = part(5, &reply);

    let all = page(&list(&mut client, &of, 0, 0).await);
    let listed: Vec<_> = all.parts.iter().map(|stored| stored.part.clone()).collect();
    assert_eq!(listed, [first.clone(), middle.clone(), last.clone()]);
    assert_eq!((all.parts[2].size, all.next_after), (2 * MIB as u64, None));
    let one = page(&list(&mut client, &of, 0, 1).await);
    assert_eq!((one.parts.len(), one.next_after), (1, Some(2)));
    let rest = page(&list(&mut client, &of, 2, 500).await);
    assert_eq!((rest.parts.len(), rest.next_after), (2, None));
    list(&mut client, &of, 0, 501)
        .await
        .fails(Kind::BadArgs, Retry::Never);

    assert!(!daemon.has_object(object));
    let reply = complete(&mut client, &of, &encode_parts(&[first, middle, last])).await;
    let Reply::CompleteMultipart(completed) = reply.ok() else {
        panic!("no object")
    };
    let stored = daemon.devgcs.object(BUCKET, object).expect("stored");
    assert_eq!(completed.generation, Some(stored.generation));
    assert_eq!(completed.crc32c, Some(Crc32c::of(&body)));
    assert!(!completed.etag.is_empty());
    assert_eq!(stored.resource["contentType"], "text/plain");
    assert_eq!(stored.resource["metadata"]["a"], "b");
    assert_eq!(daemon.object(object).await, body);
    client.lives().await;
}

#[tokio::test]
async fn a_part_that_is_wrong_or_not_whole_is_none_and_may_be_sent_again() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let of = start(&mut client, destination("parts")).await;
    let body = pattern(100_000);
    let sequence = client
        .begin(0, &part_request(&of, 1, Some(Crc32c(7))), body.len() as u64)
        .await;
    client.raw(&body).await;
    let reply = client.reply_to(sequence).await;
    reply.fails(Kind::BodyDamaged, Retry::Same);
    for (ending, kind) in [
        (end(Some(Crc32c(7))), Kind::BodyDamaged),
        (abort(), Kind::BodyAborted),
    ] {
        let sequence = client.begin_streamed(0, &part_request(&of, 1, None)).await;
        client.raw(&data(&body)).await;
        client.raw(&ending).await;
        let reply = client.reply_to(sequence).await;
        reply.fails(kind, Retry::Same);
        assert!(!reply.head.closing());
    }
    let mut gone = daemon.connect().await;
    let sequence = gone.begin(0, &part_request(&of, 1, None), 100_001).await;
    gone.raw(&body).await;
    gone.half_close().await;
    gone.reply_to(sequence)
        .await
        .fails(Kind::BodyTruncated, Retry::Same);
    assert_eq!(page(&list(&mut client, &of, 0, 0).await).parts, []);
    part(1, &upload(&mut client, &of, 1, &body).await);
    assert_eq!(page(&list(&mut client, &of, 0, 0).await).parts.len(), 1);
    for number in [0, 10_001] {
        let sequence = client.begin(0, &part_request(&of, number, None), 0).await;
        client.reply_to(sequence).await.fails(Kind::BadArgs, Retry::Never);
    }
}

#[tokio::test]
async fn an_upload_that_is_aborted_is_gone() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let of = start(&mut client, destination("aborted")).await;
    part(1, &upload(&mut client, &of, 1, b"a part").await);
    let abort = || Request::AbortMultipart(abort_multipart::Args { of: of.clone() });
    let reply = client.call(0, abort()).await;
    assert_eq!(reply.ok(), Reply::AbortMultipart(abort_multipart::Reply::Aborted));
    let reply = client.call(0, abort()).await;
    assert_eq!(reply.ok(), Reply::AbortMultipart(abort_multipart::Reply::Unknown));
    assert_eq!(reply.head.http_status, 404);
    list(&mut client, &of, 0, 0)
        .await
        .fails(Kind::NotFound, Retry::Never);
    upload(&mut client, &of, 1, b"late")
        .await
        .fails(Kind::NotFound, Retry::Never);
    client.lives().await;
}

#[tokio::test]
async fn a_list_that_cannot_be_is_refused() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let of = start(&mut client, destination("lists")).await;
    let small = part(1, &upload(&mut client, &of, 1, b"small").await);
    let last = part(2, &upload(&mut client, &of, 2, b"last").await);
    let completes = |daemon: &Daemon| daemon.devgcs.inspect().count(CallKind::CompleteMultipart);
    // What GCS refuses.
    let too_small = encode_parts(&[small.clone(), last.clone()]);
    complete(&mut client, &of, &too_small)
        .await
        .fails(Kind::Refused, Retry::Never);
    let other = Part {
        etag: "\"other\"".into(),
        ..small.clone()
    };
    complete(&mut client, &of, &encode_parts(&[other]))
        .await
        .fails(Kind::Refused, Retry::Never);
    assert_eq!(completes(&daemon), 2);
    // What GCS is not asked.
    let falling = encode_parts(&[last, small.clone()]);
    let good = encode_parts(&[small]);
    for list in [&falling[..], &good[..good.len() - 1], &[0; 8]] {
        complete(&mut client, &of, list)
            .await
            .fails(Kind::BadArgs, Retry::Never);
    }
    complete(&mut client, &of, b"")
        .await
        .fails(Kind::BadBody, Retry::Never);
    let request = Request::CompleteMultipart(complete_multipart::Args { of: of.clone() });
    let sequence = client.begin_streamed(0, &request).await;
    client.raw(&whole(&good, 8)).await;
    client
        .reply_to(sequence)
        .await
        .fails(Kind::BadFlags, Retry::Never);
    client.lives().await;
    let mut gone = daemon.connect().await;
    let sequence = gone.begin(0, &request, 1 << 40).await;
    let reply = gone.reply_to(sequence).await;
    reply.fails(Kind::BadBody, Retry::Never);
    assert!(reply.head.closing());
    let mut gone = daemon.connect().await;
    let sequence = gone.begin(0, &request, good.len() as u64).await;
    gone.raw(&good[..9]).await;
    gone.half_close().await;
    let reply = gone.reply_to(sequence).await;
    reply.fails(Kind::BodyTruncated, Retry::Same);
    assert!(reply.head.closing());
    assert_eq!(completes(&daemon), 2);
    complete(&mut client, &of, &good).await.ok();
    assert_eq!(daemon.object("lists").await, b"small");
}

#[tokio::test]
async fn what_a_multipart_upload_cannot_have_is_said() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let mut pinned = destination("no");
    pinned.preconditions.if_generation_match = Some(0);
    let mut fields = destination("no");
    fields.fields = Some("name".into());
    let mut hold = destination("no");
    hold.metadata = Bytes::from_static(br#"{"eventBasedHold":true}"#);
    let mut other = destination("no");
    other.metadata = Bytes::from_static(br#"{"name":"other"}"#);
    for destination in [pinned, fields, hold, other] {
        let request = Request::StartMultipart(start_multipart::Args { destination });
        client.call(0, request).await.fails(Kind::BadArgs, Retry::Never);
    }
    let list = list_parts::Args {
        of: of("no", ""),
        after: 0,
        max_parts: 0,
    };
    client
        .call(0, Request::ListParts(list))
        .await
        .fails(Kind::BadArgs, Retry::Never);
    assert_eq!(daemon.devgcs.inspect().calls.len(), 0);
    let mut nowhere = destination("no");
    nowhere.bucket = "no-such-bucket".parse().expect("a name");
    let request = Request::StartMultipart(start_multipart::Args { destination: nowhere });
    client.call(0, request).await.fails(Kind::NotFound, Retry::Never);
}

#[tokio::test]
async fn a_success_that_holds_an_error_is_one() {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let mut client = daemon.connect().await;
    let list = encode_parts(&[Part {
        number: 1,
        etag: "\"a\"".into(),
    }]);
    let error = |code: &str| {
        format!("\n \n<?xml version='1.0'?><Error><Code>{code}</Code><Message>It broke.</Message></Error>")
    };
    let done = "<?xml version='1.0'?><CompleteMultipartUploadResult xmlns='x'><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
    let unavailable = Some((Kind::Unavailable, Retry::Query));
    let refused = Some((Kind::Refused, Retry::Never));
    let nonsense = Some((Kind::BadResponse, Retry::Query));
    for (answer, expected) in [
        (error("InternalError"), unavailable),
        (error("SomethingNew"), unavailable),
        (error("InvalidPart"), refused),
        (String::new(), nonsense),
        ("<html>".to_owned(), nonsense),
        ("<ListPartsResult/>".to_owned(), nonsense),
        ("<CompleteMultipartUploadResult/>".to_owned(), nonsense),
        (format!("   \n{done}"), None),
    ] {
        let request = Request::CompleteMultipart(complete_multipart::Args { of: of("o", "id") });
        let sequence = client.begin(0, &request, list.len() as u64).await;
        client.raw(&list).await;
        let mut server = peer.accept().await;
        let head = server.head().await;
        assert!(
            head.starts_with("POST /bucket/o?uploadId=id HTTP/1.1\r\n"),
            "{head}"
        );
        server.upto(b"</CompleteMultipartUpload>").await;
        server
            .send(response("200 OK", "Connection: close\r\n", &answer))
            .await;
        let reply = client.reply_to(sequence).await;
        match expected {
            Some((kind, retry)) => {
                let error = reply.fails(kind, retry);
                assert_eq!(reply.head.http_status, 200, "{}", error.message);
            }
            None => {
                let Reply::CompleteMultipart(completed) = reply.ok() else {
                    panic!("no object")
                };
                assert_eq!((completed.etag.as_str(), completed.generation), ("\"e\"", None));
            }
        }
    }
    // An answer that breaks off tells nothing.
    let request = Request::CompleteMultipart(complete_multipart::Args { of: of("o", "id") });
    let sequence = client.begin(0, &request, list.len() as u64).await;
    client.raw(&list).await;
    let mut server = peer.accept().await;
    server.upto(b"</CompleteMultipartUpload>").await;
    let whole = response("200 OK", "", done);
    server.send(&whole[..whole.len() - 5]).await;
    drop(server);
    let reply = client.reply_to(sequence).await;
    assert_eq!(reply.head.status.retry(), Some(Retry::Query));
}

#[tokio::test]
async fn a_lost_answer_leaves_the_client_able_to_look() {
    let faults = "return-reset-connection-after-all on any call 2";
    let daemon = Daemon::with(Options::failing(faults)).await;
    let mut client = daemon.connect().await;
    let of = start(&mut client, destination("lost")).await;
    let only = part(1, &upload(&mut client, &of, 1, b"all of it").await);
    let reply = complete(&mut client, &of, &encode_parts(&[only])).await;
    reply.fails(Kind::Reset, Retry::Query);
    // The upload is not there any more, and the object is.
    list(&mut client, &of, 0, 0)
        .await
        .fails(Kind::NotFound, Retry::Never);
    let stat = gcsd_wire::stat_object::Args {
        of: object_ref("lost"),
    };
    client.call(0, Request::StatObject(stat)).await.ok();
}

#[tokio::test]
async fn each_request_is_one_call_of_the_xml_api() {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let mut client = daemon.connect().await;
    let name = "a b#c/ü";
    let path = "/bucket/a%20b%23c%2F%C3%BC";
    let mut upload = of(name, "i&d");
    upload.user_project = Some("billing".into());
    upload.key = Some(EncryptionKey::new([7; 32]));
    let mut new = destination(name);
    new.user_project = Some("billing".into());
    new.predefined_acl = Some("publicRead".into());
    new.metadata = Bytes::from_static(br#"{"storageClass":"NEARLINE"}"#);
    let empty = "Content-Length: 0\r\nConnection: close\r\n\r\n";
    let cases = [
        (
            Request::StartMultipart(start_multipart::Args { destination: new }),
            format!("POST {path}?uploads= HTTP/1.1"),
            vec![
                "content-length: 0",
                "x-goog-acl: public-read",
                "x-goog-storage-class: NEARLINE",
            ],
            response(
                "200 OK",
                "Connection: close\r\n",
                "<InitiateMultipartUploadResult><UploadId>n&amp;w</UploadId></InitiateMultipartUploadResult>",
            ),
        ),
        (
            part_request(&upload, 7, Some(Crc32c::of(b""))),
            format!("PUT {path}?partNumber=7&uploadId=i%26d HTTP/1.1"),
            vec![
                "content-length: 0",
                "x-goog-hash: crc32c=AAAAAA==",
                "x-goog-encryption-key-sha256: ",
            ],
            format!("HTTP/1.1 200 OK\r\nETag: \"e\"\r\n{empty}"),
        ),
        (
            Request::ListParts(list_parts::Args {
                of: upload.clone(),
                after: 3,
                max_parts: 4,
            }),
            format!("GET {path}?uploadId=i%26d&max-parts=4&part-number-marker=3 HTTP/1.1"),
            vec![],
            response("200 OK", "Connection: close\r\n", "<ListPartsResult/>"),
        ),
        (
            Request::AbortMultipart(abort_multipart::Args { of: upload.clone() }),
            format!("DELETE {path}?uploadId=i%26d HTTP/1.1"),
            vec!["content-length: 0"],
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned(),
        ),
    ];
    for (request, line, headers, answer) in cases {
        let sequence = client.begin(0, &request, 0).await;
        let mut server = peer.accept().await;
        let head = server.head().await;
        assert!(head.starts_with(&line), "{head}");
        assert!(head.contains("x-goog-user-project: billing"), "{head}");
        for header in headers {
            assert!(head.contains(header), "{header} in {head}");
        }
        server.send(answer).await;
        client.reply_to(sequence).await.ok();
    }
    // In pieces, the length is not known; what GCS says that it holds must be what was sent.
    let sequence = client.begin_streamed(0, &part_request(&upload, 7, None)).await;
    client.raw(&whole(b"hello", 5)).await;
    let mut server = peer.accept().await;
    let head = server.head().await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    server.upto(b"0\r\n\r\n").await;
    let other = Crc32c::of(b"hullo").to_base64();
    let answer = format!("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nx-goog-hash: crc32c={other}\r\n{empty}");
    server.send(answer).await;
    client
        .reply_to(sequence)
        .await
        .fails(Kind::ChecksumMismatch, Retry::Same);
}

#[tokio::test]
async fn a_client_makes_an_object_of_parts() {
    let daemon = Daemon::start().await;
    let stream = TcpStream::connect(daemon.address).await.expect("a daemon");
    let connection = Connection::over(Box::new(stream) as BoxStream, &ClientOptions::default());
    let body = pattern(7 * MIB);
    let args = start_multipart::Args {
        destination: destination("by client"),
    };
    let started = connection.start_multipart(&args).await.expect("started");
    let of = of("by client", &started.args.multipart_id);
    let mut parts = Vec::new();
    for (number, bytes) in [(1, &body[..5 * MIB]), (2, &body[5 * MIB..])] {
        let args = upload_part::Args {
            of: of.clone(),
            part_number: number,
            body_crc32c: None,
        };
        let reader = ReaderBody::new(std::io::Cursor::new(bytes.to_vec()));
        let reply = connection.upload_part(&args, Body::streamed(reader)).await;
        let etag = reply.expect("uploaded").args.etag;
        parts.push(Part { number, etag });
    }
    let args = list_parts::Args {
        of: of.clone(),
        after: 0,
        max_parts: 0,
    };
    let listed = connection.list_parts(&args).await.expect("listed").args;
    assert_eq!(listed.parts.len(), 2);
    let args = complete_multipart::Args { of: of.clone() };
    let completed = connection.complete_multipart(&args, &parts).await;
    assert_eq!(completed.expect("completed").args.crc32c, Some(Crc32c::of(&body)));
    assert_eq!(daemon.object("by client").await, body);
    let aborted = connection.abort_multipart(&abort_multipart::Args { of }).await;
    assert_eq!(aborted.expect("an answer").args, abort_multipart::Reply::Unknown);
}
