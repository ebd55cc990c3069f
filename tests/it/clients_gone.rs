//! Clients that are gone: work that is of no use without them is dropped at once, the rest is finished.

use std::time::Duration;

use gcsd_net::Stream as _;
use gcsd_types::{ByteRange, MultipartRef, ObjectQuery};
use gcsd_wire::{Request, list_objects, read_at, stat_object, upload_part};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::support::daemon::{
    BUCKET, Client, Daemon, Options, destination, object_ref, pattern, put_object, write_at,
};
use crate::support::peer::{Conversation, Peer, patiently, response};
use crate::support::waiting::becomes;

/// A daemon that loses its patience with nobody.
async fn daemon(gcs: &Peer) -> Daemon {
    let mut options = Options {
        endpoint: Some(format!("http://{}", gcs.address())),
        ..Options::default()
    };
    options.limits.gcs_timeout = Duration::from_secs(3600);
    options.limits.client_timeout = Duration::from_secs(3600);
    Daemon::with(options).await
}

/// A connection with an open upload, 1.
async fn with_upload(daemon: &Daemon, gcs: &Peer) -> Client {
    let mut client = daemon.connect().await;
    let started = async {
        let location = format!("Location: http://{}/session?upload_id=secret\r\n", gcs.address());
        let mut start = gcs.accept().await;
        start.head().await;
        let headers = format!("{location}Connection: close\r\n");
        start.send(response("200 OK", &headers, "")).await;
    };
    tokio::join!(client.start(1, "object"), started);
    client
}

fn part() -> Request {
    let destination = destination("object");
    Request::UploadPart(upload_part::Args {
        of: MultipartRef {
            bucket: destination.bucket,
            object: destination.object,
            multipart_id: "id".into(),
            user_project: None,
            key: None,
        },
        part_number: 1,
        body_crc32c: None,
    })
}

/// The requests that stream a body, of `len` bytes.
fn streamed(len: usize) -> [Request; 3] {
    [
        write_at(0, Some(len as u64)),
        Request::PutObject(put_object("object")),
        part(),
    ]
}

/// The upload that a request is on.
fn id(request: &Request) -> u32 {
    u32::from(matches!(request, Request::WriteAt(_)))
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("an option");
}

#[tokio::test]
async fn a_body_that_will_never_be_complete_is_cut_while_gcs_takes_nothing() {
    let gcs = Peer::listen().await;
    let daemon = daemon(&gcs).await;
    let len = 1 << 30;
    for request in streamed(len) {
        let mut client = with_upload(&daemon, &gcs).await;
        client.begin(id(&request), &request, len as u64).await;
        // Not read from here on.
        let mut put = gcs.accept().await;
        put.head().await;
        let mut client = Conversation::new(client.stream);
        assert!(client.flood().await < len as u64, "GCS takes nothing");
        client.reset();
        let put = put.into_stream();
        let ready = patiently(put.ready(Interest::ERROR)).await.expect("a socket");
        assert!(ready.is_error(), "{request:?}");
    }
}

#[tokio::test]
async fn a_body_that_was_received_is_finished_unless_it_is_a_part() {
    let gcs = Peer::listen().await;
    let daemon = daemon(&gcs).await;
    // More than the daemon takes while GCS takes nothing, and less than the kernel keeps for it beside.
    let body = pattern(400_000);
    for request in streamed(body.len()) {
        let is_part = matches!(request, Request::UploadPart(_));
        let mut client = with_upload(&daemon, &gcs).await;
        let before = client.stream.acknowledged().expect("Linux");
        client.begin(id(&request), &request, body.len() as u64).await;
        let mut put = gcs.accept().await;
        let head = put.head().await.to_lowercase();
        let (_, length) = head.split_once("content-length: ").expect("a length");
        let length = length.lines().next().expect("a line").parse().expect("a number");
        client.raw(&body).await;
        let stream = client.stream;
        becomes(|| stream.acknowledged().expect("Linux") > before + body.len() as u64).await;
        reset(stream);
        if is_part {
            let put = put.into_stream();
            let ready = patiently(put.ready(Interest::ERROR)).await.expect("a socket");
            assert!(ready.is_error());
        } else {
            let whole = put.body(length).await;
            let found = whole.windows(body.len()).any(|bytes| bytes == body);
            assert!(found, "{request:?}");
        }
    }
}

#[tokio::test]
async fn a_part_is_dropped_while_gcs_owes_the_answer() {
    let gcs = Peer::listen().await;
    let daemon = daemon(&gcs).await;
    let mut client = daemon.connect().await;
    let body = pattern(1000);
    client.begin(0, &part(), body.len() as u64).await;
    client.raw(&body).await;
    let mut put = gcs.accept().await;
    put.head().await;
    put.body(body.len()).await;
    reset(client.stream);
    assert_eq!(put.count_to_end().await, 0);
}

#[tokio::test]
async fn what_only_looks_is_dropped() {
    let gcs = Peer::listen().await;
    let daemon = daemon(&gcs).await;
    let requests = [
        Request::ReadAt(read_at::Args {
            of: object_ref("object"),
            range: ByteRange::From(0),
            decompress: false,
        }),
        Request::StatObject(stat_object::Args {
            of: object_ref("object"),
        }),
        Request::ListObjects(list_objects::Args {
            query: ObjectQuery::new(BUCKET.parse().expect("a name")),
        }),
    ];
    for request in requests {
        let mut client = daemon.connect().await;
        client.begin(0, &request, 0).await;
        let mut call = gcs.accept().await;
        call.head().await;
        reset(client.stream);
        assert_eq!(call.count_to_end().await, 0, "{request:?}");
    }
}
