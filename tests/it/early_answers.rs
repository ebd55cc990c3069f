//! Answers of GCS that come before the body has ended: what is left of the body is never taken for a request, and
//! the connection to GCS that still owes it is never used again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gcsd_gcs::{ErrorKind, Gcs, SessionStatus, SessionUri, UploadBody, WriteRange, lend, lend_all};
use gcsd_net::TcpConnector;
use gcsd_wire::{Opcode, Request, RequestHead, ping};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::daemon::{Client, Daemon, Options, write_at};
use crate::support::feed::feed;
use crate::support::peer::{self, Conversation, Peer, active, patiently, response};
use crate::support::pieces::{data, end};
use crate::support::tap::{Listener, Tap};

/// The first segment of an answer whose head is whole and whose body is not.
const FIRST_SEGMENT: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nno";
const SECOND_SEGMENT: &str = "pe";

/// Hears the daemon read [`FIRST_SEGMENT`].
#[derive(Debug, Default)]
struct Answered(Notify);

impl Listener for Answered {
    fn wrote(&self, _connection: usize, _bytes: &[u8]) {}

    fn read(&self, _connection: usize, bytes: &[u8]) {
        if bytes == FIRST_SEGMENT.as_bytes() {
            self.0.notify_one();
        }
    }
}

/// A whole Ping request, as bytes of a body.
fn ping_request(sequence: u64) -> Bytes {
    let args = Request::Ping(ping::Args {
        echo: Bytes::from_static(b"smuggled"),
    })
    .to_bytes();
    let head = RequestHead {
        opcode: Opcode::Ping as u8,
        flags: 0,
        sequence,
        upload: 0,
        args_len: u32::try_from(args.len()).expect("short args"),
        body_len: 0,
    };
    [&head.encode()[..], &args].concat().into()
}

/// Starts an upload, which GCS answers.
async fn start(client: &mut Client, peer: &Peer) -> Conversation<TcpStream> {
    let serve = async {
        let mut server = peer.accept().await;
        server.head().await;
        let location = format!("Location: http://{}/session?upload_id=1\r\n", peer.address());
        server.send(response("200 OK", &location, "")).await;
        server
    };
    let (_, server) = patiently(async { tokio::join!(client.start(1, "early"), serve) }).await;
    server
}

#[tokio::test]
async fn what_is_left_of_a_body_is_no_request() {
    for streamed in [false, true] {
        let peer = Peer::listen().await;
        let answered = Arc::new(Answered::default());
        let daemon = Daemon::with(Options {
            endpoint: Some(format!("http://{}", peer.address())),
            connector: Arc::new(Tap::new(Arc::new(TcpConnector), answered.clone())),
            ..Options::default()
        })
        .await;
        let mut client = daemon.connect().await;
        let mut server = start(&mut client, &peer).await;
        let (sent, rest) = (Bytes::from_static(b"the start of a body"), ping_request(1000));
        let sequence = if streamed {
            let sequence = client.begin_streamed(1, &write_at(0, None)).await;
            client.raw(&data(&sent)).await;
            sequence
        } else {
            let len = (sent.len() + rest.len()) as u64;
            let sequence = client.begin(1, &write_at(0, Some(len)), len).await;
            client.raw(&sent).await;
            sequence
        };
        server.head().await;
        server.upto(&sent).await;
        server.send(FIRST_SEGMENT).await;
        // The daemon knows by now that GCS takes no more of the body, and has no answer for the client yet.
        patiently(answered.0.notified()).await;
        if streamed {
            client.raw(&data(&rest)).await;
            client.raw(&end(None)).await;
        } else {
            client.raw(&rest).await;
        }
        server.send(SECOND_SEGMENT).await;
        let reply = client.reply_to(sequence).await;
        assert_eq!(reply.head.http_status, 503);
        assert!(!reply.head.closing());
        client.lives().await;
    }
}

#[tokio::test]
async fn a_connection_that_still_owes_a_body_is_not_used_again() {
    for streamed in [false, true] {
        let peer = Peer::listen().await;
        let session = peer.session();
        let mut config = peer.config();
        // A connection that were kept would not end while the test waits for its end.
        config.idle_timeout = Duration::from_secs(3600);
        let gcs = peer::client(config);
        let (feeder, source) = feed();
        let (_lease, body) = match streamed {
            false => lend(source, 10),
            true => lend_all(source),
        };
        let write = tokio::spawn({
            let (gcs, session) = (gcs.clone(), session.clone());
            async move { write(&gcs, &session, body).await }
        });
        feeder.send(Ok(Bytes::from_static(b"abc"))).expect("fed");
        let mut server = peer.accept().await;
        server.head().await;
        server.upto(b"abc").await;
        // A whole answer, on a connection that GCS would keep.
        server.send(response("503 Service Unavailable", "", "busy")).await;
        let error = patiently(write).await.expect("no panic").expect_err("refused");
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Http, Some(503)));
        // It ends at once, without a byte more.
        let more = server.rest().await;
        assert!(more.trim_ascii().is_empty(), "{}", more.escape_ascii());
        let query = tokio::spawn(async move { gcs.query(&session).await });
        let mut fresh = peer.accept().await;
        assert!(fresh.head().await.contains("content-range: bytes */*"));
        fresh.send(active(None)).await;
        let queried = patiently(query).await.expect("no panic").expect("an answer");
        assert_eq!(queried.answer, SessionStatus::Active { committed: None });
    }
}

/// Writes 10 bytes, or all that come.
async fn write(gcs: &Gcs, session: &SessionUri, body: UploadBody) -> Result<(), gcsd_gcs::Error> {
    let range = WriteRange {
        offset: 0,
        len: body.len(),
        total: None,
        object_crc32c: None,
    };
    gcs.write(session, range, body).await.map(drop)
}
