//! The client's examples do what they say.

#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../../crates/gcsd-client/examples/direct.rs"]
mod direct;
#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../../crates/gcsd-client/examples/get_range.rs"]
mod get_range;
#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../../crates/gcsd-client/examples/many_objects.rs"]
mod many_objects;
#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../../crates/gcsd-client/examples/put_file.rs"]
mod put_file;
#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../../crates/gcsd-client/examples/put_pipe.rs"]
mod put_pipe;
#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../../crates/gcsd-client/examples/several_daemons.rs"]
mod several_daemons;
#[expect(dead_code, reason = "main is for `cargo run --example`")]
#[path = "../../crates/gcsd-client/examples/striped.rs"]
mod striped;

use std::error::Error;
use std::time::Duration;

use devgcs::CallKind;
use gcsd_client::Crc32c;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::support::daemon::{BUCKET, Daemon, Options, PATIENCE, pattern};
use crate::support::devgcs::upload;

const URL: &str = "gs://bucket/object";

/// What an example prints.
async fn output(run: impl AsyncFnOnce(&mut Vec<u8>) -> Result<(), Box<dyn Error>>) -> String {
    let mut out = Vec::new();
    let ended = timeout(PATIENCE, run(&mut out)).await.expect("in time");
    ended.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)));
    String::from_utf8(out).expect("text")
}

/// A file of `bytes`, and its path.
fn file(bytes: &[u8]) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).expect("written");
    let path = path.to_str().expect("UTF-8").to_owned();
    (folder, path)
}

/// The object is `bytes`, and the last line of `out` says which it is.
async fn check(daemon: &Daemon, bytes: &[u8], out: &str) {
    assert!(daemon.object("object").await == bytes, "other bytes");
    let generation = daemon
        .devgcs
        .object(BUCKET, "object")
        .expect("it is there")
        .generation;
    let line = format!("{URL}#{generation}: {} bytes", bytes.len());
    assert_eq!(out.lines().last(), Some(line.as_str()), "{out}");
    assert_eq!(daemon.devgcs.object_names(BUCKET), ["object"]);
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
}

#[tokio::test]
async fn put_file() {
    let daemon = Daemon::start().await;
    let bytes = pattern(1_000_000);
    let (_folder, path) = file(&bytes);
    let address = daemon.address.to_string();
    let out = output(async |out| put_file::run(&address, &path, URL, out).await).await;
    check(&daemon, &bytes, &out).await;
    let stored = daemon.devgcs.object(BUCKET, "object").expect("it is there");
    assert_eq!(stored.resource["contentType"], "application/x-tar");
    let missing = put_file::run(&address, "/no/such/file", URL, &mut Vec::new()).await;
    assert!(missing.is_err());
}

#[tokio::test]
async fn put_pipe() {
    let daemon = Daemon::start().await;
    let bytes = pattern(10_000_000);
    let address = daemon.address.to_string();
    let (mut feeder, pipe) = tokio::io::duplex(64 << 10);
    let feeding = async {
        feeder.write_all(&bytes).await.expect("taken");
        drop(feeder);
    };
    let running = output(async |out| put_pipe::run(&address, URL, pipe, out).await);
    let (out, ()) = tokio::join!(running, feeding);
    check(&daemon, &bytes, &out).await;
    // Nothing at all is an object, too.
    let out = output(async |out| put_pipe::run(&address, URL, tokio::io::empty(), out).await).await;
    check(&daemon, b"", &out).await;
}

#[tokio::test]
async fn a_pipe_that_is_refused_leaves_nothing() {
    let mut options = Options::default();
    options.devgcs = options.devgcs.faults("return-403 on write");
    let daemon = Daemon::with(options).await;
    let (address, bytes) = (daemon.address.to_string(), pattern(20_000_000));
    let mut out = Vec::new();
    let running = put_pipe::run(&address, URL, &bytes[..], &mut out);
    assert!(timeout(PATIENCE, running).await.expect("in time").is_err());
    assert!(!daemon.has_object("object"));
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
}

#[tokio::test]
async fn get_range() {
    let daemon = Daemon::start().await;
    let bytes = pattern(1_000_000);
    upload(&daemon.devgcs, "object", &bytes).await;
    let address = daemon.address.to_string();
    let mut out = Vec::new();
    let running = get_range::run(&address, URL, 300_000, 500_000, &mut out);
    timeout(PATIENCE, running).await.expect("in time").expect("bytes");
    assert!(out == bytes[300_000..800_000]);
    let beyond = get_range::run(&address, URL, 2_000_000, 1, &mut Vec::new()).await;
    assert!(beyond.is_err());
}

#[tokio::test]
async fn many_objects() {
    let mut options = Options::default();
    options.devgcs = options.devgcs.faults("return-404 on read call 12");
    let daemon = Daemon::with(options).await;
    let mut expected = Vec::new();
    for number in 10..34 {
        let (name, bytes) = (format!("many/{number}"), pattern(number * 1000));
        upload(&daemon.devgcs, &name, &bytes).await;
        let len = bytes.len();
        expected.push(format!("{} {len:>12} gs://bucket/{name}", Crc32c::of(&bytes)));
    }
    upload(&daemon.devgcs, "another", b"").await;
    let address = daemon.address.to_string();
    // One of them is refused: that is reported, and the rest continues.
    let mut out = Vec::new();
    let error = many_objects::run(&address, "gs://bucket/many/", &mut out).await;
    let error = error.expect_err("one is missing").to_string();
    assert_eq!(error, "1 objects could not be read");
    let out = String::from_utf8(out).expect("text");
    let (failed, read): (Vec<_>, Vec<_>) = out.lines().partition(|line| line.starts_with("failed: "));
    assert_eq!((failed.len(), read.len()), (1, 23), "{out}");
    assert!(
        read.iter().all(|line| expected.iter().any(|other| other == line)),
        "{out}"
    );
    // Now all are there, in whatever order.
    let out = output(async |out| many_objects::run(&address, "gs://bucket/many/", out).await).await;
    let mut lines: Vec<_> = out.lines().collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn striped() {
    let daemon = Daemon::start().await;
    let bytes = pattern(5_000_000);
    let (_folder, path) = file(&bytes);
    let address = daemon.address.to_string();
    let out = output(async |out| striped::run(&address, &path, URL, out).await).await;
    check(&daemon, &bytes, &out).await;
    assert!(out.contains(" bytes are at Cloud Storage\n"), "{out}");
    let stored = daemon.devgcs.object(BUCKET, "object").expect("it is there");
    assert_eq!(stored.resource["componentCount"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_daemons() {
    let mut first = Daemon::with(Options {
        grace: Duration::ZERO,
        ..Options::default()
    })
    .await;
    let second = Daemon::with(Options {
        endpoint: Some(first.devgcs.endpoint()),
        ..Options::default()
    })
    .await;
    let bytes = pattern(5_000_000);
    let (_folder, path) = file(&bytes);
    let daemons = format!("{},{}", first.address, second.address);
    first.devgcs.pause_bodies(true);
    let running = tokio::spawn(async move {
        output(async |out| several_daemons::run(&daemons, &path, URL, out).await).await
    });
    let begun = first
        .devgcs
        .wait_for(PATIENCE, |seen| seen.count(CallKind::WriteUpload) > 0);
    assert!(begun.await, "the upload is under way");
    first.stop();
    first.devgcs.pause_bodies(false);
    let out = running.await.expect("no panic");
    check(&first, &bytes, &out).await;
    assert!(out.starts_with("recovered from "), "{out}");
    assert!(!out.contains("\n0 other connections"), "{out}");
}

#[tokio::test]
async fn direct() {
    let daemon = Daemon::start().await;
    let bytes = pattern(1_000_000);
    let (_folder, path) = file(&bytes);
    let endpoint = daemon.devgcs.endpoint();
    let out = output(async |out| direct::run(&path, URL, Some(&endpoint), out).await).await;
    check(&daemon, &bytes, &out).await;
}
