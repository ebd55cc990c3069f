//! `gcsd mv`: what becomes of the old name and the new one, however GCS lets it be done.

use devgcs::CallKind;
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::daemon::{BUCKET, Daemon, Options};
use crate::support::devgcs::{call, upload};

async fn with_two_buckets() -> Daemon {
    let devgcs = devgcs::Server::builder().bucket(BUCKET).bucket("other");
    Daemon::with(Options {
        devgcs,
        ..Options::default()
    })
    .await
}

fn line(text: &str) -> Value {
    serde_json::from_str(text).expect("one line of JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_bucket_an_object_gets_its_new_name_in_one_step() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    upload(&daemon.devgcs, "d/a", b"hello").await;
    let mv = run(to, &["mv", "gs://bucket/d/a", "gs://bucket/e/"], b"").await;
    assert_eq!(
        (mv.code, mv.err.as_str()),
        (Some(0), "gcsd: renamed: gs://bucket/d/a -> gs://bucket/e/a\n")
    );
    assert!(!daemon.has_object("d/a") && daemon.object("e/a").await == b"hello"[..]);
    let calls = daemon.devgcs.inspect();
    assert_eq!(calls.count(CallKind::MoveObject), 1);
    assert_eq!(calls.count(CallKind::RewriteObject), 0);
    // Many at once, as lines for programs.
    upload(&daemon.devgcs, "m/1", b"1").await;
    upload(&daemon.devgcs, "m/2", b"2").await;
    let args = ["mv", "-r", "gs://bucket/m/", "gs://bucket/n", "--json"];
    let mv = run(to, &args, b"").await.quiet();
    let mut moved: Vec<_> = mv.text().lines().map(line).collect();
    moved.sort_by_key(|line| line["url"].to_string());
    assert_eq!(moved.len(), 2);
    assert_eq!(moved[1]["destination"], "gs://bucket/n/2");
    assert_eq!(moved[1]["did"], "renamed");
    assert!(daemon.has_object("n/1") && daemon.has_object("n/2") && !daemon.has_object("m/1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_it_is_copied_and_what_was_copied_is_deleted() {
    let daemon = with_two_buckets().await;
    let to = Some(daemon.address);
    upload(&daemon.devgcs, "a", b"hello").await;
    let mv = run(to, &["mv", "gs://bucket/a", "gs://other/b"], b"").await;
    assert_eq!(
        (mv.code, mv.err.as_str()),
        (
            Some(0),
            "gcsd: copied and deleted: gs://bucket/a -> gs://other/b\n"
        )
    );
    assert!(!daemon.has_object("a"));
    let copy = daemon.devgcs.object_bytes("other", "b").await;
    assert!(copy.expect("the copy") == b"hello"[..]);
    // With metadata of its own, in the same bucket, too.
    upload(&daemon.devgcs, "c", b"x").await;
    let args = [
        "mv",
        "gs://bucket/c",
        "gs://bucket/d",
        "--cache-control",
        "no-cache",
    ];
    let mv = run(to, &args, b"").await;
    assert_eq!(mv.code, Some(0), "{}", mv.err);
    let stat = run(to, &["stat", "--json", "gs://bucket/d"], b"").await.quiet();
    assert_eq!(line(stat.text())["metadata"]["cacheControl"], "no-cache");
    assert!(!daemon.has_object("c"));
    assert_eq!(daemon.devgcs.inspect().count(CallKind::MoveObject), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_keeps_the_old_one_and_that_is_said() {
    let daemon = with_two_buckets().await;
    let to = Some(daemon.address);
    upload(&daemon.devgcs, "a", b"hello").await;
    let hold = json!({"temporaryHold": true}).to_string();
    let held = call(&daemon.devgcs, "PATCH", "/b/bucket/o/a", &hold).await;
    assert_eq!(held.status, 200);
    let mv = run(to, &["mv", "gs://bucket/a", "gs://other/b"], b"").await;
    mv.failed(7, "forbidden: ");
    assert!(
        mv.err.contains("it was copied to gs://other/b, and not deleted"),
        "{}",
        mv.err
    );
    assert!(daemon.has_object("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_moved_stays_where_it_is() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    upload(&daemon.devgcs, "a", b"a").await;
    upload(&daemon.devgcs, "b", b"b").await;
    let mv = run(to, &["mv", "gs://bucket/a", "gs://bucket/a"], b"").await;
    mv.failed(2, "usage: the object is called so already: gs://bucket/a; ");
    let mv = run(to, &["mv", "-n", "gs://bucket/a", "gs://bucket/b"], b"").await;
    assert_eq!(mv.code, Some(0), "{}", mv.err);
    assert!(mv.err.starts_with("gcsd: skipped: "), "{}", mv.err);
    let mv = run(to, &["mv", "gs://bucket/none", "gs://bucket/c"], b"").await;
    mv.failed(3, "not_found: ");
    let args = ["mv", "gs://bucket/a", "gs://bucket/c", "--dry-run"];
    let mv = run(to, &args, b"").await;
    assert_eq!(mv.err, "gcsd: would move: gs://bucket/a\n");
    assert!(daemon.object("a").await == b"a"[..] && daemon.object("b").await == b"b"[..]);
    // Files are for other commands.
    for (args, advice) in [
        (["mv", "file", "gs://bucket/c"], "; use 'gcsd put' for files"),
        (["cp", "file", "gs://bucket/c"], "; use 'gcsd put' for files"),
        (
            ["cp", "gs://bucket/a", "."],
            "; use 'gcsd get' to fetch them as files",
        ),
    ] {
        let ended = run(to, &args, b"").await;
        ended.failed(2, "usage: ");
        assert!(ended.err.trim_end().ends_with(advice), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_excluded_is_left_alone() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    for name in ["d/a", "d/a.tmp", "d/cache/x", "d/e/cache"] {
        upload(&daemon.devgcs, name, b"x").await;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("UTF-8");
    let exclude = ["--exclude", "*.tmp", "--exclude", "cache/"];
    let get = ["get", "-r", "gs://bucket/d/", path];
    run(to, &[&get[..], &exclude].concat(), b"").await.quiet();
    let there = |name: &str| dir.path().join(name).exists();
    assert!(there("a") && !there("a.tmp") && !there("cache") && !there("e"));
    std::fs::write(dir.path().join("b.tmp"), "x").expect("a file");
    std::fs::create_dir(dir.path().join("cache")).expect("a directory");
    std::fs::write(dir.path().join("cache/y"), "x").expect("a file");
    let put = ["put", "-r", path, "gs://bucket/up"];
    run(to, &[&put[..], &exclude].concat(), b"").await.quiet();
    let cp = ["cp", "-r", "gs://bucket/d/", "gs://bucket/copy"];
    run(to, &[&cp[..], &exclude].concat(), b"").await.quiet();
    let rm = ["rm", "-r", "gs://bucket/d", "-q"];
    run(to, &[&rm[..], &exclude].concat(), b"").await.quiet();
    let ls = run(to, &["ls", "gs://bucket/**"], b"").await.quiet();
    assert_eq!(
        ls.text(),
        "gs://bucket/copy/a\ngs://bucket/d/a.tmp\ngs://bucket/d/cache/x\ngs://bucket/d/e/cache\ngs://bucket/up/a\n"
    );
}
