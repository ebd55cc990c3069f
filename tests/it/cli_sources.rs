//! What `gcsd put` reads: sizes that are claims, standard streams that are not there.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::command::{Ended, gcsd, run, wait};
use crate::support::daemon::{Daemon, behind};
use crate::support::devgcs::upload;
use crate::support::peer::{Peer, patiently};

const URL: &str = "gs://bucket/object";

/// Files of Linux whose bytes stay the same: one that says it has 0, and one that says it has 4,096.
const CLAIMS: [&str; 2] = ["/proc/version", "/sys/devices/system/cpu/online"];

/// What the file really has, which is not what it says.
fn truth(path: &str) -> Vec<u8> {
    let said = fs::metadata(path).expect("Linux has it").len();
    let bytes = fs::read(path).expect("Linux has it");
    assert!(said == 0 || said == 4096, "{path} says {said}");
    assert!(
        !bytes.is_empty() && bytes.len() < 4096,
        "{path} has {}",
        bytes.len()
    );
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_is_a_claim_is_not_taken_for_the_end() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let dir = tempfile::tempdir().expect("a directory");
    for (number, path) in CLAIMS.into_iter().enumerate() {
        let bytes = truth(path);
        run(to, &["put", path, URL], b"").await.quiet();
        assert!(daemon.object("object").await == bytes, "{path}");
        let name = number.to_string();
        symlink(path, dir.path().join(&name)).expect("a link");
        for (flag, state) in [("--connections", "4"), ("--resume-file", "state")] {
            let refused = run(to, &["put", path, URL, flag, state], b"").await;
            refused.failed(
                2,
                &format!("usage: {flag} needs a file that can be read again, and the size of"),
            );
        }
        let body = format!("body=@{path}");
        let encode = ["encode", "write-at", "upload=1", &body, "last"];
        let encoded = run(None, &encode, b"").await.quiet().out;
        assert!(encoded.ends_with(&bytes), "{path}");
    }
    let tree = dir.path().to_str().expect("UTF-8");
    run(to, &["put", "-q", "-r", tree, "gs://bucket/tree"], b"")
        .await
        .quiet();
    let several = [&["put", "-q"], &CLAIMS[..], &["gs://bucket/several/"]].concat();
    run(to, &several, b"").await.quiet();
    for (number, path) in CLAIMS.into_iter().enumerate() {
        let bytes = truth(path);
        assert!(daemon.object(&format!("tree/{number}")).await == bytes, "{path}");
        let (_, name) = path.rsplit_once('/').expect("a path");
        assert!(daemon.object(&format!("several/{name}")).await == bytes, "{path}");
    }
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
}

/// Runs the binary by a shell, with this behind its arguments.
async fn redirected(daemon: &Daemon, args: &[&str], how: &str) -> Ended {
    let command = gcsd(Some(daemon.address), args);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("exec \"$0\" \"$@\" {how}")])
        .arg(command.get_program())
        .args(args)
        .env("GCSD_CONNECT", daemon.address.to_string())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    wait(shell.spawn().expect("a shell")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_input_that_is_not_there_is_no_empty_one() {
    let daemon = Daemon::start().await;
    let write_only = tempfile::NamedTempFile::new().expect("a file");
    let write_only = format!("0>'{}'", write_only.path().display());
    for args in [
        &["put", "-", URL][..],
        &["put", "/dev/stdin", URL],
        &["put", "/proc/self/fd/0", URL],
        &["rm", "--stdin"],
        &["cat", "--stdin"],
        &["decode"],
        &["encode", "put-object", "body=@-", URL],
    ] {
        let ended = redirected(&daemon, args, "<&-").await;
        ended.failed(1, "io: it is closed: standard input");
        if !args.iter().any(|arg| arg.starts_with("/")) {
            let ended = redirected(&daemon, args, &write_only).await;
            ended.failed(1, "io: it is not open for reading: standard input");
        }
    }
    assert!(!daemon.has_object("object"));
    // Nothing on purpose is nothing, however it is opened.
    for empty in ["</dev/null", "<>/dev/null"] {
        redirected(&daemon, &["put", "-", URL], empty).await.quiet();
        assert_eq!(daemon.object("object").await, b"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_output_that_is_not_there_swallows_nothing() {
    let daemon = Daemon::start().await;
    upload(&daemon.devgcs, "object", b"bytes").await;
    for args in [
        &["get", URL, "-"][..],
        &["get", URL, "-", "--connections", "2"],
        &["cat", URL],
        &["stat", URL],
        &["ls", "gs://bucket/"],
        &["put", "/dev/null", "gs://bucket/other", "--json"],
        &["encode", "ping"],
        &["--help"],
    ] {
        for (how, what) in [(">&-", "closed"), ("1</dev/null", "not open for writing")] {
            let ended = redirected(&daemon, args, how).await;
            ended.failed(1, &format!("io: it is {what}: standard output"));
        }
        for taken in [">/dev/null", "1<>/dev/null"] {
            redirected(&daemon, args, taken).await.quiet();
        }
    }
}

/// Such as a middlebox that closes the connection to a server which decompresses.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_closes_is_no_end_of_a_download() {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("target");
    let path = path.to_str().expect("UTF-8");
    for target in [path, "-"] {
        let get = ["get", "--decompress", URL, target];
        let serve = async {
            let mut server = peer.accept().await;
            server.head().await;
            let head = "HTTP/1.1 200 OK\r\nX-Goog-Generation: 17\r\nX-Goog-Stored-Content-Encoding: gzip\r\n\
                        X-Goog-Stored-Content-Length: 5\r\nX-Goog-Hash: crc32c=AAAAAA==\r\n\r\n";
            server.send(format!("{head}half of it")).await;
        };
        let (ended, ()) =
            patiently(async { tokio::join!(run(Some(daemon.address), &get, b""), serve) }).await;
        ended.failed(5, "early_close: the read failed and cannot resume");
        assert!(
            ended.err.contains("nothing says that the object ended there"),
            "{}",
            ended.err
        );
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }
}
