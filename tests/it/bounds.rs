//! What all connections together may hold: calls and memory, each divided so that nobody takes all of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gcsd::server::Stopped;
use gcsd_wire::{Kind, Request, Retry, stat_object};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::daemon::{
    BUCKET, Daemon, Options, attach, object_ref, put_object, start_upload, write_at,
};
use crate::support::peer::response;
use crate::support::pieces::data;
use crate::support::waiting::{becomes, standstill};

/// A Cloud Storage that answers nobody before it is told to.
struct Silent {
    endpoint: String,
    accepted: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    task: JoinHandle<()>,
}

impl Silent {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let (accepted, open) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<_>>>::default());
        let task = tokio::spawn({
            let (accepted, open) = (accepted.clone(), open.clone());
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    open.lock().expect("no panic under the lock").push(stream);
                    accepted.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self {
            endpoint,
            accepted,
            open,
            task,
        }
    }

    fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The connection that came last, which must have brought the request for `object`.
    async fn answer_last(&self, object: &str, answer: &str) -> TcpStream {
        let last = self.open.lock().expect("no panic under the lock").pop();
        let mut stream = last.expect("a connection");
        let mut head = Vec::new();
        while !head.windows(4).any(|four| four == b"\r\n\r\n") {
            assert!(
                stream.read_buf(&mut head).await.expect("a request") > 0,
                "it ended"
            );
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.contains(object), "{head}");
        stream.write_all(answer.as_bytes()).await.expect("sent");
        stream
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn daemon(gcs: &Silent, options: Options) -> Daemon {
    Daemon::with(Options {
        endpoint: Some(gcs.endpoint.clone()),
        ..options
    })
    .await
}

fn stat(object: &str) -> Request {
    Request::StatObject(stat_object::Args {
        of: object_ref(object),
    })
}

fn not_found() -> String {
    response("404 Not Found", "Content-Type: application/json\r\n", "{}")
}

async fn calls(max_calls: usize, gcs: &Silent) -> Daemon {
    let options = Options {
        max_calls,
        ..Options::default()
    };
    daemon(gcs, options).await
}

#[tokio::test]
async fn one_connection_leaves_calls_to_the_others() {
    let gcs = Silent::listen().await;
    let daemon = calls(4, &gcs).await;
    let mut greedy = daemon.connect().await;
    for _ in 0..60 {
        greedy.begin(0, &stat("greedy"), 0).await;
    }
    becomes(|| gcs.connections() == 2).await;
    // What waits has no connection to Cloud Storage.
    assert!(standstill(|| gcs.connections() as u64).await <= 2);
    let mut modest = daemon.connect().await;
    let sequence = modest.begin(0, &stat("modest"), 0).await;
    becomes(|| gcs.connections() == 3).await;
    let _kept = gcs.answer_last("modest", &not_found()).await;
    modest
        .reply_to(sequence)
        .await
        .fails(Kind::NotFound, Retry::Never);
}

#[tokio::test]
async fn calls_that_wait_are_cut_when_the_daemon_stops() {
    let gcs = Silent::listen().await;
    let options = Options {
        max_calls: 2,
        grace: std::time::Duration::ZERO,
        ..Options::default()
    };
    let mut daemon = daemon(&gcs, options).await;
    let mut client = daemon.connect().await;
    for _ in 0..10 {
        client.begin(0, &stat("x"), 0).await;
    }
    becomes(|| gcs.connections() == 1).await;
    // Answered behind them: all were read.
    client.lives().await;
    let stopped = daemon.drain();
    let (stopped, ()) = tokio::join!(stopped, async {
        for _ in 0..10 {
            let reply = client.frame().await.expect("an answer");
            reply.fails(Kind::Draining, Retry::Reconnect);
        }
        client.closed().await;
    });
    assert_eq!(stopped, Stopped::Cut);
    assert!(gcs.connections() <= 1);
}

#[tokio::test]
async fn a_body_that_waits_for_its_call_is_fenced_at_once() {
    let gcs = Silent::listen().await;
    let daemon = calls(2, &gcs).await;
    let mut writer = daemon.connect().await;
    let begun = writer.begin(1, &start_upload("x"), 0).await;
    becomes(|| gcs.connections() == 1).await;
    let location = format!("Location: {}/session?upload_id=secret\r\n", gcs.endpoint);
    let kept = gcs
        .answer_last("name=x", &response("200 OK", &location, ""))
        .await;
    let gcsd_wire::Reply::StartUpload(started) = writer.reply_to(begun).await.ok() else {
        panic!("it is one")
    };
    // That connection is kept; with the second one, all calls are taken.
    drop(kept);
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut other = daemon.connect().await;
        other.begin(0, &stat("other"), 0).await;
        others.push(other);
    }
    becomes(|| gcs.connections() == 3).await;
    let body = vec![0; 1 << 18];
    let write = writer.begin(1, &write_at(0, None), body.len() as u64).await;
    writer.raw(&body).await;
    let mut taker = daemon.connect().await;
    taker.call(1, attach(&started.token)).await.ok();
    writer.reply_to(write).await.fails(Kind::Fenced, Retry::Never);
    assert_eq!(gcs.connections(), 3);
}

#[tokio::test]
async fn memory_bounds_the_bodies_and_not_the_connections() {
    let gcs = Silent::listen().await;
    let options = Options {
        // Four bodies, and not five.
        max_memory: 4 << 20,
        ..Options::default()
    };
    let daemon = daemon(&gcs, options).await;
    let mut clients = Vec::new();
    for number in 0..5 {
        becomes(|| gcs.connections() == number).await;
        let mut client = daemon.connect().await;
        let put = Request::PutObject(put_object("x"));
        client.begin_streamed(0, &put).await;
        client.raw(&data(b"some")).await;
        clients.push(client);
    }
    assert!(standstill(|| gcs.connections() as u64).await <= 4);
    // Others are let in, are heard, and wait with what needs memory.
    let mut client = daemon.connect().await;
    client.lives().await;
    let waiting = client.begin(0, &stat("y"), 0).await;
    // Each body that ends makes room: the fifth goes first.
    clients.drain(..2);
    becomes(|| gcs.connections() == 6).await;
    clients.clear();
    for _ in 0..2 {
        let mut last = gcs
            .open
            .lock()
            .expect("no panic under the lock")
            .pop()
            .expect("two");
        let mut head = vec![0; 32];
        last.read_exact(&mut head).await.expect("a request");
        if head.starts_with(b"GET") {
            last.write_all(not_found().as_bytes()).await.expect("sent");
            client.reply_to(waiting).await.fails(Kind::NotFound, Retry::Never);
            return;
        }
    }
    panic!("the fifth body and the other's request came last");
}

#[tokio::test]
async fn a_connection_that_asks_for_everything_is_answered_bit_by_bit() {
    let daemon = Daemon::with(Options {
        max_memory: 1 << 20,
        max_calls: 1,
        ..Options::default()
    })
    .await;
    let mut client = daemon.connect().await;
    client.put(1, "x", &vec![7; 3 << 20]).await;
    let mut sequences: std::collections::HashSet<u64> = std::collections::HashSet::new();
    for _ in 0..100 {
        sequences.insert(client.begin(0, &stat("x"), 0).await);
        let put = Request::PutObject(put_object("y"));
        sequences.insert(client.begin(0, &put, 4).await);
        client.raw(b"body").await;
    }
    while !sequences.is_empty() {
        let frame = client.frame().await.expect("an answer");
        frame.ok();
        assert!(sequences.remove(&frame.head.sequence));
    }
    assert!(daemon.devgcs.object(BUCKET, "y").is_some());
    assert_eq!(daemon.stopped().await, Stopped::Drained);
}

/// Whatever became of the requests: what they held is free again.
#[tokio::test]
async fn what_requests_held_comes_back() {
    let daemon = Daemon::start().await;
    let (memory, calls) = (daemon.memory.free(), daemon.calls.free());
    assert!(memory > 0 && calls > 0);
    let mut client = daemon.connect().await;
    assert!(!client.call(0, stat("none")).await.head.status.is_ok());
    let put = Request::PutObject(put_object("object"));
    let sequence = client.begin(0, &put, 5).await;
    client.raw(b"bytes").await;
    client.reply_to(sequence).await.ok();
    // Given up in the middle of its body.
    client.begin(0, &put, 5).await;
    client.raw(b"by").await;
    drop(client);
    becomes(|| (daemon.memory.free(), daemon.calls.free()) == (memory, calls)).await;
}
