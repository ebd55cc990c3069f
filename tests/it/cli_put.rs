//! `gcsd put` where things go wrong: it recovers and says so, or makes no object and says why.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Child;

use devgcs::{self, CallKind, Snapshot};
use gcsd_types::Crc32c;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Ended, gcsd, run, wait};
use crate::support::daemon::{BUCKET, Daemon, Options, PATIENCE};
use crate::support::scripted::bytes;

const URL: &str = "gs://bucket/object";

/// A daemon whose GCS fails by `plan`.
async fn failing(plan: &str) -> Daemon {
    let devgcs = devgcs::Server::builder().bucket(BUCKET).faults(plan);
    Daemon::with(Options {
        devgcs,
        ..Options::default()
    })
    .await
}

/// A file of its own directory.
fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("source");
    fs::write(&path, bytes).expect("a file");
    (dir, path)
}

/// A `put` of `path` under way, of which GCS has begun to take bytes, and now takes no more.
async fn held_up(daemon: &Daemon, args: &[&str]) -> Child {
    daemon.devgcs.pause_bodies(true);
    let child = gcsd(Some(daemon.address), args).spawn().expect("the binary runs");
    let writing = |inspect: &Snapshot| inspect.session("object").is_some_and(|s| s.writing > 0);
    assert!(daemon.devgcs.wait_for(PATIENCE, writing).await);
    child
}

/// It succeeded, and says that it recovered from `failures`.
#[track_caller]
fn recovered(ended: &Ended, failures: &str) {
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let last = ended.err.lines().last().expect("a line");
    assert_eq!(last, format!("gcsd: recovered {failures}"), "{}", ended.err);
}

const PLAN: &str = "return-503 on write call 0; return-reset-connection-after-512K on write call 1; \
                    close-connection-after-all on last call 0";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_and_a_pipe_survive_what_gcs_does_and_tell() {
    let whole = bytes(3 << 20);
    let (_dir, path) = file(&whole);
    let path = path.to_str().expect("UTF-8");
    for (args, input) in [
        (vec!["put", path, URL], &b""[..]),
        (vec!["put", "-", URL, "--chunk", "512KiB"], &whole),
    ] {
        let daemon = failing(PLAN).await;
        let args = [&args[..], &["--json"]].concat();
        let put = run(Some(daemon.address), &args, input).await;
        recovered(&put, "3 times: 1 early_close, 1 reset, 1 unavailable");
        assert!(
            put.err.starts_with("gcsd: unavailable: ")
                && put.err.contains("; trying again, for up to 10 min\n"),
            "{}",
            put.err
        );
        let resource: Value = serde_json::from_str(put.text()).expect("JSON");
        assert_eq!(resource["crc32c"], Crc32c::of(&whole).to_base64());
        assert_eq!(resource["gcsd"]["recovered"], 3);
        assert_eq!(resource["gcsd"]["failures"]["unavailable"], 1);
        assert!(daemon.object("object").await == whole);
        // Who does not want to know is not told.
        let quiet = failing(PLAN).await;
        let args = [&args[..], &["--quiet"]].concat();
        run(Some(quiet.address), &args, input).await.quiet();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_want_to_wait_gives_up_at_once() {
    let daemon = failing("return-503 on write").await;
    let args = ["put", "-", URL, "--retry-for", "0"];
    let put = run(Some(daemon.address), &args, b"hello").await;
    put.failed(5, "unavailable: gave up after 1 failure and 0 s");
    assert!(
        put.err.contains("the upload was cancelled, no object was made"),
        "{}",
        put.err
    );
    let address = daemon.address;
    daemon.stopped().await;
    let put = run(Some(address), &args, b"hello").await;
    put.failed(5, "unreachable: ");
    assert!(
        put.err
            .contains("nothing was uploaded; is a daemon running there?"),
        "{}",
        put.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_it_is_uploaded_becomes_no_object() {
    for grow in [true, false] {
        let daemon = Daemon::start().await;
        let (_dir, path) = file(&bytes(16 << 20));
        let child = held_up(&daemon, &["put", path.to_str().expect("UTF-8"), URL]).await;
        let mut file = fs::File::options()
            .append(grow)
            .write(true)
            .open(&path)
            .expect("a file");
        file.write_all(b"other").expect("written");
        drop(file);
        daemon.devgcs.pause_bodies(false);
        let put = wait(child).await;
        put.failed(1, "source_changed: the source changed during the upload: it ");
        assert!(
            put.err.contains("the upload was cancelled, no object was made"),
            "{}",
            put.err
        );
        assert!(!daemon.has_object("object"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_daemon_goes_on_where_one_stops() {
    let mut first = Daemon::with(Options {
        grace: std::time::Duration::ZERO,
        ..Options::default()
    })
    .await;
    let second = Daemon::with(Options {
        endpoint: Some(first.devgcs.endpoint()),
        ..Options::default()
    })
    .await;
    let whole = bytes(16 << 20);
    let (_dir, path) = file(&whole);
    let both = format!("{},{}", first.address, second.address);
    let args = ["put", path.to_str().expect("UTF-8"), URL, "--connect", &both];
    let child = held_up(&first, &args).await;
    first.stop();
    let elsewhere = |inspect: &Snapshot| inspect.count(CallKind::QueryUpload) > 0;
    assert!(first.devgcs.wait_for(PATIENCE, elsewhere).await);
    first.devgcs.pause_bodies(false);
    let put = wait(child).await;
    assert!(put.err.contains("gcsd: recovered once: 1 "), "{}", put.err);
    assert_eq!(put.code, Some(0), "{}", put.err);
    assert!(first.object("object").await == whole);
    // What is asked once goes to whoever is there.
    let args = ["stat", URL, "--connect", &both];
    run(None, &args, b"").await.quiet();
}
