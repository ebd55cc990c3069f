//! What signals do to commands, and to those that wait for something that never comes: the binary against a daemon in
//! front of devgcs.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use devgcs::{CallKind, Snapshot};
use tempfile::TempDir;

use crate::support::command::{gcsd, run, signal, wait};
use crate::support::daemon::{Daemon, Options, PATIENCE, pattern};
use crate::support::devgcs::upload;
use crate::support::process::Process;
use crate::support::secret::write_secret;

const URL: &str = "gs://bucket/big";

async fn failing(plan: &str) -> Daemon {
    Daemon::with(Options::failing(plan)).await
}

/// A file that is larger than what is sent before anybody answers.
fn large() -> (TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("source");
    fs::write(&path, pattern(24 << 20)).expect("a file");
    let text = path.to_str().expect("UTF-8").to_owned();
    (dir, text)
}

/// The binary, with SIGHUP as `how` says, whatever it is for this process.
fn hangup(how: &str, daemon: &Daemon, args: &[&str]) -> Child {
    let command = gcsd(Some(daemon.address), args);
    let mut wrapped = Command::new("/usr/bin/env");
    wrapped
        .arg(format!("--{how}-signal=HUP"))
        .arg(command.get_program())
        .args(args);
    wrapped
        .env_clear()
        .env("GCSD_CONNECT", daemon.address.to_string());
    wrapped
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    wrapped.spawn().expect("env runs")
}

/// Waits until the process has taken over SIGTERM.
async fn handles_signals(child: &Child) {
    for _ in 0..PATIENCE.as_millis() / 5 {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.expect("a mask").trim(), 16).expect("a mask");
        if caught >> 14 & 1 == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never took over SIGTERM");
}

async fn writing(daemon: &Daemon, sessions: usize) {
    let writing = |inspect: &Snapshot| {
        let writing = inspect.sessions.iter().filter(|session| session.writing > 0);
        writing.count() == sessions
    };
    assert!(daemon.devgcs.wait_for(PATIENCE, writing).await);
}

fn fifo(dir: &Path, name: &str) -> String {
    let path = dir.join(name);
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .expect("mkfifo runs")
            .success()
    );
    path.to_str().expect("UTF-8").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_clears_up_as_a_termination_does() {
    let (dir, source) = large();
    for (more, sessions) in [(&[][..], 1), (&["--connections", "3"], 3)] {
        let daemon = Daemon::start().await;
        daemon.devgcs.pause_bodies(true);
        let child = hangup("default", &daemon, &[&["put", &source, URL], more].concat());
        writing(&daemon, sessions).await;
        signal(&child, "-HUP");
        let ended = wait(child).await;
        ended.failed(130, "interrupted: ");
        assert!(ended.err.contains("no object was made"), "{}", ended.err);
        assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
        let ls = run(Some(daemon.address), &["ls", "gs://bucket/**"], b"").await;
        ls.failed(3, "not_found: ");
    }
    let daemon = failing("stall-always-after-1024K on read").await;
    upload(&daemon.devgcs, "big", &pattern(4 << 20)).await;
    let target = dir.path().join("target");
    let child = hangup("default", &daemon, &["get", URL, target.to_str().expect("UTF-8")]);
    let begun = || fs::read_dir(dir.path()).expect("a directory").count() == 2;
    assert!(daemon.devgcs.wait_for(PATIENCE, |_| begun()).await);
    signal(&child, "-HUP");
    wait(child).await.failed(130, "interrupted: ");
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_that_mean_no_end_are_none() {
    let daemon = Daemon::start().await;
    let (_dir, source) = large();
    daemon.devgcs.pause_bodies(true);
    // As nohup starts it.
    let child = hangup("ignore", &daemon, &["put", &source, URL]);
    writing(&daemon, 1).await;
    for name in ["-HUP", "-USR1", "-USR2"] {
        signal(&child, name);
    }
    daemon.devgcs.pause_bodies(false);
    wait(child).await.quiet();
    assert!(daemon.has_object("big"));

    let mut serving = Process::serve("127.0.0.1:0", &["--embedded"]);
    serving.signal("-USR1");
    serving.signal("-USR2");
    run(Some(serving.address()), &["put", &source, "gs://demo/big"], b"")
        .await
        .quiet();
    assert!(serving.stop().success());
}

/// To a daemon without a terminal, a hangup is no reason to end, and none to cut what is in flight.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_goes_on_at_a_hangup() {
    let scene = Daemon::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let (source, key) = (dir.path().join("source"), dir.path().join("key"));
    // One request.
    fs::write(&source, pattern(500_000)).expect("a file");
    write_secret(&key, &"ab".repeat(32));
    let endpoint = scene.devgcs.endpoint();
    let args = [
        "--endpoint",
        &endpoint,
        "--anonymous",
        "--token-key",
        key.to_str().expect("UTF-8"),
    ];
    let mut daemon = Process::serve_reloading("127.0.0.1:0", &args);
    scene.devgcs.pause_bodies(true);
    let source = source.to_str().expect("UTF-8");
    let mut put = gcsd(Some(daemon.address()), &["put", source, URL, "--retry-for", "0"]);
    let put = put.spawn().expect("the binary runs");
    writing(&scene, 1).await;
    daemon.signal("-HUP");
    scene.devgcs.pause_bodies(false);
    let put = wait(put).await;
    assert_eq!(put.code, Some(0), "{}", put.err);
    assert!(daemon.stop().success());
    assert!(scene.has_object("big"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_with_nobody_at_its_other_end_makes_no_command_immortal() {
    let daemon = Daemon::start().await;
    upload(&daemon.devgcs, "big", b"x").await;
    let (dir, source) = large();
    let pipe = fifo(dir.path(), "pipe");
    for name in ["-INT", "-TERM"] {
        for args in [
            &["put", &pipe, URL][..],
            &["get", URL, &pipe],
            &["get", URL, "-", "--auth-file", &pipe],
            &["put", &source, URL, "--encryption-key-file", &pipe],
            &[
                "put",
                "-r",
                &source,
                "gs://bucket/x/",
                "--encryption-key-file",
                &pipe,
            ],
            &["get", URL, "-", "--encryption-key-file", &pipe],
            &[
                "get",
                "-r",
                "gs://bucket",
                dir.path().to_str().expect("UTF-8"),
                "--encryption-key-file",
                &pipe,
            ],
            &["cp", URL, "gs://bucket/copy", "--encryption-key-file", &pipe],
        ] {
            let child = gcsd(Some(daemon.address), args).spawn().expect("the binary runs");
            handles_signals(&child).await;
            signal(&child, name);
            let ended = wait(child).await;
            assert_eq!(ended.code, Some(130), "{args:?}: {}", ended.err);
        }
    }
    // What only lies in a directory is passed over, and what is in the way is not waited for.
    let inner = dir.path().to_str().expect("UTF-8");
    let put = run(
        Some(daemon.address),
        &["put", "-r", inner, "gs://bucket/all"],
        b"",
    )
    .await;
    let told = format!("gcsd: skipped: it is not a regular file: {pipe}\n");
    assert_eq!((put.code, put.err.as_str()), (Some(0), told.as_str()));
    let put = run(
        Some(daemon.address),
        &["put", &pipe, &source, "gs://bucket/two/"],
        b"",
    )
    .await;
    assert_eq!(put.code, Some(2), "{}", put.err);
    assert!(put.err.contains("goes alone"), "{}", put.err);
    assert!(daemon.has_object("two/source"));
    upload(&daemon.devgcs, "pipe", b"x").await;
    let get = ["get", "gs://bucket/pipe", "gs://bucket/big", inner];
    let get = run(Some(daemon.address), &get, b"").await;
    assert_eq!(get.code, Some(2), "{}", get.err);
    assert!(
        get.err.contains("it is there, and is not a regular file"),
        "{}",
        get.err
    );
    // A state is a file of its own.
    let put = ["put", &source, URL, "--resume-file", &pipe];
    run(Some(daemon.address), &put, b"")
        .await
        .failed(1, "io: it is not a regular file");
    let put = ["put", &source, URL, "--resume-file", "/dev/null"];
    run(Some(daemon.address), &put, b"")
        .await
        .failed(1, "io: it is not a regular file");
    assert!(!fs::metadata("/dev/null").expect("it is there").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_waits_for_nothing() {
    let daemon = failing("stall-always on cancel").await;
    let (_dir, source) = large();
    daemon.devgcs.pause_bodies(true);
    let child = gcsd(Some(daemon.address), &["put", &source, URL])
        .spawn()
        .expect("the binary runs");
    writing(&daemon, 1).await;
    signal(&child, "-TERM");
    let cancelling = |inspect: &Snapshot| inspect.count(CallKind::CancelUpload) > 0;
    assert!(daemon.devgcs.wait_for(PATIENCE, cancelling).await);
    signal(&child, "-INT");
    wait(child).await.failed(130, "a second signal: ending at once");
}

/// Who reads the output stands still, and the pipe is full.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_nobody_takes_makes_no_command_immortal() {
    let daemon = Daemon::start().await;
    upload(&daemon.devgcs, "big", &pattern(4 << 20)).await;
    for number in 0..600 {
        upload(&daemon.devgcs, &format!("many/{number}/{}", "x".repeat(200)), b"").await;
    }
    for args in [
        &["ls", "gs://bucket/**"][..],
        &["ls", "--json", "gs://bucket/**"],
        &["stat", "gs://bucket/**"],
        &["cat", "gs://bucket/big"],
        &["get", URL, "-"],
        &["cp", "-r", "--json", "gs://bucket/many", "gs://bucket/copy/"],
    ] {
        let mut child = gcsd(Some(daemon.address), args).spawn().expect("the binary runs");
        let stdout = child.stdout.take();
        handles_signals(&child).await;
        signal(&child, "-TERM");
        let ended = wait(child).await;
        assert_eq!(ended.code, Some(130), "{args:?}: {}", ended.err);
        drop(stdout);
    }
}
