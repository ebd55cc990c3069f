//! What commands know of objects beside their bytes: metadata, sizes, checksums.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::command::{Ended, run};
use crate::support::daemon::Daemon;
use crate::support::devgcs::upload;

fn lines(ended: &Ended) -> Vec<Value> {
    let lines = ended.text().lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    upload(&daemon.devgcs, "d/a", b"hello").await;
    upload(&daemon.devgcs, "d/b", b"hello").await;
    let stored = daemon.devgcs.object("bucket", "d/a").expect("it is there");
    let args = [
        "update",
        "gs://bucket/d/a",
        "--content-type",
        "text/html",
        "--cache-control",
        "no-cache",
        "--custom-metadata",
        "a=1,b=2",
        "--json",
    ];
    let update = run(to, &args, b"").await.quiet();
    let line = &lines(&update)[0];
    assert_eq!(line["url"], "gs://bucket/d/a");
    assert_eq!(line["metadata"]["contentType"], "text/html");
    assert_eq!(line["metadata"]["metadata"]["b"], "2");
    assert_eq!(line["generation"], stored.generation.to_string());
    let args = [
        "update",
        "gs://bucket/d/a",
        "--cache-control=",
        "--remove-custom-metadata",
        "a",
        "--custom-metadata",
        "b=3",
        "--json",
    ];
    let update = run(to, &args, b"").await.quiet();
    let resource = &lines(&update)[0]["metadata"];
    assert_eq!(resource["contentType"], "text/html");
    assert!(resource["cacheControl"].is_null() && resource["metadata"]["a"].is_null());
    assert_eq!(resource["metadata"]["b"], "3");
    // Many, and then none of its own.
    let args = ["update", "-r", "gs://bucket/d", "--content-language", "en", "-v"];
    let update = run(to, &args, b"").await;
    assert_eq!(update.code, Some(0), "{}", update.err);
    assert_eq!(update.err.matches("gcsd: updated: ").count(), 2, "{}", update.err);
    let args = ["update", "gs://bucket/d/a", "--clear-custom-metadata", "--json"];
    let update = run(to, &args, b"").await.quiet();
    assert!(lines(&update)[0]["metadata"]["metadata"].is_null());
    // Conditions hold, and nothing is nothing.
    let args = [
        "update",
        "gs://bucket/d/a",
        "--content-type",
        "x/y",
        "--if-metageneration-match",
        "1",
    ];
    run(to, &args, b"").await.failed(4, "precondition_failed: ");
    let update = run(to, &["update", "gs://bucket/d/a"], b"").await;
    update.failed(2, "usage: nothing is to change; ");
    let args = ["update", "gs://bucket/none", "--content-type", "x/y"];
    run(to, &args, b"").await.failed(3, "not_found: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_summed_up_by_directory() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    for (name, len) in [("a/x", 1), ("a/b/y", 10), ("a/b/z.tmp", 100), ("c", 1000)] {
        upload(&daemon.devgcs, name, &vec![b'x'; len]).await;
    }
    let du = run(to, &["du", "gs://bucket"], b"").await.quiet();
    let expected =
        "         110  gs://bucket/a/b/\n         111  gs://bucket/a/\n        1111  gs://bucket/\n";
    assert_eq!(du.text(), expected);
    let args = [
        "du",
        "-s",
        "gs://bucket/a",
        "gs://bucket/c",
        "-c",
        "--exclude",
        "*.tmp",
    ];
    let du = run(to, &args, b"").await.quiet();
    let expected = "          11  gs://bucket/a\n        1000  gs://bucket/c\n        1011  total\n";
    assert_eq!(du.text(), expected);
    let args = ["du", "-s", "--json", "gs://bucket/a", "gs://bucket/none"];
    let du = run(to, &args, b"").await;
    assert_eq!(du.code, Some(3), "{}", du.err);
    let lines = lines(&du);
    assert_eq!(
        (&lines[0]["size"], &lines[0]["objects"]),
        (&"111".into(), &3.into())
    );
    assert_eq!(lines[1]["error"]["name"], "not_found");
    let args = ["du", "--readable-sizes", "-s", "gs://bucket/c"];
    let du = run(to, &args, b"").await.quiet();
    assert_eq!(du.text(), "      1000 B  gs://bucket/c\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn checksums_of_files_and_objects_are_alike() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    upload(&daemon.devgcs, "o", b"hello world").await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("f");
    fs::write(&file, "hello world").expect("a file");
    let file = file.to_str().expect("UTF-8");
    // As gcloud prints them.
    let base64 = |url: &str| {
        format!(
            "---\ncrc32c_hash: yZRlqg==\ndigest_format: base64\nmd5_hash: XrY7u+Ae7tCTyyK7j1rNww==\nurl: {url}\n"
        )
    };
    let hash = run(to, &["hash", file, "gs://bucket/o"], b"").await.quiet();
    assert_eq!(hash.text(), base64(file) + &base64("gs://bucket/o"));
    // A file needs no daemon.
    let hash = run(None, &["hash", "-", "--hex", "--skip-md5"], b"hello world")
        .await
        .quiet();
    assert_eq!(
        hash.text(),
        "---\ncrc32c_hash: c99465aa\ndigest_format: hex\nurl: -\n"
    );
    let args = ["hash", "--json", "--hex", "gs://bucket/*", "/no/such/file"];
    let hash = run(to, &args, b"").await;
    assert_eq!(hash.code, Some(1), "{}", hash.err);
    let lines = lines(&hash);
    assert_eq!(lines[0]["md5"], "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert_eq!(
        (&lines[0]["size"], &lines[0]["url"]),
        (&"11".into(), &"gs://bucket/o".into())
    );
    assert_eq!(lines[1]["error"]["name"], "io");
    assert_eq!(lines[1]["file"], "/no/such/file");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_give_content_types_and_times_come_back() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("page.html");
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
    let opened = fs::File::create(&file).expect("a file");
    opened.set_modified(time).expect("its time");
    let path = file.to_str().expect("UTF-8");
    let resource = async |args: &[&str]| {
        let put = run(to, &[args, &["--json"]].concat(), b"x").await.quiet();
        lines(&put)[0]["metadata"].clone()
    };
    let one = resource(&["put", path, "gs://bucket/d/"]).await;
    assert_eq!(one["contentType"], "text/html");
    assert_eq!(one["metadata"]["mtime"], "2023-11-14T22:13:20.123456789Z");
    assert_eq!(one["metadata"]["goog-reserved-file-mtime"], "1700000000");
    let parent = dir.path().to_str().expect("UTF-8");
    let many = resource(&["put", "-r", parent, "gs://bucket/e", "--no-mtime"]).await;
    assert_eq!(many["contentType"], "text/html");
    assert!(many["metadata"].is_null());
    let given = resource(&["put", path, "gs://bucket/x", "--content-type", "a/b"]).await;
    assert_eq!(given["contentType"], "a/b");
    let piped = resource(&["put", "-", "gs://bucket/dump.json"]).await;
    assert_eq!(piped["contentType"], "application/json");
    assert!(piped["metadata"].is_null());
    // Whole, and in ranges at once.
    let modified = |name: &str| {
        let metadata = fs::metadata(dir.path().join(name)).expect("the file");
        metadata.modified().expect("a time")
    };
    let target = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    run(to, &["get", "gs://bucket/d/page.html", &target("now")], b"")
        .await
        .quiet();
    assert_ne!(modified("now"), time);
    let args = ["get", "-p", "gs://bucket/d/page.html", &target("then")];
    run(to, &args, b"").await.quiet();
    assert_eq!(modified("then"), time);
    let large = dir.path().join("large");
    fs::write(&large, vec![7; 3 << 20]).expect("a file");
    let opened = fs::File::options().write(true).open(&large).expect("the file");
    opened.set_modified(time).expect("its time");
    resource(&["put", large.to_str().expect("UTF-8"), "gs://bucket/large"]).await;
    let args = [
        "get",
        "-p",
        "gs://bucket/large",
        &target("ranges"),
        "--connections",
        "3",
    ];
    run(to, &args, b"").await.quiet();
    assert_eq!(modified("ranges"), time);
    // What no time is known of has that of now.
    let args = ["get", "-p", "gs://bucket/dump.json", &target("none")];
    run(to, &args, b"").await.quiet();
    assert!(modified("none") > time);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unchanged_is_skipped() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(name), name).expect("a file");
    }
    let path = dir.path().to_str().expect("UTF-8");
    let put = ["put", "-r", path, "gs://bucket/d", "--skip-unchanged", "-v"];
    let first = run(to, &put, b"").await;
    assert_eq!(first.err.matches("gcsd: uploaded: ").count(), 3, "{}", first.err);
    // The same size, and another one.
    fs::write(dir.path().join("b"), "B").expect("a file");
    fs::write(dir.path().join("c"), "cc").expect("a file");
    let dry = run(to, &[&put[..], &["--dry-run"]].concat(), b"").await;
    assert_eq!(dry.err.matches("gcsd: would upload: ").count(), 2, "{}", dry.err);
    assert!(daemon.object("d/b").await == b"b"[..]);
    let second = run(to, &put, b"").await;
    assert_eq!(second.code, Some(0), "{}", second.err);
    let skipped = "gcsd: skipped: the object has the same bytes (--skip-unchanged): gs://bucket/d/a\n";
    assert!(second.err.contains(skipped), "{}", second.err);
    assert_eq!(
        second.err.matches("gcsd: uploaded: ").count(),
        2,
        "{}",
        second.err
    );
    assert!(daemon.object("d/b").await == b"B"[..] && daemon.object("d/c").await == b"cc"[..]);
    // One file alone.
    let file = format!("{path}/a");
    let args = ["put", &file, "gs://bucket/d/a", "--skip-unchanged"];
    assert_eq!(run(to, &args, b"").await.err, skipped);
    let args = ["put", &file, "gs://bucket/d/b", "--skip-unchanged"];
    run(to, &args, b"").await.quiet();
    assert!(daemon.object("d/b").await == b"a"[..]);
    let args = ["put", "-", "gs://bucket/d/b", "--skip-unchanged"];
    run(to, &args, b"")
        .await
        .failed(2, "usage: --skip-unchanged needs a file");
}
