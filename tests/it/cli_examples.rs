//! The examples of docs/cli.md, which are those of the help: each is run in a shell, as it stands there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::daemon::{Daemon, Options};
use crate::support::process::Process;

/// What cannot be run here: it serves until it is stopped, or names places of another machine. The commands have tests of
/// their own.
const NOT_RUN: [&str; 3] = ["demo", "serve", "devgcs"];

/// What examples name of other programs, that would need a machine of its own, or is not on each.
const PROGRAMS: [(&str, &str); 4] = [
    ("nc", NETCAT),
    ("jq", "exec cat"),
    ("xxd", "od -An -tx1"),
    ("pg_dump", "echo 'select 1;'"),
];

/// `nc -N HOST PORT`: half-closes behind its input.
const NETCAT: &str = r#"exec python3 -c '
import socket, sys, shutil
peer = socket.create_connection(sys.argv[2:4])
peer.sendall(sys.stdin.buffer.read())
peer.shutdown(socket.SHUT_WR)
shutil.copyfileobj(peer.makefile("rb"), sys.stdout.buffer)
' "$@""#;

/// The examples of each command.
fn examples() -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let text = fs::read_to_string(path).expect("docs/cli.md");
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for section in text.split("\n## gcsd ").skip(1) {
        let name = section.lines().next().expect("a name").to_owned();
        let Some((_, block)) = section.split_once("```sh\n") else {
            panic!("{name} has no examples");
        };
        let block = block.split("```").next().unwrap_or_default();
        let of = found.entry(name).or_default();
        let mut open = String::new();
        for line in block.lines().filter(|line| !line.is_empty()) {
            open = open + line + "\n";
            // A group of commands goes over several lines.
            if open.matches('{').count() == open.matches('}').count() {
                of.push(std::mem::take(&mut open));
            }
        }
        assert!(open.is_empty(), "{open}");
    }
    found
}

/// A directory with what the examples name, and the programs that they run.
fn place() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    };
    for name in [
        "backup.tar",
        "page",
        "disk.img",
        "a.jpg",
        "b.jpg",
        "site/index.html",
        "notes.txt",
        "config.json",
        "part-1",
    ] {
        write(name, "hello\n");
    }
    fs::create_dir_all(dir.path().join("bin")).expect("a directory");
    for (name, does) in PROGRAMS {
        let path = dir.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{does}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
    let gcsd = Path::new(env!("CARGO_BIN_EXE_gcsd"));
    std::os::unix::fs::symlink(gcsd, dir.path().join("bin/gcsd")).expect("a link");
    for home in [
        "home/.local/share/bash-completion/completions",
        "home/.zfunc",
        "home/.config/fish/completions",
    ] {
        fs::create_dir_all(dir.path().join(home)).expect("a directory");
    }
    dir
}

/// A daemon in front of what the examples name.
async fn cloud() -> Daemon {
    let devgcs = devgcs::Server::builder()
        .bucket("my-bucket")
        .bucket("other-bucket")
        .bucket("demo");
    let daemon = Daemon::with(Options {
        devgcs,
        ..Options::default()
    })
    .await;
    for name in [
        "a",
        "b",
        "a.txt",
        "b.txt",
        "backup.tar",
        "page.html",
        "log.txt",
        "logs/2025-01.gz",
        "logs/2025-1/x.gz",
        "logs/2024-1.gz",
        "logs/a.txt",
        "logs/x.tmp",
        "site/index.html",
        "part-1",
        "part-2",
        "hello",
        "old.tar",
        "tmp/x",
        "2025-01.tar",
        "state",
        "dump.sql",
    ] {
        // Long enough for each range that is asked for.
        let bytes = "error 789\n".repeat(200);
        let bytes = match name {
            "backup.tar" => "\0".repeat(10_240),
            _ => bytes,
        };
        daemon
            .devgcs
            .put_object("my-bucket", name, bytes)
            .await
            .expect("stored");
    }
    daemon
}

/// A daemon that an operator asks, whose admin listener is `admin.sock` in this directory.
fn operated(dir: &Path) -> Process {
    let admin = format!("unix:{}", dir.join("admin.sock").display());
    let state = dir.join("state").display().to_string();
    Process::serve(
        "127.0.0.1:0",
        &["--embedded", "--state-dir", &state, "--admin", &admin],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_true() {
    let (mut ran, mut failed) = (0, Vec::new());
    for (command, examples) in examples() {
        if NOT_RUN.contains(&command.as_str()) {
            continue;
        }
        for example in examples {
            let daemon = cloud().await;
            let dir = place();
            // Of a generation that nobody can know beforehand, the live one is meant.
            let state = daemon.devgcs.object("my-bucket", "state").expect("it is there");
            daemon
                .devgcs
                .put_object("my-bucket", "config.json", "{}")
                .await
                .expect("stored");
            let config = daemon
                .devgcs
                .object("my-bucket", "config.json")
                .expect("it is there");
            let generation = if command == "put" {
                config.generation
            } else {
                state.generation
            };
            let line = example
                .replace("1712345678901234", &generation.to_string())
                .replace(
                    "127.0.0.1 4743",
                    &format!("{} {}", daemon.address.ip(), daemon.address.port()),
                )
                .replace("/etc/gcsd/gcsd.toml", "gcsd.toml")
                .replace("tar c /home", "tar c site");
            let admin = format!("unix:{}", dir.path().join("admin.sock").display());
            let line = line
                .replace("127.0.0.1:9743", &admin)
                .replace("unix:/run/gcsd/admin.sock", &admin);
            let _operated = ["health", "status", "stop"]
                .contains(&command.as_str())
                .then(|| operated(dir.path()));
            fs::write(dir.path().join("gcsd.toml"), "max-in-flight = 8\n").expect("a file");
            let mut shell = Command::new("bash");
            shell
                .args(["-o", "pipefail", "-c", &line])
                .current_dir(dir.path())
                .env_clear()
                .env("GCSD_CONNECT", daemon.address.to_string())
                .env("HOME", dir.path().join("home"))
                .env(
                    "PATH",
                    format!("{}:/usr/bin:/bin", dir.path().join("bin").display()),
                )
                .stdin(Stdio::null());
            if command == "status" {
                shell.env("GCSD_ADMIN", &admin);
            }
            let output = tokio::task::spawn_blocking(move || shell.output().expect("bash runs")).await;
            let output = output.expect("no panic");
            if !output.status.success() {
                let told = String::from_utf8_lossy(&output.stderr);
                failed.push(format!("{command}: {line}{told}"));
            }
            ran += 1;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(ran > 50, "only {ran} examples were run");
}
