//! How commands end when nobody reads what they write: the binary against a daemon in front of devgcs.

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Stdio};

use crate::support::command::{gcsd, run, wait};
use crate::support::daemon::{BUCKET, Daemon, pattern};
use crate::support::devgcs::upload;
use crate::support::process::Process;

/// A standard error that takes nothing: a pipe without a reader.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Reads one byte of a command's output, and goes away.
fn taste(child: &mut Child) {
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut [0]).expect("its first byte");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_a_command_as_sigpipe_does() {
    let daemon = Daemon::start().await;
    // More than a pipe holds, of everything.
    upload(&daemon.devgcs, "big", &pattern(4 << 20)).await;
    for number in 0..900 {
        upload(&daemon.devgcs, &format!("many/{number}/{}", "x".repeat(200)), b"").await;
    }
    let get = ["get", "gs://bucket/big", "-"];
    let conversation = ["encode", "write-at", "body=@/dev/zero", "body_len=4MiB"];
    for args in [
        &get[..],
        &["get", "gs://bucket/big", "-", "--connections", "4"],
        &["cat", "gs://bucket/big"],
        &["ls", "gs://bucket/**"],
        &["ls", "--json", "gs://bucket/**"],
        &["cp", "-r", "--json", "gs://bucket/many", "gs://bucket/copy/"],
        &conversation,
    ] {
        let mut child = gcsd(Some(daemon.address), args).spawn().expect("the binary runs");
        taste(&mut child);
        let ended = wait(child).await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(141), ""), "{args:?}");
    }
    // Those that say little say it to nobody at all.
    let resource = ["put", "/dev/null", "gs://bucket/o", "--json"];
    for args in [
        &["stat", "gs://bucket/big"][..],
        &["stat", "--json", "gs://bucket/big"],
        &["cat", "-d", "gs://bucket/big"],
        &["compose", "--json", "gs://bucket/big", "gs://bucket/whole"],
        &["rm", "--json", "gs://bucket/many/1/*"],
        &resource,
        &["encode", "ping"],
        &["demo", "--size", "1KiB", "--faults", "off"],
        &["--help"],
        &["rm", "--help"],
    ] {
        let mut command = gcsd(Some(daemon.address), args);
        let child = command.stdout(unread()).spawn().expect("the binary runs");
        let ended = wait(child).await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(141), ""), "{args:?}");
    }
    // A full disk is told.
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let mut command = gcsd(Some(daemon.address), &get);
    let ended = wait(command.stdout(full).spawn().expect("the binary runs")).await;
    ended.failed(1, "io: ");
    assert!(ended.err.contains("standard output"), "{}", ended.err);
}

/// Everything that is said goes to nobody, and the work is done all the same.
#[tokio::test(flavor = "multi_thread")]
async fn without_standard_error_commands_go_on() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("a"), "a").expect("a file");
    std::os::unix::fs::symlink(".", dir.path().join("link")).expect("a link");
    std::fs::write(dir.path().join("z"), "z").expect("a file");
    let path = dir.path().to_str().expect("UTF-8");
    let full = || {
        Stdio::from(
            File::options()
                .write(true)
                .open("/dev/full")
                .expect("Linux has it"),
        )
    };
    for (nobody, place) in [(unread as fn() -> Stdio, "x"), (full, "y")] {
        let target = format!("gs://{BUCKET}/{place}");
        let put = ["put", "-r", path, &target, "--log-level", "trace"];
        let ended = wait(gcsd(to, &put).stderr(nobody()).spawn().expect("the binary runs")).await;
        assert_eq!(ended.code, Some(0));
        assert_eq!(daemon.object(&format!("{place}/a")).await, b"a");
        assert_eq!(daemon.object(&format!("{place}/z")).await, b"z");
        for (args, code) in [
            (&["stat", "gs://bucket/none"][..], 3),
            (&["stat"], 2),
            (&["no-command"], 2),
        ] {
            let ended = wait(gcsd(to, args).stderr(nobody()).spawn().expect("the binary runs")).await;
            assert_eq!(ended.code, Some(code), "{args:?}");
        }
    }
}

/// A daemon goes on when whoever read its log is gone.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_reader_of_its_log_a_daemon_goes_on() {
    let mut daemon = Process::serve_unread("127.0.0.1:0", &["--embedded"]);
    let to = Some(daemon.address());
    for name in ["a", "b"] {
        let url = format!("gs://demo/{name}");
        let put = ["put", "-", &url, "--retry-for", "0", "--stall-timeout", "20s"];
        run(to, &put, b"x").await.quiet();
        run(to, &["stat", &url], b"").await.quiet();
    }
    assert!(daemon.stop().success());
}
