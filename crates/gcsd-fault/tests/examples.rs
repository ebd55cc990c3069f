//! The examples do what they say.

#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../examples/http_client.rs"]
mod http_client;
#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../examples/retrying_client.rs"]
mod retrying_client;

use std::time::Duration;

use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

async fn retrying_client(seed: u64) -> String {
    let mut out = Vec::new();
    let run = timeout(PATIENCE, retrying_client::run(seed, &mut out)).await;
    run.expect("in time").expect("every message comes back");
    String::from_utf8(out).expect("text")
}

#[tokio::test]
async fn the_retrying_client_meets_the_same_faults_under_the_same_seed() {
    let out = retrying_client(7).await;
    let expected = "\
first message
  failed: injected: the connect was refused
  came back
second message
  failed: injected: the connection was reset
  failed: injected: the connection was reset
  failed: injected: the connection was reset
  failed: the reply is not the message
  came back
third message
  failed: the reply is not the message
  failed: injected: the connect was refused
  failed: injected: the connect was refused
  failed: the reply is not the message
  failed: the reply is not the message
  came back
13 connections, 3 refuse, 3 reset, 4 flip
";
    assert_eq!(out, expected);
    assert_eq!(retrying_client(7).await, out);
    assert_ne!(retrying_client(8).await, out);
}

#[tokio::test]
async fn the_http_client_tries_until_the_answer_is_whole() {
    let mut out = Vec::new();
    let run = timeout(PATIENCE, http_client::run(7, &mut out)).await;
    run.expect("in time").expect("an answer");
    let out = String::from_utf8(out).expect("text");
    let expected = "\
attempt 1 failed: injected: the connection was reset
attempt 2 failed: injected: the connection was reset
attempt 3: Hello, world!
";
    assert_eq!(out, expected);
}
