//! `gcsd get` where things go wrong, and over several connections.

use std::fs;
use std::path::Path;

use devgcs::{self, CallKind, Snapshot};
use gcsd_types::Crc32c;
use serde_json::Value;

use crate::support::command::{gcsd, run, signal, wait};
use crate::support::daemon::{BUCKET, Daemon, Options, PATIENCE, behind, pattern};
use crate::support::devgcs::upload;
use crate::support::peer::{Peer, response};
use crate::support::waiting::becomes;

const URL: &str = "gs://bucket/object";

async fn failing(plan: &str) -> Daemon {
    let devgcs = devgcs::Server::builder().bucket(BUCKET).faults(plan);
    Daemon::with(Options {
        devgcs,
        ..Options::default()
    })
    .await
}

/// The names in a directory.
fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.map(|entry| name(entry.expect("an entry"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn breaks_are_recovered_from_and_told() {
    let whole = pattern(3 << 20);
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("target");
    let path = target.to_str().expect("UTF-8");
    let plan = "return-503 on read call 0; return-broken-stream-after-512K on read call 1; \
                return-reset-connection-after-1024K on read call 2";
    for connections in ["1", "3"] {
        let daemon = failing(plan).await;
        upload(&daemon.devgcs, "object", &whole).await;
        let args = ["get", URL, path, "--json", "--connections", connections];
        let get = run(Some(daemon.address), &args, b"").await;
        assert_eq!(get.code, Some(0), "{}", get.err);
        let last = get.err.lines().last().expect("a line");
        assert!(last.starts_with("gcsd: recovered "), "{}", get.err);
        let line: Value = serde_json::from_str(get.text()).expect("JSON");
        assert_eq!(line["crc32c"], Crc32c::of(&whole).to_base64());
        assert_eq!(line["url"], URL);
        assert!(fs::read(&target).expect("the file") == whole);
        assert_eq!(names(dir.path()), ["target"]);
    }
    // Into a pipe, too, and without a word for who does not want one.
    let daemon = failing(plan).await;
    upload(&daemon.devgcs, "object", &whole).await;
    let get = run(Some(daemon.address), &["get", URL, "-", "-q"], b"")
        .await
        .quiet();
    assert!(get.out == whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_bytes_are_read_again_where_they_can_be() {
    let whole = pattern(3 << 20);
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("target");
    let path = target.to_str().expect("UTF-8");
    let daemon = failing("return-corrupted-data on read call 0").await;
    upload(&daemon.devgcs, "object", &whole).await;
    let get = run(Some(daemon.address), &["get", URL, path], b"").await;
    assert_eq!(
        (get.code, get.err.as_str()),
        (
            Some(0),
            "gcsd: recovered once: 1 damaged; began again from byte 0 once\n"
        )
    );
    assert!(fs::read(&target).expect("the file") == whole);
    fs::remove_file(&target).expect("it was there");
    // What has left cannot be taken back.
    let daemon = failing("return-corrupted-data on read").await;
    upload(&daemon.devgcs, "object", &whole).await;
    for args in [
        &["get", URL, path][..],
        &["get", URL, path, "--connections", "2"],
        &["get", URL, "-"],
    ] {
        let get = run(Some(daemon.address), args, b"").await;
        assert_eq!(get.code, Some(6), "{}", get.err);
        assert!(get.err.contains("gcsd: damaged: "), "{}", get.err);
        assert_eq!(names(dir.path()).len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_connections_make_one_file() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("target");
    let path = target.to_str().expect("UTF-8");
    for (len, connections, reads) in [
        (0, 8, 1),
        (1, 8, 1),
        (2 << 20, 8, 2),
        ((5 << 20) + 77, 4, 4),
        (9 << 20, 64, 9),
    ] {
        let whole = pattern(len);
        upload(&daemon.devgcs, "object", &whole).await;
        let before = daemon.devgcs.inspect().count(CallKind::ReadObject);
        let args = ["get", URL, path, "--connections", &connections.to_string()];
        run(to, &args, b"").await.quiet();
        assert!(fs::read(&target).expect("the file") == whole, "{len}");
        let after = daemon.devgcs.inspect().count(CallKind::ReadObject);
        assert_eq!(after - before, reads, "{len}");
    }
    // A part of it, and into what takes bytes in their order only.
    let whole = pattern(9 << 20);
    for (range, expected) in [
        ("1000000-7999999", 1_000_000..8_000_000),
        ("-5000000", (9 << 20) - 5_000_000..9 << 20),
    ] {
        let args = [
            "get",
            URL,
            path,
            "--connections",
            "4",
            &format!("--range={range}"),
        ];
        run(to, &args, b"").await.quiet();
        assert!(fs::read(&target).expect("the file") == whole[expected], "{range}");
    }
    let piped = run(to, &["get", URL, "-", "--connections", "4"], b"")
        .await
        .quiet();
    assert!(piped.out == whole);
    run(to, &["get", URL, path, "--connections", "0"], b"")
        .await
        .refused();
    run(to, &["get", URL, "-", "--json"], b"")
        .await
        .failed(2, "usage: ");
    // Conditions hold for all of them.
    let args = [
        "get",
        URL,
        path,
        "--connections",
        "4",
        "--if-generation-match",
        "1",
    ];
    run(to, &args, b"").await.failed(4, "precondition_failed: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_get_leaves_the_temporary_file_only() {
    // The first readings stand still in the middle.
    let plan = "stall-always-after-1024K on read call 0..2";
    for connections in ["1", "2"] {
        let daemon = failing(plan).await;
        let whole = pattern(8 << 20);
        upload(&daemon.devgcs, "object", &whole).await;
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("target");
        let path = target.to_str().expect("UTF-8");
        fs::write(&target, "old").expect("a file");
        let args = ["get", URL, path, "--connections", connections];
        let child = gcsd(Some(daemon.address), &args)
            .spawn()
            .expect("the binary runs");
        let calls: u64 = connections.parse().expect("a number");
        let reading = |inspect: &Snapshot| inspect.count(CallKind::ReadObject) == calls;
        assert!(daemon.devgcs.wait_for(PATIENCE, reading).await);
        becomes(|| names(dir.path()).len() > 1).await;
        signal(&child, "-KILL");
        assert_eq!(wait(child).await.code, None);
        assert_eq!(fs::read(&target).expect("the file"), b"old");
        assert_eq!(names(dir.path()).len(), 2, "the temporary file is left");
        let again = failing("off").await;
        upload(&again.devgcs, "object", &whole).await;
        run(Some(again.address), &args, b"").await.quiet();
        assert!(fs::read(&target).expect("the file") == whole);
        assert_eq!(names(dir.path()), ["target"], "the next run removes it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gets_of_one_file_leave_each_other_alone() {
    let daemon =
        failing("stall-always-after-1024K on read call 0; stall-always-after-1024K on read call 2").await;
    let whole = pattern(8 << 20);
    upload(&daemon.devgcs, "object", &whole).await;
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("target");
    let args = ["get", URL, target.to_str().expect("UTF-8")];
    for end in ["-INT", "-KILL"] {
        let first = gcsd(Some(daemon.address), &args)
            .spawn()
            .expect("the binary runs");
        let begun = || {
            names(dir.path())
                .iter()
                .any(|name| name.ends_with(".gcsd-partial"))
        };
        assert!(daemon.devgcs.wait_for(PATIENCE, |_| begun()).await);
        run(Some(daemon.address), &args, b"").await.quiet();
        assert!(fs::read(&target).expect("the file") == whole);
        assert_eq!(names(dir.path()).len(), 2, "the first one's file is still there");
        signal(&first, end);
        wait(first).await;
    }
    assert_eq!(names(dir.path()).len(), 2, "what was killed");
    run(Some(daemon.address), &args, b"").await.quiet();
    assert_eq!(names(dir.path()), ["target"]);
}

/// Objects that are called as the files are that others are written to.
#[tokio::test(flavor = "multi_thread")]
async fn no_object_takes_the_name_of_an_unfinished_file() {
    let daemon = failing("off").await;
    for name in ["x", ".x.gcsd-partial", ".x.1.gcsd-partial"] {
        upload(&daemon.devgcs, name, name.as_bytes()).await;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("UTF-8");
    let get = run(Some(daemon.address), &["get", "-r", "gs://bucket", path], b"").await;
    assert_eq!(get.code, Some(1), "{}", get.err);
    assert!(get.err.ends_with("gcsd: failed: 2 of 3 failed\n"), "{}", get.err);
    assert_eq!(names(dir.path()), ["x"]);
    // Under another name it is a file as any.
    let other = dir.path().join("other");
    let args = [
        "get",
        "gs://bucket/.x.gcsd-partial",
        other.to_str().expect("UTF-8"),
    ];
    run(Some(daemon.address), &args, b"").await.quiet();
    assert_eq!(fs::read(&other).expect("the file"), b".x.gcsd-partial");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_with_a_part_in_it_makes_no_file() {
    let whole = pattern((3 << 20) + 11);
    let part = &whole[1 << 20..2 << 20];
    let text = |bytes: &[u8]| {
        format!(
            r#"{{"generation":"9","size":"{}","crc32c":"{}"}}"#,
            bytes.len(),
            Crc32c::of(bytes).to_base64()
        )
    };
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("target");
    let path = target.to_str().expect("UTF-8");
    let len = part.len();
    for headers in [
        String::new(),
        // Its own message says that it is not whole.
        format!("X-Goog-Stored-Content-Length: {}\r\n", whole.len()),
    ] {
        let serve = async {
            let mut stat = peer.accept().await;
            stat.head().await;
            stat.send(response("200 OK", "Connection: close\r\n", &text(&whole)))
                .await;
            loop {
                let mut read = peer.accept().await;
                read.head().await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\n{headers}X-Goog-Generation: 9\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
                );
                read.send(head).await;
            }
        };
        let args = ["get", URL, path, "--connections", "3", "--retry-for", "0"];
        let get = tokio::select! {
            get = run(Some(daemon.address), &args, b"") => get,
            () = serve => unreachable!("it serves until the command ends"),
        };
        assert!(get.err.contains("bad_response"), "{}", get.err);
        assert_eq!(get.code, Some(5), "{}", get.err);
        assert_eq!(names(dir.path()).len(), 0);
    }
    // Parts of another version than the first answer was about.
    let serve = async {
        let mut stat = peer.accept().await;
        stat.head().await;
        stat.send(response("200 OK", "Connection: close\r\n", &text(&whole)))
            .await;
        loop {
            let mut read = peer.accept().await;
            let head = read.head().await;
            let range = head
                .lines()
                .find_map(|line| line.strip_prefix("range: bytes="))
                .expect("a range");
            let (first, last) = range.split_once('-').expect("two ends");
            let len = last.parse::<u64>().expect("an end") - first.parse::<u64>().expect("a start") + 1;
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nX-Goog-Generation: 8\r\nConnection: close\r\n\
                 Content-Length: {len}\r\nContent-Range: bytes {range}/{}\r\n\r\n",
                whole.len()
            );
            read.send(head).await;
        }
    };
    let args = ["get", URL, path, "--connections", "2"];
    let get = tokio::select! {
        get = run(Some(daemon.address), &args, b"") => get,
        () = serve => unreachable!("it serves until the command ends"),
    };
    assert_eq!(get.code, Some(6), "{}", get.err);
    assert!(get.err.contains("generation 8"), "{}", get.err);
    assert_eq!(names(dir.path()).len(), 0);
}
