//! `gcsd ping`, completions, man pages and the version.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::command::{gcsd, run};
use crate::support::daemon::{Daemon, Options};

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_says_how_far_it_got() {
    let daemon = Daemon::start().await;
    let to = Some(daemon.address);
    for args in [&["ping"][..], &["ping", "gs://bucket"]] {
        let ping = run(to, args, b"").await.quiet();
        let lines: Vec<_> = ping.text().lines().collect();
        assert_eq!(lines.len(), 4, "{}", ping.text());
        assert!(lines[0].starts_with(&format!("{}  gcsd/", daemon.address)));
        for (line, step) in lines[1..].iter().zip(["connection", "credentials", "GCS"]) {
            assert!(
                line.trim_start().starts_with(step) && line.contains(" ms  "),
                "{line}"
            );
        }
    }
    let json = run(to, &["ping", "--json"], b"").await.quiet();
    let line: Value = serde_json::from_str(json.text()).expect("JSON");
    for key in ["connection_ms", "credentials_ms", "gcs_ms"] {
        assert!(line[key].is_number(), "{key}: {line}");
    }
    // A bucket that is named must be there.
    let none = run(to, &["ping", "gs://nowhere"], b"").await;
    none.failed(3, "not_found: ");
    assert!(none.err.contains("gs://nowhere"), "{}", none.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_names_the_step_that_fails_and_asks_each_daemon() {
    let failing = Daemon::with(Options::failing("return-503 on any")).await;
    let gone = Daemon::start().await;
    let address = gone.address;
    gone.stopped().await;
    let both = format!("{},{address}", failing.address);
    let args = ["ping", "--json", "--connect", &both];
    let ping = run(None, &args, b"").await;
    assert_eq!(ping.code, Some(5), "{}", ping.err);
    let lines: Vec<Value> = ping
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["error"]["name"], "unavailable");
    assert!(lines[0]["connection_ms"].is_number() && lines[0]["credentials_ms"].is_null());
    assert_eq!(lines[1]["error"]["name"], "unreachable");
    assert!(lines[1]["connection_ms"].is_null());
    assert_eq!(lines[1]["daemon"], address.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_and_man_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(None, &["completions", shell], b"").await.quiet();
        for word in ["compose", "skip-unchanged", "check-config"] {
            assert!(script.text().contains(word), "{shell}: {word}");
        }
    }
    let bash = run(None, &["completions", "bash"], b"").await.quiet();
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("gcsd.bash");
    fs::write(&script, bash.text()).expect("a file");
    let checked = Command::new("bash").arg("-n").arg(&script).status();
    assert!(checked.expect("bash runs").success());
    let pages = dir.path().join("man/man1");
    run(None, &["man", pages.to_str().expect("UTF-8")], b"")
        .await
        .quiet();
    let put = fs::read_to_string(pages.join("gcsd-put.1")).expect("a page");
    assert!(put.contains("skip\\-unchanged") && put.contains(".TH"), "{put}");
    assert!(pages.join("gcsd.1").exists());
    // What the environment holds does not get into them.
    let mut command = gcsd(None, &["man", pages.to_str().expect("UTF-8")]);
    command.env("GCSD_AUTH_FILE", "/tell/nobody");
    assert!(command.status().expect("it runs").success());
    let again = fs::read_to_string(pages.join("gcsd-put.1")).expect("a page");
    assert_eq!(again, put);
    run(None, &["man", "/proc/none"], b"").await.failed(1, "io: ");
}

/// Builds the build script by itself, and runs it as cargo would.
fn build_script(root: &Path, profile: &str, commit: Option<&str>) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let program = dir.path().join("build");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
    let built = Command::new("rustc")
        .args(["--edition", "2024", "-o"])
        .arg(&program)
        .arg(source)
        .status();
    assert!(built.expect("rustc runs").success());
    let mut command = Command::new(program);
    command
        .env("CARGO_MANIFEST_DIR", root)
        .env("CARGO_PKG_VERSION", "1.2.3")
        .env("PROFILE", profile)
        .env_remove("GCSD_COMMIT");
    if let Some(commit) = commit {
        command.env("GCSD_COMMIT", commit);
    }
    let output = command.output().expect("it runs");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("cargo:rustc-env=GCSD_VERSION="));
    version.expect("a version").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_has_the_commit_where_there_is_one() {
    let version = run(None, &["--version"], b"").await.quiet();
    let expected = format!("gcsd {}", env!("CARGO_PKG_VERSION"));
    assert!(version.text().starts_with(&expected), "{}", version.text());
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(build_script(root, "release", None), "1.2.3");
    assert_eq!(build_script(root, "debug", None), "1.2.3 (debug build)");
    assert_eq!(build_script(root, "debug", Some(commit)), "1.2.3 (0123456789ab)");
    // As cargo packages it.
    let record = format!("{{\n  \"git\": {{\n    \"sha1\": \"{commit}\"\n  }},\n  \"path_in_vcs\": \"\"\n}}");
    fs::write(root.join(".cargo_vcs_info.json"), record).expect("a file");
    assert_eq!(build_script(root, "release", None), "1.2.3 (0123456789ab)");
}
