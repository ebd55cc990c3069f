//! Many sources, each with a target of its own, and no target among the sources: the binary against a daemon in front of
//! devgcs.

use std::fs;
use std::path::Path;

use devgcs::{CallKind, Snapshot};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Ended, gcsd, run, wait};
use crate::support::daemon::{BUCKET, Daemon, Options, behind};
use crate::support::devgcs::upload;
use crate::support::peer::{Peer, response};

/// A daemon and objects, each of which has its own name for content.
async fn with(names: &[&str]) -> Daemon {
    let devgcs = devgcs::Server::builder().buckets([BUCKET, "other"]);
    let daemon = Daemon::with(Options {
        devgcs,
        ..Options::default()
    })
    .await;
    for name in names {
        upload(&daemon.devgcs, name, name.as_bytes()).await;
    }
    daemon
}

/// A directory with files, each of which has its own name for content.
fn tree(names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for name in names {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, name).expect("a file");
    }
    dir
}

/// The files below a directory, each with its content.
fn files(dir: &Path) -> Vec<(String, String)> {
    fn walk(dir: &Path, below: &str, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let entry = entry.expect("an entry");
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type().expect("its type").is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push((name, fs::read_to_string(entry.path()).expect("text")));
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, "", &mut found);
    found.sort();
    found
}

async fn names(daemon: &Daemon, bucket: &str) -> Vec<String> {
    let url = format!("gs://{bucket}/**");
    let ls = run(Some(daemon.address), &["ls", &url], b"").await;
    let start = format!("gs://{bucket}/");
    ls.text()
        .lines()
        .map(|line| line.replacen(&start, "", 1))
        .collect()
}

/// It was refused for what would become the same, and both are named.
#[track_caller]
fn same(ended: &Ended, one: &str, other: &str) {
    ended.failed(1, "same_target: it would become the same as ");
    assert!(
        ended.err.contains(one) && ended.err.contains(other),
        "{}",
        ended.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_would_become_one_object_are_refused() {
    let dir = tree(&["a/x", "b/x", "b/y", "c/a/x", "d/e/f", "g/e/f", "g/e/h", "k/e/h"]);
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let daemon = with(&[]).await;
    let to = Some(daemon.address);
    let put = run(
        to,
        &[
            "put",
            &path("a/x"),
            &path("b/y"),
            &path("b/x"),
            "gs://bucket/col/",
        ],
        b"",
    )
    .await;
    same(&put, &path("a/x"), &path("b/x"));
    for (one, other, clash) in [
        ("a", "c/a", ("a/x", "c/a/x")),
        ("d/e", "g/e", ("d/e/f", "g/e/f")),
        ("c/a/..", "a", ("a/x", "c/a/../a/x")),
    ] {
        let put = ["put", "-r", &path(one), &path(other), "gs://bucket/col/"];
        let put = run(to, &put, b"").await;
        same(&put, &path(clash.0), &path(clash.1));
    }
    assert_eq!(daemon.devgcs.inspect().count(CallKind::StartUpload), 0);
    // Directories of one name that have nothing in common are one; a file that is named twice is one, too.
    let put = ["put", "-r", &path("d/e"), &path("k/e"), "gs://bucket/two/"];
    run(to, &put, b"").await.quiet();
    assert_eq!(names(&daemon, BUCKET).await, ["two/e/f", "two/e/h"]);
    let again = path("a/../a/x");
    let put = run(to, &["put", &path("a/x"), &again, "gs://bucket/once/"], b"").await;
    assert_eq!(put.code, Some(0), "{}", put.err);
    assert_eq!(put.err, format!("gcsd: skipped: it is named twice: {again}\n"));
    assert_eq!(daemon.object("once/x").await, b"a/x");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_would_become_one_file_are_refused() {
    let daemon = with(&["a/x", "a/y", "b/x", "b/z", "c/x/n", "c/x-", "x"]).await;
    let to = Some(daemon.address);
    let reads = |inspect: &Snapshot| inspect.count(CallKind::ReadObject);
    let dir = tree(&[]);
    let path = dir.path().to_str().expect("UTF-8");
    // What is named is refused before anything is read.
    let get = run(
        to,
        &[
            "get",
            "gs://bucket/a/x",
            "gs://bucket/a/y",
            "gs://bucket/b/x",
            path,
        ],
        b"",
    )
    .await;
    same(&get, "gs://bucket/a/x", "gs://bucket/b/x");
    let list = b"gs://bucket/a/x\ngs://bucket/a/y\ngs://bucket/b/x\n";
    let get = run(to, &["get", "--stdin", path], list).await;
    same(&get, "gs://bucket/a/x", "gs://bucket/b/x");
    assert_eq!(reads(&daemon.devgcs.inspect()), 0);
    assert!(files(dir.path()).is_empty());
    // What a list brings is refused before it is read itself, and the others come.
    for args in [
        &["get", "gs://bucket/a/*", "gs://bucket/b/*", path][..],
        &[
            "get",
            "gs://bucket/b/*",
            "gs://bucket/a/x",
            "gs://bucket/a/y",
            path,
            "--json",
        ],
    ] {
        let dir = tree(&[]);
        let args: Vec<&str> = args
            .iter()
            .map(|arg| {
                if *arg == path {
                    dir.path().to_str().expect("UTF-8")
                } else {
                    arg
                }
            })
            .collect();
        let get = run(to, &args, b"").await;
        assert_eq!(get.code, Some(1), "{}", get.err);
        assert!(get.err.ends_with("gcsd: failed: 2 of 4 failed\n"), "{}", get.err);
        for (one, other) in [("a/x", "b/x"), ("b/x", "a/x")] {
            let line = format!(
                "gcsd: same_target: it would become the same as gs://bucket/{one}: gs://bucket/{other}\n"
            );
            assert!(get.err.contains(&line), "{}", get.err);
        }
        let came = [("y", "a/y"), ("z", "b/z")].map(|(name, object)| (name.to_owned(), object.to_owned()));
        assert_eq!(files(dir.path()), came);
    }
    // A file where others need a directory: the file is refused, whatever comes between.
    let get = run(to, &["get", "-r", "gs://bucket/c", "gs://bucket/x", path], b"").await;
    assert_eq!(get.code, Some(0), "{}", get.err);
    assert_eq!(files(dir.path()).len(), 3, "'c/x' and 'x' are not the same");
    let dir = tree(&[]);
    let path = dir.path().to_str().expect("UTF-8");
    let get = run(to, &["get", "gs://bucket/c/**", "gs://bucket/x", path], b"").await;
    get_one_directory(&get, dir.path());
    // One object, named twice, is one.
    let dir = tree(&[]);
    let path = dir.path().to_str().expect("UTF-8");
    let get = run(
        to,
        &[
            "get",
            "gs://bucket/a/x",
            "gs://bucket/a/*",
            "gs://bucket/a/x",
            path,
        ],
        b"",
    )
    .await;
    assert_eq!(get.code, Some(0), "{}", get.err);
    assert_eq!(
        get.err
            .matches("gcsd: skipped: it is named twice: gs://bucket/a/x\n")
            .count(),
        2,
        "{}",
        get.err
    );
    assert_eq!(files(dir.path()).len(), 2);
}

#[track_caller]
fn get_one_directory(get: &Ended, dir: &Path) {
    assert_eq!(get.code, Some(1), "{}", get.err);
    let line =
        "gcsd: same_target: it would be a file where gs://bucket/c/x/n needs a directory: gs://bucket/x\n";
    assert!(get.err.contains(line), "{}", get.err);
    assert!(get.err.ends_with("gcsd: failed: 1 of 3 failed\n"), "{}", get.err);
    let came = [("x-", "c/x-"), ("x/n", "c/x/n")].map(|(name, object)| (name.to_owned(), object.to_owned()));
    assert_eq!(files(dir), came);
}

/// An object that is called as a directory is, and is asked for as one.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_with_a_directorys_name_is_not_lost() {
    let daemon = with(&["d", "d/x", "e"]).await;
    let to = Some(daemon.address);
    let dir = tree(&[]);
    let new = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let get = run(to, &["get", "-r", "gs://bucket/d", &new("new")], b"").await;
    assert_eq!(get.code, Some(1), "{}", get.err);
    assert!(
        get.err
            .contains("it would be a file where gs://bucket/d/x needs a directory: gs://bucket/d\n"),
        "{}",
        get.err
    );
    assert_eq!(files(dir.path()), [("new/d/x".to_owned(), "d/x".to_owned())]);
    run(to, &["cp", "-r", "gs://bucket/d", "gs://other/new"], b"")
        .await
        .quiet();
    assert_eq!(names(&daemon, "other").await, ["new", "new/x"]);
    run(to, &["cp", "-r", "gs://bucket/e", "gs://other/f"], b"")
        .await
        .quiet();
    assert_eq!(
        daemon.devgcs.object_bytes("other", "f").await.expect("a copy"),
        b"e"
    );
}

/// Links in the directory that would make two objects one file.
#[tokio::test(flavor = "multi_thread")]
async fn links_make_no_two_objects_one_file() {
    let daemon = with(&["p/f", "q/f", "r/f", "s/f"]).await;
    let dir = tree(&["in/q/old", "out/old"]);
    let path = dir.path().join("in");
    for (link, to) in [("p", "q"), ("r", "../out"), ("s", "../out")] {
        std::os::unix::fs::symlink(to, path.join(link)).expect("a link");
    }
    let args = ["get", "-r", "gs://bucket", path.to_str().expect("UTF-8")];
    let get = run(Some(daemon.address), &args, b"").await;
    assert_eq!(get.code, Some(1), "{}", get.err);
    assert!(get.err.ends_with("gcsd: failed: 2 of 4 failed\n"), "{}", get.err);
    assert_eq!(get.err.matches("same_target: ").count(), 2, "{}", get.err);
    assert_eq!(fs::read(path.join("q/f")).expect("the file"), b"q/f");
    let out = fs::read_to_string(dir.path().join("out/f")).expect("the file");
    assert!(out == "r/f" || out == "s/f", "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_would_become_one_copy_are_refused() {
    let daemon = with(&["a/x", "a/y", "b/x", "b/x/n"]).await;
    let to = Some(daemon.address);
    let cp = run(
        to,
        &["cp", "gs://bucket/a/x", "gs://bucket/b/x", "gs://other/"],
        b"",
    )
    .await;
    same(&cp, "gs://bucket/a/x", "gs://bucket/b/x");
    let list = b"gs://bucket/a/x\ngs://bucket/b/x\n";
    let cp = run(to, &["cp", "--stdin", "gs://other/"], list).await;
    same(&cp, "gs://bucket/a/x", "gs://bucket/b/x");
    assert_eq!(daemon.devgcs.inspect().count(CallKind::RewriteObject), 0);
    let cp = run(
        to,
        &[
            "cp",
            "gs://bucket/a/*",
            "gs://bucket/b/**",
            "gs://other/",
            "--json",
        ],
        b"",
    )
    .await;
    assert_eq!(cp.code, Some(1), "{}", cp.err);
    assert!(cp.err.ends_with("gcsd: failed: 2 of 4 failed\n"), "{}", cp.err);
    let lines = cp.text().lines().filter(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["error"]["name"] == "same_target"
    });
    assert_eq!(lines.count(), 2, "{}", cp.text());
    // A bucket can hold an object and others below its name.
    assert_eq!(names(&daemon, "other").await, ["x/n", "y"]);
}

/// Several lists of more than a page each, merged.
#[tokio::test(flavor = "multi_thread")]
async fn what_clashes_is_found_on_whatever_page_it_is() {
    let daemon = with(&[]).await;
    for number in 0..700 {
        for (dir, step) in [("a", 2), ("b", 3)] {
            upload(
                &daemon.devgcs,
                &format!("{dir}/{:05}", number * step),
                dir.as_bytes(),
            )
            .await;
        }
    }
    let args = [
        "cp",
        "gs://bucket/a/*",
        "gs://bucket/b/*",
        "gs://other/",
        "--jobs",
        "64",
    ];
    let cp = run(Some(daemon.address), &args, b"").await;
    assert_eq!(cp.code, Some(1), "{}", cp.err.lines().last().unwrap_or_default());
    // 0 to 1398 by twos and 0 to 2097 by threes have every sixth in common.
    let both = (0..=1398).step_by(6).count();
    let last = cp.err.lines().last().expect("a line");
    assert_eq!(last, format!("gcsd: failed: {} of 1400 failed", 2 * both));
    assert_eq!(names(&daemon, "other").await.len(), 1400 - 2 * both);
}

/// A list that is not in order could hide that two objects have one target: it is not believed.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_out_of_order_is_no_list() {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let answering = tokio::spawn(async move {
        let mut conversation = peer.accept().await;
        for page in [
            r#"{"items":[{"name":"b","generation":"1"}],"nextPageToken":"more"}"#,
            r#"{"items":[{"name":"a","generation":"1"}]}"#,
        ] {
            let head = conversation.head().await;
            assert!(head.starts_with("GET /storage/v1/b/bucket/o?"), "{head}");
            let json = "Content-Type: application/json\r\n";
            conversation.send(response("200 OK", json, page)).await;
        }
        // What came before is copied, or would be.
        let head = conversation.head().await;
        assert!(
            head.starts_with("POST /storage/v1/b/bucket/o/b/rewriteTo/"),
            "{head}"
        );
        conversation.send(response("404 Not Found", "", "")).await;
    });
    let cp = ["cp", "-r", "gs://bucket", "gs://other/"];
    let cp = run(Some(daemon.address), &cp, b"").await;
    assert_eq!(cp.code, Some(1), "{}", cp.err);
    let line = "gcsd: bad_response: GCS's list is not in the order of its names: gs://bucket/\n";
    assert!(cp.err.contains(line), "{}", cp.err);
    assert!(cp.err.ends_with("gcsd: failed: 2 of 2 failed\n"), "{}", cp.err);
    answering.await.expect("no panic");
}

/// More than a page of a list, so that what is written could still be read.
async fn deep() -> Daemon {
    let daemon = with(&["src/sub/deep"]).await;
    for number in 0..1_100 {
        upload(&daemon.devgcs, &format!("src/{number:05}"), b"").await;
    }
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_into_itself_is_refused_before_it_begins() {
    let daemon = deep().await;
    let to = Some(daemon.address);
    for args in [
        &["-r", "gs://bucket/src", "gs://bucket/src/copy/"][..],
        &["-r", "gs://bucket/src", "gs://bucket/src/copy"],
        &["-r", "gs://bucket/src/", "gs://bucket/src/copy/"],
        &[
            "-r",
            "gs://bucket/src",
            "gs://bucket/other/",
            "--literal",
            "gs://bucket/src/x/",
        ],
        &["-r", "gs://bucket", "gs://bucket/copy/"],
        &["-r", "gs://bucket", "gs://bucket/copy"],
        &["gs://bucket/**", "gs://bucket/copy/"],
        &["-r", "gs://bucket/s*", "gs://bucket/src/"],
        &["-r", "gs://bucket/*", "gs://bucket/copy/"],
        // Onto itself, with nothing that would change.
        &["-r", "gs://bucket/src", "gs://bucket/"],
        &["gs://bucket/src/*", "gs://bucket/src/"],
        &["gs://bucket/src/00000", "gs://bucket/src/00000"],
        &["gs://bucket/src/00000", "gs://bucket/src/"],
        // One source onto another.
        &[
            "gs://bucket/src/sub/*",
            "gs://bucket/src/[0d]*",
            "gs://bucket/src/",
        ],
    ] {
        let cp = run(to, &[&["cp"], args].concat(), b"").await;
        assert_eq!(cp.code, Some(2), "{args:?}: {}", cp.err);
        assert_eq!(cp.err.lines().count(), 1, "{args:?}: {}", cp.err);
        let why = cp.err.contains("would be one of the sources: ") || cp.err.contains("are the same one: ");
        assert!(why, "{args:?}: {}", cp.err);
    }
    assert_eq!(daemon.devgcs.inspect().count(CallKind::RewriteObject), 0);
    assert_eq!(names(&daemon, BUCKET).await.len(), 1_101);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_looks_like_an_overlap_is_copied() {
    let daemon = with(&["a/b/c", "a/d", "e", "n/n/x"]).await;
    let to = Some(daemon.address);
    for (args, new) in [
        (&["gs://bucket/a/*", "gs://bucket"][..], "d"),
        (&["-r", "gs://bucket/a/b", "gs://bucket"], "b/c"),
        (&["-r", "gs://bucket/a", "gs://bucket/ab"], "ab/d"),
        (&["-r", "gs://bucket/a", "gs://bucket/a2/"], "a2/a/d"),
        (&["gs://bucket/?", "gs://bucket/f/"], "f/e"),
        (&["-r", "gs://bucket", "gs://other/"], ""),
        (&["gs://bucket/e", "gs://bucket/e2"], "e2"),
    ] {
        run(to, &[&["cp"], args].concat(), b"").await.quiet();
        assert!(new.is_empty() || daemon.has_object(new), "{args:?}");
    }
    // An object that is to become something else is copied onto itself.
    for args in [
        &["gs://bucket/e", "gs://bucket/e", "--content-type", "a/b"][..],
        &["-r", "gs://bucket/a", "gs://bucket/", "--content-type", "a/b"],
    ] {
        run(to, &[&["cp"], args].concat(), b"").await.quiet();
    }
    let stat = run(to, &["stat", "--json", "gs://bucket/a/d"], b"").await.quiet();
    assert!(stat.text().contains("a/b"), "{}", stat.text());
    // Here one copy would be a source, and that is found before it is made.
    let cp = run(to, &["cp", "-r", "gs://bucket/n/", "gs://bucket"], b"").await;
    assert_eq!(cp.code, Some(2), "{}", cp.err);
    let copies = run(to, &["cp", "-r", "gs://bucket/n/n", "gs://bucket"], b"").await;
    assert_eq!(copies.code, Some(0), "{}", copies.err);
    assert!(daemon.has_object("n/x"));
    // Composing an object of itself and others is how bytes are appended.
    let compose = ["compose", "gs://bucket/e", "gs://bucket/a/d", "gs://bucket/e"];
    run(to, &compose, b"").await.quiet();
    assert_eq!(daemon.object("e").await, b"ea/d");
}

/// A directory that lies in itself by way of a mount. It needs the right to mount, in a namespace of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_itself_is_seen() {
    let daemon = with(&[]).await;
    let dir = tree(&["a/x", "a/b/c/y"]);
    let script = "mount --bind a a/b/c && exec \"$0\" put -r a gs://bucket";
    let command = gcsd(Some(daemon.address), &[]);
    let mut unshare = std::process::Command::new("unshare");
    unshare
        .args(["-rm", "sh", "-c", script])
        .arg(command.get_program())
        .env("GCSD_CONNECT", daemon.address.to_string())
        .current_dir(dir.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let probe = std::process::Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    }
    let put = wait(unshare.spawn().expect("unshare runs")).await;
    put_saw_itself(&put);
    assert_eq!(names(&daemon, BUCKET).await, ["a/x"]);
}

#[track_caller]
fn put_saw_itself(put: &Ended) {
    assert_eq!(put.code, Some(1), "{}", put.err);
    assert!(
        put.err
            .contains("it is a directory that it lies in, by way of a mount: a/b/c\n"),
        "{}",
        put.err
    );
}
