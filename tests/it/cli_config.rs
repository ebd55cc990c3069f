//! `gcsd serve --config` and `gcsd check-config`, by the binary.

use std::path::Path;

use crate::support::command::{Ended, gcsd, run, wait};

fn write(dir: &Path, text: &str) -> String {
    let path = dir.join("gcsd.toml");
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

async fn check(file: &str, variables: &[(&str, &str)]) -> Ended {
    let mut command = gcsd(None, &["check-config", file]);
    for (name, value) in variables {
        command.env(name, value);
    }
    wait(command.spawn().expect("the binary runs")).await
}

/// The lines about a key.
fn line<'a>(shown: &'a Ended, key: &str) -> &'a str {
    let mut lines = shown.text().lines().filter(|line| {
        let line = line.trim_start_matches("# ");
        line.strip_prefix(key)
            .is_some_and(|rest| rest.starts_with([' ', ':']))
    });
    let line = lines.next().unwrap_or_else(|| panic!("{key}: {}", shown.text()));
    assert_eq!(lines.next(), None, "{key} once");
    line
}

#[tokio::test]
async fn what_the_daemon_would_run_with_is_shown_with_where_it_comes_from() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(
        dir.path(),
        "# ours\nanonymous = true\nlisten = ['127.0.0.1:1', '[::1]:2']\nmax-memory = '2GiB'\nmax-calls = 7\n\
         proxy = 'http://user:hunter2@proxy'\ngrace = '1m'\n",
    );
    let shown = check(&file, &[("GCSD_GRACE", "5s"), ("GCSD_BACKLOG", "9")])
        .await
        .quiet();
    let told = |key: &str, value: &str, from: &str| {
        let (setting, place) = line(&shown, key).split_once(" # ").expect("a place");
        assert_eq!((setting.trim(), place), (&*format!("{key} = {value}"), from));
    };
    told("anonymous", "true", &format!("{file}:2"));
    told("listen", "[\"127.0.0.1:1\", \"[::1]:2\"]", &format!("{file}:3"));
    told("max-memory", "\"2GiB\"", &format!("{file}:4"));
    told("max-calls", "7", &format!("{file}:5"));
    told("proxy", "\"(hidden)\"", &format!("{file}:6"));
    told("grace", "\"5s\"", "GCSD_GRACE");
    told("backlog", "9", "GCSD_BACKLOG");
    told("max-in-flight", "64", "default");
    assert_eq!(line(&shown, "credentials"), "# credentials is not set");
    assert!(!shown.text().contains("hunter2"), "{}", shown.text());
    // What is shown is a file itself.
    let again = write(
        dir.path(),
        shown.text().replace("(hidden)", "http://proxy").as_str(),
    );
    let again = check(&again, &[]).await.quiet();
    assert!(
        line(&again, "grace").starts_with("grace = \"5s\""),
        "{}",
        again.text()
    );
}

#[tokio::test]
async fn what_is_wrong_in_a_file_is_one_line_and_nothing_starts() {
    let dir = tempfile::tempdir().expect("a directory");
    for (text, told) in [
        ("grace = 'soon'", ":1"),
        ("\nmax-conections = 1", ":2; the nearest is 'max-connections'"),
        ("grace = [", ":1"),
    ] {
        let file = write(dir.path(), text);
        for args in [&["check-config", &file][..], &["serve", "--config", &file]] {
            let ended = run(None, args, b"").await;
            ended.failed(2, "config: ");
            assert!(
                ended.err.trim_end().ends_with(&format!("gcsd.toml{told}")),
                "{}",
                ended.err
            );
        }
    }
    let gone = run(None, &["serve", "--config", "/no/such.toml"], b"").await;
    gone.failed(2, "config: ");
    // What each key permits can contradict another one.
    let file = write(dir.path(), "anonymous = true\ncredentials = '/a/file'\n");
    run(None, &["check-config", &file], b"")
        .await
        .failed(2, "usage: ");
    let ended = run(None, &["serve", "--config", &file], b"").await;
    ended.refused();
    assert!(
        ended.err.contains(&format!("can come from {file}:")),
        "{}",
        ended.err
    );
    // A file that a setting names is read, too.
    let file = write(dir.path(), "anonymous = true\nauth-file = '/no/such/secret'\n");
    run(None, &["check-config", &file], b"").await.failed(1, "io: ");
}

/// Which of two addresses is listened on tells which setting won: one of them cannot be.
#[tokio::test]
async fn a_flag_wins_over_a_variable_and_that_over_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = held.local_addr().expect("an address").to_string();
    let other = "192.0.2.1:1";
    let file = write(
        dir.path(),
        &format!(
            "anonymous = true\nstate-dir = '{}'\nlisten = '{taken}'\n",
            dir.path().display()
        ),
    );
    let cannot = |ended: &Ended, address: &str| {
        ended.failed(1, &format!("failed: cannot listen on {address}: "));
    };
    let serve = |variables: Vec<(&'static str, String)>, args: &[&str]| {
        let mut command = gcsd(None, &[&["serve", "--log-level", "error"], args].concat());
        command.env("GCSD_CONFIG", &file).envs(variables);
        wait(command.spawn().expect("the binary runs"))
    };
    cannot(&serve(Vec::new(), &[]).await, &taken);
    let variable = vec![("GCSD_LISTEN", other.to_owned())];
    cannot(&serve(variable.clone(), &[]).await, other);
    cannot(&serve(variable, &["--listen", &taken]).await, &taken);
    drop(held);
}
