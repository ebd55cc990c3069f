//! `gcsd get` and `put` of many objects: the binary against a daemon in front of devgcs.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Ended, gcsd, run, signal, wait};
use crate::support::daemon::{BUCKET, Daemon, Options, PATIENCE, pattern};
use crate::support::devgcs::upload;
use crate::support::waiting::becomes;

async fn failing(faults: &str) -> Daemon {
    let devgcs = devgcs::Server::builder().bucket(BUCKET).faults(faults);
    Daemon::with(Options {
        devgcs,
        ..Options::default()
    })
    .await
}

/// A daemon and objects, each of which has its own name for content.
async fn with(names: &[&str]) -> Daemon {
    let daemon = Daemon::start().await;
    for name in names {
        let escaped = name.replace('?', "%3F").replace('\0', "%00");
        upload(&daemon.devgcs, &escaped, name.as_bytes()).await;
    }
    daemon
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

/// What is below `dir` are files whose content is their object's name.
#[track_caller]
fn came(dir: &Path, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|(name, object)| ((*name).to_owned(), (*object).to_owned()))
        .collect();
    assert_eq!(files(dir), expected);
}

fn lines(ended: &Ended) -> Vec<Value> {
    let mut lines: Vec<Value> = ended
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    lines.sort_by_key(|line| line["url"].to_string());
    lines
}

const NAMES: [&str; 6] = ["a.txt", "b.txt", "d/a.txt", "d/e/f.gz", "d/e/g", "x?"];

#[tokio::test(flavor = "multi_thread")]
async fn get_makes_files_below_a_directory() {
    let daemon = with(&NAMES).await;
    let to = Some(daemon.address);
    let get = async |args: &[&str], below: &str| {
        let dir = tempfile::tempdir().expect("a directory");
        let path = format!("{}/{below}", dir.path().to_str().expect("UTF-8"));
        let args = [&["get"], args, &[&path]].concat();
        run(to, &args, b"").await.quiet();
        dir
    };
    let whole: Vec<_> = NAMES.iter().map(|name| (*name, *name)).collect();
    came(get(&["-r", "gs://bucket"], "").await.path(), &whole);
    came(
        get(&["gs://bucket/*.txt"], "").await.path(),
        &[("a.txt", "a.txt"), ("b.txt", "b.txt")],
    );
    came(
        get(&["gs://bucket/x[?]", "gs://bucket/d/a.txt"], "").await.path(),
        &[("a.txt", "d/a.txt"), ("x?", "x?")],
    );
    let below = [
        ("d/a.txt", "d/a.txt"),
        ("d/e/f.gz", "d/e/f.gz"),
        ("d/e/g", "d/e/g"),
    ];
    came(get(&["-r", "gs://bucket/d"], "").await.path(), &below);
    // With a slash at the end it is what lies in it.
    let in_it = [("a.txt", "d/a.txt"), ("e/f.gz", "d/e/f.gz"), ("e/g", "d/e/g")];
    came(get(&["-r", "gs://bucket/d/"], "").await.path(), &in_it);
    came(
        get(&["gs://bucket/d/**"], "new/").await.path(),
        &[
            ("new/a.txt", "d/a.txt"),
            ("new/e/f.gz", "d/e/f.gz"),
            ("new/e/g", "d/e/g"),
        ],
    );
    // Whether the directory is there makes no difference: the second run goes where the first one went.
    let dir = tempfile::tempdir().expect("a directory");
    let new = dir.path().join("new");
    for _ in 0..2 {
        let args = ["get", "-r", "gs://bucket/d", new.to_str().expect("UTF-8")];
        run(to, &args, b"").await.quiet();
        came(&new, &below);
    }
    came(
        get(
            &["-r", "gs://bucket/d/e/g", "gs://bucket/a.txt", "--jobs", "1"],
            "",
        )
        .await
        .path(),
        &[("a.txt", "a.txt"), ("g", "d/e/g")],
    );
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("none");
    let path = path.to_str().expect("UTF-8");
    for refused in [
        &["get", "gs://bucket/*", path][..],
        &["get", "gs://bucket/*", "-"],
        &["get", "gs://bucket/*", path, "--range", "0-1"],
        &["get", "-r", "gs://bucket/d", path, "--generation", "1"],
    ] {
        run(to, refused, b"").await.failed(2, "usage: ");
    }
    run(
        to,
        &["get", "gs://bucket/*.zip", dir.path().to_str().expect("UTF-8")],
        b"",
    )
    .await
    .failed(3, "not_found: ");
    assert!(files(dir.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_out_of_the_directory_are_refused_and_the_others_come() {
    let names = [
        "../out",
        "/abs",
        "a",
        "b/../../c",
        "d//e",
        "m/",
        "n/./o",
        "z\0",
        "z/..",
        "ok/p",
    ];
    let daemon = with(&names).await;
    let outer = tempfile::tempdir().expect("a directory");
    let dir = outer.path().join("in");
    fs::create_dir(&dir).expect("a directory");
    let args = ["get", "-r", "gs://bucket", dir.to_str().expect("UTF-8"), "--json"];
    let get = run(Some(daemon.address), &args, b"").await;
    assert_eq!(get.code, Some(1), "{}", get.err);
    assert!(get.err.ends_with("gcsd: failed: 7 of 10 failed\n"), "{}", get.err);
    assert!(
        get.err
            .contains("gcsd: skipped: it only marks a directory: gs://bucket/m/\n"),
        "{}",
        get.err
    );
    came(outer.path(), &[("in/a", "a"), ("in/ok/p", "ok/p")]);
    let lines = lines(&get);
    assert_eq!(lines.len(), 10);
    assert_eq!(lines.iter().filter(|line| line["error"]["exit"] == 1).count(), 7);
    let done = lines
        .iter()
        .find(|line| line["url"] == "gs://bucket/a")
        .expect("a line");
    assert_eq!(
        (&done["size"], &done["file"]),
        (&"1".into(), &dir.join("a").to_str().into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_told_for_each() {
    let daemon = with(&["a", "a/b", "c", "d"]).await;
    let to = Some(daemon.address);
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("c")).expect("a directory");
    fs::write(dir.path().join("d"), "old").expect("a file");
    let path = dir.path().to_str().expect("UTF-8");
    // A name cannot be both a file and a directory: one of the two fails. Nor can a directory be replaced.
    let get = run(to, &["get", "-r", "-n", "gs://bucket", path], b"").await;
    assert!(get.err.ends_with("gcsd: failed: 1 of 4 failed\n"), "{}", get.err);
    assert_eq!(
        get.err
            .matches("gcsd: skipped: the file is there (--no-clobber): ")
            .count(),
        2,
        "{}",
        get.err
    );
    assert_eq!(fs::read(dir.path().join("d")).expect("the file"), b"old");
    let get = run(to, &["get", "gs://bucket/c", "gs://bucket/d", path], b"").await;
    assert_eq!(get.code, Some(1), "{}", get.err);
    assert_eq!(fs::read(dir.path().join("d")).expect("the file"), b"d");
    // One alone is skipped as many are.
    let one = dir.path().join("d");
    fs::write(&one, "mine").expect("a file");
    let args = [
        "get",
        "-n",
        "gs://bucket/d",
        one.to_str().expect("UTF-8"),
        "--json",
    ];
    let get = run(to, &args, b"").await;
    assert_eq!(get.code, Some(0), "{}", get.err);
    assert_eq!(
        get.err,
        "gcsd: skipped: the file is there (--no-clobber): gs://bucket/d\n"
    );
    assert_eq!(lines(&get)[0]["skipped"], "the file is there (--no-clobber)");
    assert_eq!(fs::read(&one).expect("the file"), b"mine");
}

/// `count` objects below `o/`.
async fn objects(daemon: &Daemon, count: usize) -> Vec<(String, Vec<u8>)> {
    let mut objects = Vec::new();
    for number in 0..count {
        let object = (format!("o/{}/{number}", number % 7), pattern(number * 1009));
        upload(&daemon.devgcs, &object.0, &object.1).await;
        objects.push(object);
    }
    objects
}

#[tokio::test(flavor = "multi_thread")]
async fn many_come_through_faults() {
    let plan = "seed 9; return-503 on read p 0.05; return-reset-connection-after-256K on read p 0.05";
    let daemon = failing(plan).await;
    let objects = objects(&daemon, 150).await;
    let dir = tempfile::tempdir().expect("a directory");
    let args = [
        "get",
        "-r",
        "gs://bucket/o",
        dir.path().to_str().expect("UTF-8"),
        "--jobs",
        "8",
    ];
    let get = run(Some(daemon.address), &args, b"").await;
    assert_eq!(get.code, Some(0), "{}", get.err);
    let last = get.err.lines().last().expect("a line");
    assert!(last.starts_with("gcsd: recovered "), "{}", get.err);
    for (name, bytes) in &objects {
        assert!(
            fs::read(dir.path().join(name)).expect("the file") == *bytes,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_get_leaves_whole_files_only() {
    let daemon = failing("stall-always-after-256K on read").await;
    for name in ["a", "b", "c"] {
        upload(&daemon.devgcs, name, &pattern(1 << 20)).await;
    }
    upload(&daemon.devgcs, "small", b"small").await;
    let dir: TempDir = tempfile::tempdir().expect("a directory");
    let args = ["get", "-r", "gs://bucket", dir.path().to_str().expect("UTF-8")];
    let child = gcsd(Some(daemon.address), &args)
        .spawn()
        .expect("the binary runs");
    let reading = |inspect: &devgcs::Snapshot| inspect.count(devgcs::CallKind::ReadObject) == 4;
    assert!(daemon.devgcs.wait_for(PATIENCE, reading).await);
    let count = || fs::read_dir(dir.path()).expect("a directory").count();
    becomes(|| dir.path().join("small").exists() && count() == 4).await;
    signal(&child, "-INT");
    wait(child).await.failed(130, "interrupted: ");
    came(dir.path(), &[("small", "small")]);
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

/// The names of the objects that there are.
async fn there(daemon: &Daemon) -> Vec<String> {
    let ls = run(Some(daemon.address), &["ls", "gs://bucket/**"], b"").await;
    ls.text()
        .lines()
        .map(|line| line.replace("gs://bucket/", ""))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn put_makes_objects_of_files_and_directories() {
    let dir = tree(&["s/a", "s/d/b", "s/d/e/c", "t"]);
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (site, text) = (path("s"), path("t"));
    let put = async |args: &[&str]| {
        let daemon = Daemon::start().await;
        let args = [&["put"], args].concat();
        run(Some(daemon.address), &args, b"").await.quiet();
        daemon
    };
    let daemon = put(&[&text, &path("s/a"), "gs://bucket/p/"]).await;
    assert_eq!(there(&daemon).await, ["p/a", "p/t"]);
    assert_eq!(daemon.object("p/a").await, b"s/a");
    let daemon = put(&["-r", &site, "gs://bucket"]).await;
    assert_eq!(there(&daemon).await, ["s/a", "s/d/b", "s/d/e/c"]);
    assert_eq!(daemon.object("s/d/e/c").await, b"s/d/e/c");
    let daemon = put(&["-r", &site, "gs://bucket/new", "--jobs", "1"]).await;
    assert_eq!(there(&daemon).await, ["new/a", "new/d/b", "new/d/e/c"]);
    let daemon = put(&["-r", &site, "-j", "2", &text, "gs://bucket/new/"]).await;
    assert_eq!(
        there(&daemon).await,
        ["new/s/a", "new/s/d/b", "new/s/d/e/c", "new/t"]
    );

    let to = Some(daemon.address);
    let state = path("state");
    for refused in [
        &["put", &site, &text, "gs://bucket/o"][..],
        &["put", "-", &text, "gs://bucket/o/"],
        &["put", &site, "gs://bucket/o"],
        &["put", "-r", &site, "gs://bucket/o", "--resume-file", &state],
        &["put", &text],
        &["put", &text, "bucket/o"],
    ] {
        run(to, refused, b"").await.failed(2, "usage: ");
    }
    // What is there is left alone, and told.
    let again = run(
        to,
        &[
            "put",
            "-r",
            "-n",
            "--json",
            &site,
            &text,
            &path("none"),
            "gs://bucket/new/",
        ],
        b"",
    )
    .await;
    assert_eq!(again.code, Some(1), "{}", again.err);
    assert!(
        again.err.ends_with("gcsd: failed: 1 of 5 failed\n"),
        "{}",
        again.err
    );
    let lines = lines(&again);
    assert_eq!(lines.iter().filter(|line| line["skipped"].is_string()).count(), 4);
    assert_eq!(
        lines.iter().filter(|line| line["error"]["name"] == "io").count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_skipped_and_told() {
    let dir = tree(&["s/a", "s/d/b"]);
    let site = dir.path().join("s");
    std::os::unix::fs::symlink("a", site.join("link")).expect("a link");
    std::os::unix::fs::symlink("..", site.join("d/up")).expect("a link");
    let daemon = Daemon::start().await;
    let site = site.to_str().expect("UTF-8");
    let put = run(Some(daemon.address), &["put", "-r", site, "gs://bucket"], b"").await;
    let told = format!("gcsd: skipped: it is a symbolic link to a directory: {site}/d/up\n");
    assert_eq!((put.code, put.err), (Some(0), told));
    assert_eq!(there(&daemon).await, ["s/a", "s/d/b", "s/link"]);
    assert_eq!(daemon.object("s/link").await, b"s/a");
    let put = ["put", "-r", "-q", "--ignore-symlinks", site, "gs://bucket/x/"];
    run(Some(daemon.address), &put, b"").await.quiet();
    assert_eq!(
        there(&daemon).await,
        ["s/a", "s/d/b", "s/link", "x/s/a", "x/s/d/b"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_go_through_faults() {
    let plan = "seed 4; return-503 on any p 0.05; return-reset-connection-after-256K on write p 0.05; \
                close-connection-after-all on last p 0.05";
    let daemon = failing(plan).await;
    let dir = tempfile::tempdir().expect("a directory");
    for number in 0..80 {
        fs::write(dir.path().join(number.to_string()), pattern(number * 9973)).expect("a file");
    }
    let args = [
        "put",
        "-r",
        dir.path().to_str().expect("UTF-8"),
        "gs://bucket/all",
        "--jobs",
        "8",
    ];
    let put = run(Some(daemon.address), &args, b"").await;
    assert_eq!(put.code, Some(0), "{}", put.err);
    // Each kind of failure is told once, and the sum at the end.
    let (told, sum) = put.err.trim_end().rsplit_once('\n').expect("several lines");
    assert!(
        told.lines()
            .all(|line| line.ends_with("; trying again, for up to 10 min")),
        "{told}"
    );
    assert_eq!(told.matches("gcsd: unavailable: ").count(), 1, "{told}");
    assert!(sum.starts_with("gcsd: recovered "), "{sum}");
    for number in 0..80 {
        assert!(
            daemon.object(&format!("all/{number}")).await == pattern(number * 9973),
            "{number}"
        );
    }
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_put_of_many_leaves_no_sessions() {
    let daemon = Daemon::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["a", "b", "c"] {
        let file = fs::File::create(dir.path().join(name)).expect("a file");
        file.set_len(1 << 28).expect("a sparse file");
    }
    daemon.devgcs.pause_bodies(true);
    let args = ["put", "-r", dir.path().to_str().expect("UTF-8"), "gs://bucket/x/"];
    let child = gcsd(Some(daemon.address), &args)
        .spawn()
        .expect("the binary runs");
    let writing = |inspect: &devgcs::Snapshot| inspect.count(devgcs::CallKind::WriteUpload) == 3;
    assert!(daemon.devgcs.wait_for(PATIENCE, writing).await);
    signal(&child, "-INT");
    wait(child).await.failed(130, "interrupted: ");
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
    assert!(there(&daemon).await.is_empty());
}
