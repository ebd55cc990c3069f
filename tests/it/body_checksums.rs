//! `body_crc32c`: a body that is not what the client says makes neither an object nor a part (proto-spec.md, "WriteAt", "PutObject",
//! "UploadPart").

use gcsd_types::{Crc32c, MultipartRef};
use gcsd_wire::{Kind, Reply, Request, Retry, list_parts, start_multipart, upload_part, write_at};

use crate::support::daemon::{
    Client, Daemon, Frame, PATIENCE, cancel_upload, destination, finish_upload, pattern, put_object,
};
use crate::support::pieces::{data, end, whole};

const MIB: usize = 1 << 20;

fn write(offset: u64, total: Option<u64>, body: Crc32c) -> Request {
    Request::WriteAt(write_at::Args {
        offset,
        total,
        object_crc32c: None,
        body_crc32c: Some(body),
    })
}

fn put(object: &str, body: Crc32c) -> Request {
    Request::PutObject(gcsd_wire::put_object::Args {
        body_crc32c: Some(body),
        ..put_object(object)
    })
}

fn part(of: &MultipartRef, body: Crc32c) -> Request {
    Request::UploadPart(upload_part::Args {
        of: of.clone(),
        part_number: 1,
        body_crc32c: Some(body),
    })
}

async fn multipart(client: &mut Client, object: &str) -> MultipartRef {
    let destination = destination(object);
    let (bucket, object) = (destination.bucket.clone(), destination.object.clone());
    let started = client
        .call(0, Request::StartMultipart(start_multipart::Args { destination }))
        .await;
    match started.ok() {
        Reply::StartMultipart(reply) => MultipartRef {
            bucket,
            object,
            multipart_id: reply.multipart_id,
            user_project: None,
            key: None,
        },
        other => panic!("{other:?}"),
    }
}

async fn parts(client: &mut Client, of: &MultipartRef) -> usize {
    let args = list_parts::Args {
        of: of.clone(),
        after: 0,
        max_parts: 10,
    };
    match client.call(0, Request::ListParts(args)).await.ok() {
        Reply::ListParts(page) => page.parts.len(),
        other => panic!("{other:?}"),
    }
}

/// Sends a body of known length.
async fn sized(client: &mut Client, upload: u32, request: &Request, body: &[u8]) -> Frame {
    let sequence = client.begin(upload, request, body.len() as u64).await;
    client.raw(body).await;
    client.reply_to(sequence).await
}

/// Sends a body in pieces.
async fn streamed(client: &mut Client, upload: u32, request: &Request, pieces: &[u8]) -> Frame {
    let sequence = client.begin_streamed(upload, request).await;
    client.raw(pieces).await;
    client.reply_to(sequence).await
}

/// Bytes of which one is not as it was.
fn damaged(body: &[u8], at: usize) -> Vec<u8> {
    let mut damaged = body.to_vec();
    damaged[at] ^= 0x20;
    damaged
}

#[tokio::test]
async fn a_range_with_another_checksum_ends_the_upload_and_makes_no_object() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    // One byte, one read, many reads; the last range and one that is not; the first byte, and the last.
    for (len, last) in [(1, true), (1000, true), (3 * MIB + 17, true), (2 * MIB, false)] {
        for (end, at) in [0, len - 1].into_iter().enumerate() {
            let name = format!("range/{len}/{last}/{end}");
            let body = pattern(len);
            let total = last.then_some(len as u64);
            client.start(1, &name).await;
            let request = write(0, total, Crc32c::of(&body));
            let reply = sized(&mut client, 1, &request, &damaged(&body, at)).await;
            assert!(!reply.head.closing());
            assert!(!daemon.has_object(&name));
            if len < MIB && reply.head.status.retry() == Some(Retry::Same) {
                // The end is all of it: perhaps nothing was sent, and the upload goes on.
                reply.fails(Kind::BodyDamaged, Retry::Same);
            } else {
                reply.fails(Kind::BodyDamaged, Retry::Restart);
                client
                    .call(1, finish_upload(0))
                    .await
                    .fails(Kind::UploadEnded, Retry::Never);
            }
            assert_eq!(reply.error().committed, Some(0));
            // The session stands, until it is cancelled.
            assert_eq!(daemon.devgcs.inspect().open_sessions(), 1);
            client.call(1, cancel_upload()).await.ok();
            assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
            client.start(1, &name).await;
            let whole = write(0, Some(len as u64), Crc32c::of(&body));
            let reply = sized(&mut client, 1, &whole, &body).await;
            assert!(reply.progress().object.is_some());
            assert_eq!(daemon.object(&name).await, body);
        }
    }
}

#[tokio::test]
async fn an_object_or_part_with_another_checksum_is_none_and_may_be_sent_again() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    for len in [1, 3 * MIB] {
        let (object, of) = (format!("put/{len}"), format!("part/{len}"));
        let body = pattern(len);
        let sum = Crc32c::of(&body);
        let bad = damaged(&body, len - 1);
        let of = multipart(&mut client, &of).await;
        for request in [put(&object, sum), part(&of, sum)] {
            sized(&mut client, 0, &request, &bad)
                .await
                .fails(Kind::BodyDamaged, Retry::Same);
            // The end piece has the checksum of what came, and the args that of what was meant; and the other way round.
            streamed(&mut client, 0, &request, &whole(&bad, 70_000))
                .await
                .fails(Kind::BodyDamaged, Retry::Same);
            let pieces = [data(&body), end(Some(Crc32c::of(&bad)))].concat();
            streamed(&mut client, 0, &request, &pieces)
                .await
                .fails(Kind::BodyDamaged, Retry::Same);
            assert!(!daemon.has_object(&object));
            assert_eq!(parts(&mut client, &of).await, 0);
        }
        for request in [put(&object, sum), part(&of, sum)] {
            sized(&mut client, 0, &request, &body).await.ok();
            streamed(&mut client, 0, &request, &whole(&body, 70_000))
                .await
                .ok();
            streamed(&mut client, 0, &request, &[data(&body), end(None)].concat())
                .await
                .ok();
        }
        assert_eq!(daemon.object(&object).await, body);
        assert_eq!(parts(&mut client, &of).await, 1);
    }
}

#[tokio::test]
async fn a_body_without_bytes_has_a_checksum_too() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    client.start(1, "empty/upload").await;
    let of = multipart(&mut client, "empty/part").await;
    let calls = daemon.devgcs.inspect().calls.len();
    let some = Crc32c::of(b"some");
    for (upload, request) in [
        (1, write(0, Some(0), some)),
        (0, put("empty/put", some)),
        (0, part(&of, some)),
    ] {
        sized(&mut client, upload, &request, b"")
            .await
            .fails(Kind::BodyDamaged, Retry::Same);
    }
    streamed(&mut client, 1, &write(0, None, some), &end(None))
        .await
        .fails(Kind::BodyDamaged, Retry::Same);
    assert_eq!(daemon.devgcs.inspect().calls.len(), calls);
    let none = Crc32c::default();
    sized(&mut client, 0, &put("empty/put", none), b"").await.ok();
    let reply = streamed(&mut client, 1, &write(0, None, none), &end(None)).await;
    assert!(reply.progress().object.is_some());
}

#[tokio::test]
async fn nothing_of_a_body_is_held_back_but_what_ends_it() {
    let daemon = Daemon::start().await;
    let mut client = daemon.connect().await;
    let body = pattern(MIB);
    client.start(1, "held").await;
    let request = write(0, Some(MIB as u64), Crc32c::of(&body));
    let sequence = client.begin(1, &request, MIB as u64).await;
    client.raw(&body[..MIB - 1]).await;
    let arrived = daemon.devgcs.wait_for(PATIENCE, |state| {
        state
            .session("held")
            .is_some_and(|session| session.received == MIB as u64 - 1)
    });
    assert!(arrived.await, "all but the last byte is with GCS");
    client.raw(&body[MIB - 1..]).await;
    assert!(client.reply_to(sequence).await.progress().object.is_some());
}
