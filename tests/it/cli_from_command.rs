//! `gcsd put --from-command`: an object only of what a command printed that did what it should.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use devgcs::Snapshot;
use tempfile::TempDir;

use crate::support::command::{Ended, gcsd, run, signal, wait};
use crate::support::daemon::{Daemon, Options, PATIENCE};

const URL: &str = "gs://bucket/object";

/// The arguments that upload what a shell script prints.
fn script<'a>(text: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    let put = ["put", "--from-command", URL];
    [&put[..], flags, &["--", "/bin/sh", "-c", text]].concat()
}

/// The binary, without a terminal, with SIGHUP not ignored, whatever it is for this process, and the other end of its
/// standard input.
fn start(daemon: &Daemon, args: &[&str]) -> (Child, ChildStdin) {
    let command = gcsd(Some(daemon.address), args);
    let mut detached = Command::new("/usr/bin/env");
    detached
        .args(["--default-signal=HUP", "setsid"])
        .arg(command.get_program())
        .args(args)
        .env("GCSD_CONNECT", daemon.address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = detached.spawn().expect("setsid runs");
    let stdin = child.stdin.take().expect("a pipe");
    (child, stdin)
}

/// The process whose number is in `file` once that has a line.
async fn process(file: &Path) -> PathBuf {
    for _ in 0..PATIENCE.as_millis() / 5 {
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Some(number) = text.strip_suffix('\n') {
            return Path::new("/proc").join(number);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it was never started");
}

/// Waits until a process has ended, whoever is to collect it.
async fn ended(process: &Path) {
    for _ in 0..PATIENCE.as_millis() / 5 {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| &rest[..1]);
        if matches!(state, "" | "Z" | "X") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it goes on");
}

fn scene() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let pid = dir.path().join("pid");
    (dir, pid)
}

/// Bytes of the upload are at GCS.
async fn persisted(daemon: &Daemon) {
    let some = |seen: &Snapshot| {
        seen.session("object")
            .is_some_and(|session| session.persisted > 0)
    };
    assert!(daemon.devgcs.wait_for(PATIENCE, some).await);
}

#[track_caller]
fn no_object(daemon: &Daemon, ended: &Ended) {
    assert!(
        ended.err.contains("no object was made") || ended.err.contains("nothing was uploaded"),
        "{}",
        ended.err
    );
    assert!(!daemon.has_object("object"), "{}", ended.err);
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0, "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_made_of_what_a_successful_command_printed() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    let put = [
        "put",
        "--from-command",
        URL,
        "--",
        "printf",
        "%s %s",
        "a  b",
        "$HOME",
    ];
    run(to, &put, b"").await.quiet();
    assert_eq!(daemon.object("object").await, b"a  b $HOME");
    // Its standard input is that of gcsd.
    run(to, &script("exec cat", &[]), b"input").await.quiet();
    assert_eq!(daemon.object("object").await, b"input");
    run(
        to,
        &script("head -c 3000000 /dev/zero", &["--chunk", "256KiB"]),
        b"",
    )
    .await
    .quiet();
    assert!(daemon.object("object").await == vec![0; 3_000_000]);
    let put = run(to, &script("echo said >&2", &["--json"]), b"").await;
    assert_eq!((put.code, put.err.as_str()), (Some(0), "said\n"));
    let resource: serde_json::Value = serde_json::from_slice(&put.out).expect("JSON");
    assert_eq!(resource["size"], "0");
    assert_eq!(daemon.object("object").await, b"");
    // What it started may print on behind its end.
    let late = script("exec 3<&0; cat <&3 & exit 0", &[]);
    run(to, &late, b"late").await.quiet();
    assert_eq!(daemon.object("object").await, b"late");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_makes_no_object() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    for (text, how) in [
        ("exit 3", "exit status 3"),
        ("head -c 300000 /dev/zero; exit 1", "exit status 1"),
        ("head -c 9000000 /dev/zero; kill -KILL $$", "signal 9 (SIGKILL)"),
        ("printf x; exec >&-; exit 7", "exit status 7"),
    ] {
        let put = run(to, &script(text, &[]), b"").await;
        put.failed(8, &format!("command_failed: /bin/sh ended with {how}: {URL}; "));
        no_object(&daemon, &put);
    }
    for program in ["no-such-program", "/"] {
        let put = run(to, &["put", "--from-command", URL, "--", program, "secret"], b"").await;
        put.failed(8, &format!("command_failed: {program} could not be started: "));
        no_object(&daemon, &put);
    }
    for (flags, code, line) in [
        (
            &["--resume-file", "s"][..],
            2,
            "usage: --resume-file needs a file that can be read again",
        ),
        (
            &["--connections", "2"],
            2,
            "usage: --connections needs a file that can be read again",
        ),
        (&["--max-held", "1"], 2, "usage: --max-held must hold"),
    ] {
        // It is not even started.
        let (_dir, pid) = scene();
        let text = format!("echo $$ > '{}'", pid.display());
        run(to, &script(&text, flags), b"").await.failed(code, line);
        assert!(!pid.exists(), "{flags:?}");
    }
    let put = run(to, &["put", "--from-command", URL], b"").await;
    put.failed(2, "usage: --from-command needs an object and a command");
    run(to, &script("exit 0", &["-r"]), b"").await.refused();
}

/// The end of its output is neither the end of a command nor its success.
#[tokio::test(flavor = "multi_thread")]
async fn the_object_waits_for_the_commands_exit() {
    for (code, made) in [("0", true), ("3", false)] {
        let daemon = Daemon::start().await;
        let text = "head -c 524289 /dev/zero; exec >&-; read code; exit $code";
        let (child, mut stdin) = start(&daemon, &script(text, &["--chunk", "256KiB"]));
        persisted(&daemon).await;
        assert!(!daemon.has_object("object"));
        writeln!(stdin, "{code}").expect("it reads");
        let put = wait(child).await;
        match made {
            true => {
                put.quiet();
                assert!(daemon.object("object").await == vec![0; 524_289]);
            }
            false => {
                put.failed(8, "command_failed: /bin/sh ended with exit status 3");
                no_object(&daemon, &put);
            }
        }
    }
}

/// Who inherited the output of a command that has failed is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_one_whoever_has_the_output_open() {
    let daemon = Daemon::start().await;
    let (child, stdin) = start(
        &daemon,
        &script("exec 3<&0; cat <&3 2>/dev/null & printf x; exit 3", &[]),
    );
    let put = wait(child).await;
    put.failed(8, "command_failed: /bin/sh ended with exit status 3");
    no_object(&daemon, &put);
    drop(stdin);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_does_not_outlive_its_upload() {
    // GCS refuses what comes, and the command says nothing any more.
    let daemon = Daemon::with(Options::failing("return-403 on write")).await;
    let (_dir, pid) = scene();
    let text = format!(
        "echo $$ > '{}'; head -c 600000 /dev/zero; exec sleep 1000",
        pid.display()
    );
    let put = run(Some(daemon.address), &script(&text, &["--chunk", "256KiB"]), b"").await;
    put.failed(7, "forbidden: ");
    assert!(!process(&pid).await.exists(), "it goes on, or was not collected");
    no_object(&daemon, &put);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_command_and_what_it_started() {
    for (signal_name, ignores) in [
        ("-TERM", ""),
        ("-INT", ""),
        ("-HUP", ""),
        ("-TERM", "trap '' TERM; "),
    ] {
        let daemon = Daemon::start().await;
        let (_dir, pid) = scene();
        let text = format!(
            "{ignores}sleep 1000 & echo $! > '{}'; head -c 600000 /dev/zero; wait",
            pid.display()
        );
        let (child, _stdin) = start(&daemon, &script(&text, &["--chunk", "256KiB"]));
        let started = process(&pid).await;
        persisted(&daemon).await;
        signal(&child, signal_name);
        let put = wait(child).await;
        put.failed(130, "interrupted: ");
        no_object(&daemon, &put);
        ended(&started).await;
    }
}
