//! `gcsd ls`, `cat`, `rm`, `cp` and `compose`: the binary against a daemon in front of devgcs.

use std::net::SocketAddr;

use devgcs::{self, CallKind};
use serde_json::Value;

use crate::support::command::run;
use crate::support::daemon::{BUCKET, Daemon, Options, pattern};
use crate::support::devgcs::upload;

/// A daemon and its objects, each of which has its own name for content.
async fn with(faults: &str, names: &[&str]) -> Daemon {
    let devgcs = devgcs::Server::builder()
        .buckets([BUCKET, "other"])
        .faults(faults);
    let options = Options {
        devgcs,
        ..Options::default()
    };
    let daemon = Daemon::with(options).await;
    for name in names {
        let escaped = name.replace('?', "%3F").replace('#', "%23");
        upload(&daemon.devgcs, &escaped, name.as_bytes()).await;
    }
    daemon
}

const NAMES: [&str; 9] = [
    "a.txt",
    "b.txt",
    "dir-1",
    "dir/",
    "dir/a.txt",
    "dir/b.gz",
    "dir/sub/c.txt",
    "dir2/sub/d.txt",
    "x?[y",
];

/// What `ls` prints, without the bucket.
async fn ls(to: SocketAddr, args: &[&str]) -> Vec<String> {
    let args = [&["ls"], args].concat();
    let ended = run(Some(to), &args, b"").await.quiet();
    ended
        .text()
        .lines()
        .map(|line| line.replace("gs://bucket/", ""))
        .collect()
}

/// What a command prints on a terminal, without the bucket. `command` is what a shell reads.
fn on_a_terminal(to: SocketAddr, command: &str) -> Vec<String> {
    let command = format!("{} {command}", env!("CARGO_BIN_EXE_gcsd"));
    let output = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("GCSD_CONNECT", to.to_string())
        .env("SHELL", "/bin/sh")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("script runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .map(|line| line.replace("gs://bucket/", ""))
        .collect()
}

/// The names that are left.
async fn left(daemon: &Daemon) -> Vec<String> {
    ls(daemon.address, &["gs://bucket/**"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ls_shows_levels_patterns_and_all() {
    let daemon = with("off", &NAMES).await;
    let to = daemon.address;
    let level = ["a.txt", "b.txt", "dir-1", "dir/", "dir2/", "x?[y"];
    assert_eq!(ls(to, &["gs://bucket"]).await, level);
    assert_eq!(ls(to, &["gs://bucket/"]).await, level);
    for dir in ["gs://bucket/dir", "gs://bucket/dir/"] {
        assert_eq!(
            ls(to, &[dir]).await,
            ["dir/", "dir/a.txt", "dir/b.gz", "dir/sub/"],
            "{dir}"
        );
    }
    assert_eq!(ls(to, &["gs://bucket/**"]).await, NAMES);
    assert_eq!(ls(to, &["gs://bucket/*.txt"]).await, ["a.txt", "b.txt"]);
    assert_eq!(ls(to, &["gs://bucket/**.txt"]).await.len(), 5);
    assert_eq!(ls(to, &["gs://bucket/*/*.txt"]).await, ["dir/a.txt"]);
    assert_eq!(
        ls(to, &["gs://bucket/*/sub/?.txt"]).await,
        ["dir/sub/c.txt", "dir2/sub/d.txt"]
    );
    assert_eq!(
        ls(to, &["gs://bucket/d*r/[ab].*"]).await,
        ["dir/a.txt", "dir/b.gz"]
    );
    assert_eq!(ls(to, &["gs://bucket/x[?][[]y"]).await, ["x?[y"]);
    // Into a pipe there are names and nothing else.
    let levels = ["dir-1", "dir/", "dir/a.txt", "dir/b.gz", "dir/sub/", "dir2/sub/"];
    assert_eq!(ls(to, &["gs://bucket/dir*"]).await, levels);
    assert_eq!(
        ls(to, &["-r", "gs://bucket/dir*/s*"]).await,
        ["dir/sub/c.txt", "dir2/sub/d.txt"]
    );
    // On a terminal, what a pattern finds that goes on is shown below its name, as are several URLs.
    assert_eq!(
        on_a_terminal(to, "ls 'gs://bucket/dir*'"),
        [
            "dir-1",
            "",
            "dir/:",
            "dir/",
            "dir/a.txt",
            "dir/b.gz",
            "dir/sub/",
            "",
            "dir2/:",
            "dir2/sub/"
        ]
    );
    assert_eq!(
        on_a_terminal(to, "ls -r 'gs://bucket/dir*/s*'"),
        ["dir/sub/c.txt", "dir2/sub/d.txt"]
    );
    for missing in [
        "gs://bucket/c",
        "gs://bucket/a.txt/",
        "gs://bucket/*.zip",
        "gs://bucket/nodir/*",
        "gs://nowhere",
    ] {
        run(Some(to), &["ls", missing], b"")
            .await
            .failed(3, "not_found: ");
    }
    run(Some(to), &["ls", "bucket"], b"").await.refused();
    // An empty bucket is there.
    run(Some(to), &["ls", "gs://other"], b"").await.quiet();
}

#[tokio::test(flavor = "multi_thread")]
async fn ls_tells_sizes_and_everything_and_speaks_json() {
    let daemon = with("off", &["a", "dir/b"]).await;
    let to = daemon.address;
    let long = ls(to, &["-l", "gs://bucket"]).await;
    assert_eq!(long.len(), 3, "{long:?}");
    let words: Vec<&str> = long[0].split_whitespace().collect();
    assert_eq!(
        (words[0], words[2], words[1].len()),
        ("1", "a", "2025-11-22T14:32:31Z".len())
    );
    assert_eq!(long[1].trim(), "dir/");
    assert_eq!(long[2], "TOTAL: 1 objects, 1 bytes (1 B)");
    let full = ls(to, &["-L", "gs://bucket/a"]).await.join("\n");
    assert!(full.contains("content type      text/plain"), "{full}");
    let json = run(Some(to), &["ls", "--json", "gs://bucket"], b"").await.quiet();
    let lines: Vec<Value> = json
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["type"], &lines[0]["url"]),
        (&"cloud_object".into(), &"gs://bucket/a".into())
    );
    assert_eq!(lines[0]["metadata"]["contentType"], "text/plain");
    assert_eq!(
        (&lines[1]["type"], &lines[1]["url"]),
        (&"prefix".into(), &"gs://bucket/dir/".into())
    );
    let buckets = ls(to, &["gs://", "--project", "p"]).await;
    assert_eq!(
        buckets,
        ["", "gs://other/"],
        "its own name is taken out of the first"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_pages_are_listed_and_failures_recovered_from() {
    let names: Vec<String> = (0..2_500).map(|number| format!("o/{number:05}")).collect();
    let daemon = with("return-503 on any p 0.02; seed 5", &[]).await;
    let mut client = crate::support::http::Client::connect(daemon.devgcs.address()).await;
    for name in &names {
        let target = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
        loop {
            client.head("POST", &target, &[("Content-Length", "1")]).await;
            client.send(b"x").await;
            if client.answer().await.status == 200 {
                break;
            }
        }
    }
    assert_eq!(left(&daemon).await, names);
    assert!(daemon.devgcs.inspect().count(CallKind::ListObjects) >= 3);
    let rm = ["rm", "-qr", "gs://bucket/o", "--jobs", "64"];
    run(Some(daemon.address), &rm, b"").await.quiet();
    run(Some(daemon.address), &["ls", "gs://bucket/o"], b"")
        .await
        .failed(3, "not_found: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn cat_prints_one_after_the_other() {
    let daemon = with(
        "return-503 on read call 0; return-broken-stream-after-256K on read call 2",
        &["a", "b", "dir/c"],
    )
    .await;
    let to = Some(daemon.address);
    upload(&daemon.devgcs, "big", &pattern(1 << 20)).await;
    let cat = run(to, &["cat", "-q", "gs://bucket/b", "gs://bucket/big"], b"")
        .await
        .quiet();
    assert!(cat.out == [b"b", &pattern(1 << 20)[..]].concat());
    let cat = run(to, &["cat", "-d", "gs://bucket/?", "gs://bucket/d*/c"], b"")
        .await
        .quiet();
    assert_eq!(
        cat.text(),
        "==> gs://bucket/a <==\na==> gs://bucket/b <==\nb==> gs://bucket/dir/c <==\ndir/c"
    );
    let cat = run(to, &["cat", "-r", "1-2", "gs://bucket/dir/c"], b"")
        .await
        .quiet();
    assert_eq!(cat.text(), "ir");
    let cat = run(to, &["cat", "-r", "-1", "gs://bucket/dir/c"], b"")
        .await
        .quiet();
    assert_eq!(cat.text(), "c");
    // Nothing comes behind what is missing.
    let cat = run(
        to,
        &["cat", "gs://bucket/a", "gs://bucket/none", "gs://bucket/b"],
        b"",
    )
    .await;
    cat.failed(3, "not_found: ");
    assert_eq!(cat.text(), "a");
    run(to, &["cat", "gs://bucket/*.zip"], b"")
        .await
        .failed(3, "not_found: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn rm_deletes_what_it_is_told_and_nothing_else() {
    let daemon = with("off", &NAMES).await;
    let to = Some(daemon.address);
    // Each failure is told, and the others go on.
    let rm = run(
        to,
        &[
            "rm",
            "--json",
            "gs://bucket/none",
            "gs://bucket/a.txt",
            "gs://bucket/*.zip",
        ],
        b"",
    )
    .await;
    assert_eq!(rm.code, Some(3), "{}", rm.err);
    assert!(rm.err.ends_with("gcsd: failed: 2 of 3 failed\n"), "{}", rm.err);
    let mut lines: Vec<Value> = rm
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    lines.sort_by_key(|line| line["url"].to_string());
    assert_eq!(
        (&lines[1]["url"], &lines[1]["deleted"]),
        (&"gs://bucket/a.txt".into(), &true.into())
    );
    assert_eq!(lines[2]["error"]["name"], "not_found");
    assert_eq!(left(&daemon).await, &NAMES[1..]);
    // A pattern does not go into directories, a prefix ends at its slash.
    run(to, &["rm", "-q", "gs://bucket/dir*"], b"").await.quiet();
    assert_eq!(left(&daemon).await.len(), 7);
    run(to, &["rm", "-qr", "gs://bucket/dir"], b"").await.quiet();
    assert_eq!(left(&daemon).await, ["b.txt", "dir2/sub/d.txt", "x?[y"]);
    for refused in [
        &["rm", "gs://bucket"][..],
        &["rm", "gs://bucket/*", "--if-generation-match", "1"],
        &["rm", "-r", "gs://bucket/d", "--generation", "1"],
    ] {
        run(to, refused, b"").await.failed(2, "usage: ");
    }
    let rm = ["rm", "gs://bucket/b.txt", "--if-generation-match", "1"];
    run(to, &rm, b"").await.failed(4, "precondition_failed: ");
    let generation = daemon
        .devgcs
        .object(BUCKET, "b.txt")
        .expect("it is there")
        .generation;
    let rm = [
        "rm",
        "-q",
        "gs://bucket/b.txt",
        "--if-generation-match",
        &generation.to_string(),
    ];
    run(to, &rm, b"").await.quiet();
    run(to, &["rm", "-qr", "gs://bucket"], b"").await.quiet();
    assert!(left_nothing(&daemon).await);
}

async fn left_nothing(daemon: &Daemon) -> bool {
    run(Some(daemon.address), &["ls", "gs://bucket/**"], b"")
        .await
        .code
        == Some(3)
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_copies_one_and_many() {
    let daemon = with("off", &NAMES).await;
    let to = Some(daemon.address);
    let copies = async |args: &[&str]| {
        let args = [&["cp"], args].concat();
        run(to, &args, b"").await.quiet();
        let listed = run(to, &["ls", "gs://other/**"], b"").await.quiet();
        let names: Vec<String> = listed
            .text()
            .lines()
            .map(|line| line.replace("gs://other/", ""))
            .collect();
        run(to, &["rm", "-qr", "gs://other"], b"").await.quiet();
        names
    };
    assert_eq!(copies(&["gs://bucket/dir/a.txt", "gs://other/x"]).await, ["x"]);
    assert_eq!(copies(&["gs://bucket/dir/a.txt", "gs://other"]).await, ["a.txt"]);
    assert_eq!(
        copies(&["gs://bucket/dir/a.txt", "gs://bucket/b.txt", "gs://other/y/"]).await,
        ["y/a.txt", "y/b.txt"]
    );
    assert_eq!(
        copies(&["gs://bucket/dir*/sub/*", "gs://other"]).await,
        ["dir/sub/c.txt", "dir2/sub/d.txt"]
    );
    let all = ["dir/", "dir/a.txt", "dir/b.gz", "dir/sub/c.txt"];
    assert_eq!(copies(&["-r", "gs://bucket/dir", "gs://other/"]).await, all);
    let renamed = ["new/", "new/a.txt", "new/b.gz", "new/sub/c.txt"];
    assert_eq!(
        copies(&["-r", "gs://bucket/dir/", "gs://other/new"]).await,
        renamed
    );
    assert_eq!(copies(&["-r", "gs://bucket", "gs://other"]).await, NAMES);

    run(
        to,
        &["cp", "gs://bucket/a.txt", "gs://bucket/b.txt", "gs://other/x"],
        b"",
    )
    .await
    .failed(2, "usage: ");
    run(to, &["cp", "gs://bucket/none", "gs://other/x"], b"")
        .await
        .failed(3, "not_found: ");
    run(to, &["cp", "gs://bucket/a.txt", "gs://bucket/dir-1"], b"")
        .await
        .quiet();
    assert_eq!(daemon.object("dir-1").await, b"a.txt");
    let one = ["cp", "-n", "gs://bucket/b.txt", "gs://bucket/dir-1"];
    let one = run(to, &one, b"").await;
    assert_eq!(one.code, Some(0), "{}", one.err);
    assert!(one.err.starts_with("gcsd: skipped: "), "{}", one.err);
    assert_eq!(daemon.object("dir-1").await, b"a.txt");
    // So it is with many.
    let many = run(
        to,
        &["cp", "-n", "--json", "gs://bucket/?.txt", "gs://bucket/dir/"],
        b"",
    )
    .await;
    assert_eq!(many.code, Some(0), "{}", many.err);
    assert_eq!(many.err.lines().count(), 1, "{}", many.err);
    assert!(many.err.starts_with("gcsd: skipped: "), "{}", many.err);
    assert_eq!(daemon.object("dir/a.txt").await, b"dir/a.txt");
    assert_eq!(daemon.object("dir/b.txt").await, b"b.txt");
    // Other metadata.
    run(
        to,
        &["cp", "gs://bucket/b.txt", "gs://other/", "--content-type", "a/b"],
        b"",
    )
    .await
    .quiet();
    let json = run(to, &["stat", "--json", "gs://other/b.txt"], b"")
        .await
        .quiet();
    assert!(json.text().contains("a/b"), "{}", json.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_makes_one_of_several() {
    let daemon = with("off", &["p1", "p2", "p3"]).await;
    let to = Some(daemon.address);
    let compose = [
        "compose",
        "gs://bucket/p3",
        "gs://bucket/p[12]",
        "gs://bucket/whole",
        "--json",
        "-n",
    ];
    let composed = run(to, &compose, b"").await.quiet();
    let resource: Value = serde_json::from_str(composed.text()).expect("JSON");
    assert_eq!(
        (
            &resource["metadata"]["name"],
            &resource["metadata"]["componentCount"]
        ),
        (&"whole".into(), &3.into())
    );
    assert_eq!(resource["url"], "gs://bucket/whole");
    assert_eq!(daemon.object("whole").await, b"p3p1p2");
    let again = run(to, &compose, b"").await;
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(again.err.starts_with("gcsd: skipped: "), "{}", again.err);
    let elsewhere = ["compose", "gs://other/p1", "gs://bucket/x"];
    run(to, &elsewhere, b"").await.failed(2, "usage: ");
    let none = ["compose", "gs://bucket/q*", "gs://bucket/x"];
    run(to, &none, b"").await.failed(3, "not_found: ");
    let many = [&["compose"], &["gs://bucket/p1"; 33][..], &["gs://bucket/x"]].concat();
    run(to, &many, b"").await.failed(2, "usage: ");
}
