//! Clients that hold a place and say nothing, or too little; and those that guess the secret.

use std::time::Duration;

use gcsd_types::MultipartRef;
use gcsd_wire::{Kind, Opcode, Request, RequestHead, Retry, complete_multipart, hello, multipart};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::daemon::{BUCKET, Client, Daemon, Frame, Options, PATIENCE};

/// A time that passes while a test waits for it.
const SHORT: Duration = Duration::from_millis(700);
/// The pause between two bytes of a client that trickles.
const PAUSE: Duration = Duration::from_millis(10);
/// More pauses than `SHORT` has, many times over.
const PAUSES: usize = 2000;

/// A daemon with a short clock for the first request, and none for connections that are idle.
async fn hasty(secret: Option<&'static str>, max_connections: usize) -> Daemon {
    let mut options = Options {
        secret,
        max_connections,
        ..Options::default()
    };
    options.limits.handshake_timeout = SHORT;
    Daemon::with(options).await
}

/// Sends `bytes` one by one until the daemon answers; `None` if it closes the connection.
async fn trickle(client: &mut Client, bytes: &[u8]) -> Option<Frame> {
    for byte in bytes.iter().take(PAUSES) {
        // A connection that the daemon has closed may refuse them.
        let _ = client.stream.write_all(&[*byte]).await;
        if timeout(PAUSE, client.stream.peek(&mut [0])).await.is_ok() {
            return client.frame().await;
        }
    }
    panic!("it was let go on");
}

fn head(opcode: Opcode, args_len: u32, body_len: u64) -> Vec<u8> {
    let head = RequestHead {
        opcode: opcode as u8,
        flags: 0,
        sequence: 7,
        upload: 0,
        args_len,
        body_len,
    };
    head.encode().to_vec()
}

fn hello(secret: &'static str) -> Request {
    Request::Hello(hello::Args {
        min_version: 1,
        max_version: 1,
        secret: secret.into(),
        ..hello::Args::default()
    })
}

#[tokio::test]
async fn silent_connections_make_room_for_others() {
    let daemon = hasty(None, 5).await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(daemon.connect().await);
    }
    // It waits in the backlog until they are gone.
    let mut client = daemon.connect().await;
    client.lives().await;
    for mut silent in silent {
        silent.closed().await;
    }
    // Who has said something may be idle.
    client.lives().await;
}

#[tokio::test]
async fn a_first_request_that_trickles_is_cut() {
    let daemon = hasty(None, 1000).await;
    let mut client = daemon.connect().await;
    let bytes = [head(Opcode::Ping, 60_000, 0), vec![0; 60_000]].concat();
    let reply = trickle(&mut client, &bytes).await.expect("it is told");
    reply.fails(Kind::ClientStalled, Retry::Reconnect);
    assert!(reply.head.closing());
    client.closed().await;
}

#[tokio::test]
async fn only_the_secret_ends_the_time_for_it() {
    let daemon = hasty(Some("open sesame"), 1000).await;
    let mut knowing = daemon.connect().await;
    knowing.call(0, hello("open sesame")).await.ok();
    let mut client = daemon.connect().await;
    let mut refused = 0;
    for _ in 0..PAUSES {
        let _ = client.stream.write_all(&head(Opcode::Ping, 0, 0)).await;
        let Some(reply) = client.frame().await else {
            break;
        };
        reply.fails(Kind::Unauthenticated, Retry::Never);
        refused += 1;
        sleep(PAUSE).await;
    }
    assert!((1..PAUSES).contains(&refused), "{refused}");
    knowing.lives().await;
}

#[tokio::test]
async fn no_single_byte_starts_the_clock_of_args_anew() {
    let mut options = Options::default();
    options.limits.client_timeout = SHORT;
    let daemon = Daemon::with(options).await;
    let mut client = daemon.connect().await;
    client.lives().await;
    let bytes = [head(Opcode::Ping, 60_000, 0), vec![0; 60_000]].concat();
    let reply = trickle(&mut client, &bytes).await.expect("it is told");
    reply.fails(Kind::ClientStalled, Retry::Reconnect);
    assert!(reply.head.closing());
    client.closed().await;
}

#[tokio::test]
async fn nor_that_of_what_is_held_or_thrown_away() {
    let mut options = Options::default();
    options.limits.client_timeout = SHORT;
    let daemon = Daemon::with(options).await;
    // The list of a CompleteMultipart is held.
    let mut client = daemon.connect().await;
    let args = complete_multipart::Args {
        of: MultipartRef {
            bucket: BUCKET.parse().expect("a name"),
            object: "x".parse().expect("a name"),
            multipart_id: "id".to_owned(),
            user_project: None,
            key: None,
        },
    };
    let list = Request::CompleteMultipart(args);
    client.begin(0, &list, multipart::MAX_PARTS_LEN).await;
    let reply = trickle(&mut client, &vec![0; 60_000]).await.expect("it is told");
    reply.fails(Kind::ClientStalled, Retry::Same);
    client.closed().await;
    // A refused body is thrown away, behind its answer.
    let mut client = daemon.connect().await;
    client.raw(&head(Opcode::Ping, 0, 100_000)).await;
    client.reply_to(7).await.fails(Kind::BadBody, Retry::Never);
    assert!(trickle(&mut client, &vec![0; 60_000]).await.is_none());
}

#[tokio::test]
async fn wrong_secrets_wait_and_nobody_else_does() {
    let mut daemon = Daemon::with(Options {
        secret: Some("open sesame"),
        // A quarter of the places may wait: one.
        max_connections: 4,
        // It does not pass.
        refusal_delay: 100 * PATIENCE,
        ..Options::default()
    })
    .await;
    let mut guesses = JoinSet::new();
    for _ in 0..3 {
        let mut client = daemon.connect().await;
        client.begin(0, &hello("open sesam"), 0).await;
        guesses.spawn(async move {
            let reply = client.frame().await.expect("an answer");
            reply.fails(Kind::Unauthenticated, Retry::Never);
            assert!(reply.head.closing());
            client.closed().await;
        });
    }
    // One waits. The others, which would take further places, are told at once.
    for _ in 0..2 {
        guesses.join_next().await.expect("two").expect("no panic");
    }
    let mut client = daemon.connect().await;
    client.call(0, hello("open sesame")).await.ok();
    client.lives().await;
    assert!(guesses.try_join_next().is_none());
    // A daemon that stops waits for nobody.
    daemon.stop();
    guesses.join_next().await.expect("the third").expect("no panic");
}
