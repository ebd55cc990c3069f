//! What all commands do alike: first contact, JSON, dry runs, what ends a row of uploads.

use std::fs;

use devgcs::CallKind;
use serde_json::Value;

use crate::support::command::{Ended, run};
use crate::support::daemon::{BUCKET, Daemon, Options, behind, pattern};
use crate::support::devgcs::upload;
use crate::support::peer::Peer;
use crate::support::script::{json, play};

/// What a command printed for programs, a line an object.
fn lines(ended: &Ended) -> Vec<Value> {
    let lines = ended.text().lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// A directory with `count` small files, and its path.
fn files(count: usize) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    for number in 0..count {
        fs::write(dir.path().join(number.to_string()), "x").expect("a file");
    }
    let path = dir.path().to_str().expect("UTF-8").to_owned();
    (dir, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_not_there_is_the_same_to_every_command() {
    let daemon = Daemon::start().await;
    let address = daemon.address;
    daemon.stopped().await;
    let (_dir, path) = files(1);
    let file = format!("{path}/0");
    for args in [
        &["put", &file, "gs://bucket/o"][..],
        &["put", "-", "gs://bucket/o"],
        &["put", "-r", &path, "gs://bucket/o"],
        &["get", "gs://bucket/o", &path],
        &["get", "-r", "gs://bucket/o", &path],
        &["stat", "gs://bucket/o"],
        &["ls", "gs://bucket"],
        &["cat", "gs://bucket/o"],
        &["rm", "gs://bucket/o"],
        &["cp", "gs://bucket/o", "gs://bucket/p"],
        &["compose", "gs://bucket/o", "gs://bucket/p"],
    ] {
        // No more than a try, where somebody says so.
        let args = [args, &["--retry-for", "0"]].concat();
        let ended = run(Some(address), &args, b"x").await;
        ended.failed(5, "unreachable: ");
        assert!(ended.err.contains("start one with 'gcsd serve'"), "{}", ended.err);
        assert_eq!(ended.err.matches("unreachable").count(), 1, "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_for_all_uploads_ends_them() {
    let daemon = Daemon::start().await;
    let (_dir, path) = files(300);
    let args = ["put", "-r", &path, "gs://nowhere/o", "--json", "--jobs", "4"];
    let put = run(Some(daemon.address), &args, b"").await;
    put.failed(3, "not_found: ");
    let starts = daemon.devgcs.inspect().count(CallKind::StartUpload);
    assert!((1..=8).contains(&starts), "{starts} of 300 were begun");
    let lines = lines(&put);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["error"]["name"], "not_found");
    assert!(lines[0]["file"].is_string() && lines[0]["url"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_a_line_an_object_with_the_same_keys() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let (_dir, path) = files(1);
    let file = format!("{path}/0");
    let done = |ended: Ended, url: &str| {
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let lines = lines(&ended);
        assert_eq!(lines.len(), 1, "{}", ended.text());
        assert_eq!(lines[0]["url"], url);
        for key in ["generation", "size", "crc32c"] {
            assert!(lines[0][key].is_string(), "{key}: {}", ended.text());
        }
        lines[0].clone()
    };
    let put = ["put", &file, "gs://bucket/o", "--json"];
    let one = done(run(to, &put, b"").await, "gs://bucket/o");
    let put = ["put", "-r", &path, "gs://bucket/d", "--json"];
    let many = done(run(to, &put, b"").await, "gs://bucket/d/0");
    let keys = |line: &Value| {
        line.as_object()
            .map(|line| line.keys().cloned().collect::<Vec<_>>())
    };
    assert_eq!(keys(&one), keys(&many));
    assert_eq!(one["metadata"]["name"], "o");
    done(
        run(to, &["stat", "gs://bucket/o", "--json"], b"").await,
        "gs://bucket/o",
    );
    done(
        run(to, &["ls", "gs://bucket/o", "--json"], b"").await,
        "gs://bucket/o",
    );
    let get = ["get", "gs://bucket/o", &path, "--json"];
    done(run(to, &get, b"").await, "gs://bucket/o");
    let cp = ["cp", "gs://bucket/o", "gs://bucket/p", "--json"];
    done(run(to, &cp, b"").await, "gs://bucket/o");
    let compose = ["compose", "gs://bucket/o", "gs://bucket/c", "--json"];
    done(run(to, &compose, b"").await, "gs://bucket/c");
    // Failures are lines, too, with one line for people beside each.
    for args in [
        &["put", "/no/such/file", "gs://bucket/x"][..],
        &["get", "gs://bucket/none", &path],
        &["stat", "gs://bucket/none"],
        &["ls", "gs://bucket/none"],
        &["rm", "gs://bucket/none"],
        &["cp", "gs://bucket/none", "gs://bucket/x"],
        &["compose", "gs://bucket/none", "gs://bucket/x"],
    ] {
        let ended = run(to, &[args, &["--json"]].concat(), b"").await;
        assert_eq!(ended.err.lines().count(), 1, "{args:?}: {}", ended.err);
        let lines = lines(&ended);
        assert_eq!(lines.len(), 1, "{args:?}: {}", ended.text());
        assert!(lines[0]["url"].is_string(), "{args:?}: {}", ended.text());
        assert_eq!(lines[0]["error"]["exit"], ended.code.expect("a code"), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_and_changes_nothing() {
    let daemon = Daemon::start().await;
    upload(&daemon.devgcs, "d/a", b"a").await;
    let to = Some(daemon.address);
    let (_dir, path) = files(1);
    let new = format!("{path}/new");
    for (args, line) in [
        (
            &["rm", "-r", "gs://bucket/d"][..],
            "gcsd: would delete: gs://bucket/d/a\n",
        ),
        (
            &["cp", "-r", "gs://bucket/d", "gs://bucket/e"],
            "gcsd: would copy: gs://bucket/d/a\n",
        ),
        (
            &["put", "-r", &path, "gs://bucket/e"],
            "gcsd: would upload: gs://bucket/e/0\n",
        ),
        (
            &["get", "-r", "gs://bucket/d", &new],
            "gcsd: would fetch: gs://bucket/d/a\n",
        ),
        (
            &["get", "gs://bucket/d/a", &new],
            "gcsd: would fetch: gs://bucket/d/a\n",
        ),
    ] {
        let ended = run(to, &[args, &["--dry-run"]].concat(), b"").await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), line), "{args:?}");
    }
    assert!(!fs::exists(&new).expect("known"));
    let ls = run(to, &["ls", "gs://bucket/**"], b"").await.quiet();
    assert_eq!(ls.text(), "gs://bucket/d/a\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_recovered_from_over_several_connections_too() {
    let devgcs = devgcs::Server::builder()
        .bucket(BUCKET)
        .faults("return-corrupted-data on read call 1");
    let daemon = Daemon::with(Options {
        devgcs,
        ..Options::default()
    })
    .await;
    let whole = pattern(5 << 20);
    upload(&daemon.devgcs, "object", &whole).await;
    let (_dir, path) = files(0);
    let args = ["get", "gs://bucket/object", &path, "--connections", "4", "--json"];
    let get = run(Some(daemon.address), &args, b"").await;
    assert_eq!(get.code, Some(0), "{}", get.err);
    assert_eq!(lines(&get)[0]["gcsd"]["failures"]["damaged"], 1);
    assert!(fs::read(format!("{path}/object")).expect("the file") == whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_asked_for_only_where_there_is_one() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    for args in [&["ls"][..], &["ls", "gs://"], &["ls", "--project", "any"]] {
        let ls = run(to, args, b"").await.quiet();
        assert_eq!(ls.text(), "gs://bucket/\n", "{args:?}");
    }
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let invalid = json(
        "400 Bad Request",
        r#"{"error":{"message":"Unknown project id: -"}}"#,
    );
    let script = [("GET /storage/v1/b?", invalid.clone())];
    let listing = run(Some(daemon.address), &["ls"], b"");
    let (ls, _) = tokio::join!(listing, play(&peer, &script));
    ls.failed(
        2,
        "usage: buckets belong to a project: gs://; name it with --project",
    );
    let script = [("GET /storage/v1/b?", invalid)];
    let listing = run(Some(daemon.address), &["ls", "--project", "x"], b"");
    let (ls, _) = tokio::join!(listing, play(&peer, &script));
    ls.failed(1, "refused: ");
}
