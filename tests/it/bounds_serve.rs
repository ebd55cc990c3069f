//! The bounds of a daemon in a process of its own: open files, memory, the queue of its listener.

use std::process::Command;

use gcsd_wire::{Kind, Request, Retry, read_at, stat_object};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::daemon::{Client, Daemon, PATIENCE, object_ref};
use crate::support::process::Process;
use crate::support::waiting::{becomes, standstill};

fn stat(object: &str) -> Request {
    Request::StatObject(stat_object::Args {
        of: object_ref(object),
    })
}

async fn connect(daemon: &Process) -> Client {
    let stream = timeout(PATIENCE, TcpStream::connect(daemon.address())).await;
    Client::over(stream.expect("in time").expect("it listens"))
}

/// A connection that takes little before it is full.
async fn connect_narrow(daemon: &Process) -> Client {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("an option");
    let stream = timeout(PATIENCE, socket.connect(daemon.address())).await;
    Client::over(stream.expect("in time").expect("it listens"))
}

fn serve(storage: &Daemon, files: u32, more: &[&str]) -> Process {
    let endpoint = storage.devgcs.endpoint();
    let basic = ["--anonymous", "--endpoint", &endpoint];
    Process::serve_limited(files, "127.0.0.1:0", &[&basic[..], more].concat())
}

#[tokio::test]
async fn pipelines_that_nobody_reads_leave_files_to_newcomers() {
    // More than sockets hold, so that each read stands still.
    const SIZE: usize = 16 << 20;
    let storage = Daemon::start().await;
    storage.connect().await.put(1, "large", &vec![7; SIZE]).await;
    let before = storage.devgcs.inspect().calls.len() as u64;
    let state = tempfile::tempdir().expect("a directory");
    let state = ["--state-dir", state.path().to_str().expect("UTF-8")];
    // 64 for everything else, 32 connections, 32 calls.
    let daemon = serve(&storage, 128, &state);
    assert!(
        daemon.log().contains("connections=32 calls=32"),
        "{}",
        daemon.log()
    );
    let read = Request::ReadAt(read_at::Args {
        of: object_ref("large"),
        range: read_at::Range::From(0),
        decompress: false,
    });
    let mut hogs = Vec::new();
    for _ in 0..12 {
        let mut hog = connect_narrow(&daemon).await;
        for _ in 0..64 {
            hog.begin(0, &read, 0).await;
        }
        hogs.push(hog);
    }
    let calls = || storage.devgcs.inspect().calls.len() as u64 - before;
    becomes(|| calls() >= 12).await;
    assert!(standstill(calls).await <= 32);
    for _ in 0..3 {
        let mut client = connect(&daemon).await;
        client.lives().await;
        client.call(0, stat("large")).await.ok();
    }
    let log = daemon.log();
    assert!(!log.contains("Too many open files"), "{log}");
    assert!(
        !log.contains("connect_failed") && !log.contains("exhausted"),
        "{log}"
    );
}

fn limit_files(daemon: &Process, files: &str) {
    let limited = Command::new("/usr/bin/prlimit")
        .args(["--pid", &daemon.id().to_string(), &format!("--nofile={files}:")])
        .status()
        .expect("prlimit runs");
    assert!(limited.success());
}

#[tokio::test]
async fn a_shortage_of_files_is_the_daemons_own() {
    let storage = Daemon::start().await;
    let state = tempfile::tempdir().expect("a directory");
    let state = ["--state-dir", state.path().to_str().expect("UTF-8")];
    let daemon = serve(&storage, 256, &state);
    let mut client = connect(&daemon).await;
    client.lives().await;
    limit_files(&daemon, "3");
    let error = client
        .call(0, stat("x"))
        .await
        .fails(Kind::Exhausted, Retry::Same);
    assert!(error.message.contains("a limit is reached"), "{}", error.message);
    assert!(error.message.contains("Too many open files"), "{}", error.message);
    limit_files(&daemon, "256");
    client
        .call(0, stat("x"))
        .await
        .fails(Kind::NotFound, Retry::Never);
}

#[tokio::test]
async fn a_full_daemon_says_so_once_and_when_it_is_over() {
    const FULL: &str = "as many connections as there may be";
    const OVER: &str = "there is room for connections again";
    let state = tempfile::tempdir().expect("a directory");
    let state = state.path().to_str().expect("UTF-8");
    let storage = Daemon::start().await;
    let daemon = serve(&storage, 1024, &["--state-dir", state, "--max-connections", "1"]);
    for episode in 1..=2 {
        let client = connect(&daemon).await;
        becomes(|| daemon.log().matches(FULL).count() == episode).await;
        drop(client);
        becomes(|| daemon.log().matches(OVER).count() == episode).await;
    }
    let log = daemon.log();
    let level = |mark: &str, level: &str| {
        log.lines()
            .any(|line| line.contains(mark) && line.contains(level))
    };
    assert!(level(FULL, "WARN") && level(OVER, "INFO"), "{log}");
}

#[tokio::test]
async fn a_thousand_may_knock_at_once() {
    let longest = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("Linux");
    let longest: usize = longest.trim().parse().expect("a number");
    let state = tempfile::tempdir().expect("a directory");
    let state = state.path().to_str().expect("UTF-8");
    let storage = Daemon::start().await;
    // It accepts one, and no further one: the system keeps them.
    let daemon = serve(&storage, 1024, &["--state-dir", state, "--max-connections", "1"]);
    let mut knocking = Vec::new();
    for _ in 0..400.min(longest) {
        knocking.push(connect(&daemon).await);
    }
    let mut first = knocking.swap_remove(0);
    first.lives().await;
}
