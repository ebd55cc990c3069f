//! `gcsd put`, `get` and `stat`: the binary against a daemon in front of devgcs.

use std::fs;
use std::path::Path;

use gcsd_types::Crc32c;

use crate::support::command::{gcsd, run, signal, wait};
use crate::support::daemon::{BUCKET, Daemon, PATIENCE};
use crate::support::scripted::bytes;

const KIB: usize = 1024;

/// A path as text.
fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The names in a directory.
fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).expect("a directory");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_got() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let dir = tempfile::tempdir().expect("a directory");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    let odd = "a b/#ü?/..";
    for len in [
        0,
        1,
        256 * KIB,
        256 * KIB + 1,
        4096 * KIB,
        4096 * KIB + 1,
        6000 * KIB + 7,
    ] {
        let whole = bytes(len);
        fs::write(&source, &whole).expect("a file");
        let url = format!("gs://{BUCKET}/{odd}{len}");
        run(to, &["put", text(&source), &url], b"").await.quiet();
        assert!(daemon.object(&format!("{odd}{len}")).await == whole, "{len}");
        run(to, &["get", &url, text(&target)], b"").await.quiet();
        assert!(fs::read(&target).expect("the file") == whole, "{len}");
        let piped = run(to, &["get", &url, "-"], b"").await.quiet();
        assert!(piped.out == whole, "{len}");
    }
    assert_eq!(names(dir.path()).len(), 2, "no temporary file is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_becomes_an_object_whatever_its_length() {
    let daemon = Daemon::start().await;
    for len in [
        0,
        1,
        256 * KIB - 1,
        256 * KIB,
        256 * KIB + 1,
        512 * KIB,
        1100 * KIB,
    ] {
        let whole = bytes(len);
        let url = format!("gs://{BUCKET}/piped");
        let args = [
            "put",
            "-",
            &url,
            "--chunk",
            "256KiB",
            "--json",
            "--content-type",
            "a/b",
        ];
        let put = run(Some(daemon.address), &args, &whole).await.quiet();
        let resource: serde_json::Value = serde_json::from_str(put.text()).expect("JSON");
        assert_eq!(resource["size"], len.to_string());
        assert_eq!(resource["metadata"]["contentType"], "a/b");
        assert_eq!(resource["crc32c"], Crc32c::of(&whole).to_base64());
        assert!(daemon.object("piped").await == whole, "{len}");
    }
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_directories_and_generations() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("gs://{BUCKET}/d/digits");
    run(to, &["put", "-", &url], b"0123456789").await.quiet();
    for (range, expected) in [
        ("0-0", "0"),
        ("2-4", "234"),
        ("7-", "789"),
        ("-2", "89"),
        ("8-99", "89"),
    ] {
        let got = run(to, &["get", &url, "-", "--range", range], b"").await.quiet();
        assert_eq!(got.text(), expected, "{range}");
    }
    let got = run(to, &["get", &url, "-", "--range", "10-"], b"").await;
    got.failed(1, "range_not_satisfiable: ");
    run(to, &["get", &url, text(dir.path())], b"").await.quiet();
    assert_eq!(
        fs::read(dir.path().join("digits")).expect("the file"),
        b"0123456789"
    );

    let put = run(
        to,
        &[
            "put",
            text(&dir.path().join("digits")),
            &format!("gs://{BUCKET}/e/"),
        ],
        b"",
    )
    .await;
    put.quiet();
    let json = run(to, &["stat", "--json", &format!("gs://{BUCKET}/e/digits")], b"")
        .await
        .quiet();
    let resource: serde_json::Value = serde_json::from_str(json.text()).expect("JSON");
    let generation = resource["generation"].as_str().expect("a generation");
    let shown = run(
        to,
        &[
            "stat",
            &format!("gs://{BUCKET}/e/digits"),
            "--generation",
            generation,
        ],
        b"",
    )
    .await;
    assert!(
        shown
            .quiet()
            .text()
            .contains(&format!("generation        {generation}\n"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_their_exit_codes_and_leave_files_alone() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("target");
    fs::write(&target, "old").expect("a file");
    let url = format!("gs://{BUCKET}/o");

    run(to, &["get", &url, text(&target)], b"")
        .await
        .failed(3, "not_found: ");
    run(to, &["stat", &url], b"").await.failed(3, "not_found: ");
    run(to, &["put", "-", "gs://nowhere/o"], b"x")
        .await
        .failed(3, "not_found: ");
    run(to, &["put", "-", &url, "--no-clobber"], b"first")
        .await
        .quiet();
    let again = run(to, &["put", "-", &url, "--no-clobber"], b"second").await;
    assert_eq!(again.code, Some(0), "{}", again.err);
    let skipped = format!("gcsd: skipped: the object is there (--no-clobber): {url}\n");
    assert_eq!(again.err, skipped);
    // Who wants a failure asks for one.
    run(to, &["put", "-", &url, "--if-generation-match", "0"], b"second")
        .await
        .failed(4, "precondition_failed: ");
    assert_eq!(daemon.object("o").await, b"first");
    let args = ["get", &url, text(&target), "--if-generation-match", "1"];
    run(to, &args, b"").await.failed(4, "precondition_failed: ");
    run(to, &["put", text(dir.path()), &url], b"")
        .await
        .failed(2, "usage: ");
    run(to, &["put", "/no/such/file", &url], b"")
        .await
        .failed(1, "io: ");
    assert_eq!(run(to, &["get", "x", "y"], b"").await.code, Some(2));
    assert_eq!(fs::read(&target).expect("the file"), b"old");
    assert_eq!(names(dir.path()), ["target"]);

    let address = daemon.address;
    daemon.stopped().await;
    let gone = run(Some(address), &["stat", &url], b"").await;
    gone.failed(5, "unreachable: ");
    assert!(gone.err.contains("gcsd serve"), "{}", gone.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_put_leaves_neither_object_nor_session() {
    let daemon = Daemon::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("source");
    let file = fs::File::create(&source).expect("a file");
    file.set_len(1 << 30).expect("a sparse file");
    daemon.devgcs.pause_bodies(true);
    let args = ["put", text(&source), &format!("gs://{BUCKET}/big")];
    let child = gcsd(Some(daemon.address), &args)
        .spawn()
        .expect("the binary runs");
    let writing = |inspect: &devgcs::Snapshot| inspect.session("big").is_some_and(|s| s.writing > 0);
    assert!(daemon.devgcs.wait_for(PATIENCE, writing).await);
    signal(&child, "-INT");
    let ended = wait(child).await;
    ended.failed(130, "interrupted: ");
    assert!(
        ended.err.contains("cancelled, no object was made"),
        "{}",
        ended.err
    );
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
    assert!(daemon.devgcs.object(BUCKET, "big").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_get_leaves_no_file() {
    let daemon = Daemon::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("gs://{BUCKET}/o");
    run(Some(daemon.address), &["put", "-", &url], &bytes(64 << 20))
        .await
        .quiet();
    let pipe = dir.path().join("pipe");
    // A reader of standard output that takes nothing, until the signal.
    let mut command = gcsd(Some(daemon.address), &["get", &url, "-"]);
    let mut child = command.spawn().expect("the binary runs");
    let stdout = child.stdout.take();
    let reading = |inspect: &devgcs::Snapshot| inspect.count(devgcs::CallKind::ReadObject) == 1;
    assert!(daemon.devgcs.wait_for(PATIENCE, reading).await);
    signal(&child, "-TERM");
    wait(child).await.failed(130, "interrupted: ");
    drop(stdout);

    // A reader that goes away ends it, without a word.
    let mut command = gcsd(Some(daemon.address), &["get", &url, "-"]);
    let mut child = command.spawn().expect("the binary runs");
    drop(child.stdout.take());
    let ended = wait(child).await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(141), ""));
    assert!(!pipe.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_under_a_key_is_got_with_it_only() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let dir = tempfile::tempdir().expect("a directory");
    let (source, key) = (dir.path().join("source"), dir.path().join("key"));
    fs::write(&source, bytes(300 * KIB)).expect("a file");
    fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").expect("a file");
    let url = format!("gs://{BUCKET}/secret");
    let with_key = ["--encryption-key-file", text(&key)];
    run(to, &[&["put", text(&source), &url], &with_key[..]].concat(), b"")
        .await
        .quiet();
    run(to, &["get", &url, "-"], b"").await.failed(1, "refused");
    let got = run(to, &[&["get", &url, "-"], &with_key[..]].concat(), b"")
        .await
        .quiet();
    assert!(got.out == bytes(300 * KIB));
    let stat = run(to, &["stat", &url], b"").await.quiet();
    assert!(!stat.text().contains("crc32c"));
    let stat = run(to, &[&["stat", &url], &with_key[..]].concat(), b"")
        .await
        .quiet();
    assert!(stat.text().contains("crc32c"));
    fs::write(&key, "short").expect("a file");
    let failed = run(to, &[&["get", &url, "-"], &with_key[..]].concat(), b"").await;
    assert!(
        failed.code != Some(0) && failed.err.contains("32 bytes"),
        "{}",
        failed.err
    );
}
