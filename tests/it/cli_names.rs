//! One rule for names in all commands, and what `gcsd ls` prints is what the others take: the binary against a daemon in
//! front of devgcs.

use std::fs;

use devgcs::CallKind;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::support::command::{Ended, run};
use crate::support::daemon::{BUCKET, Daemon, Options};
use crate::support::devgcs::upload;
use crate::support::http::request;

/// A daemon and objects, each of which has its own name for content.
async fn with(faults: &str, names: &[&str]) -> Daemon {
    let devgcs = devgcs::Server::builder()
        .buckets([BUCKET, "other"])
        .faults(faults);
    let options = Options {
        devgcs,
        ..Options::default()
    };
    let daemon = Daemon::with(options).await;
    for name in names {
        let escaped = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        upload(&daemon.devgcs, &escaped, name.as_bytes()).await;
    }
    daemon
}

/// What `ls` prints into a pipe.
async fn ls(daemon: &Daemon, args: &[&str]) -> String {
    let args = [&["ls"], args].concat();
    run(Some(daemon.address), &args, b"")
        .await
        .quiet()
        .text()
        .to_owned()
}

/// The names of all objects.
async fn there(daemon: &Daemon) -> Vec<String> {
    let ls = run(Some(daemon.address), &["ls", "gs://bucket/**"], b"").await;
    let names = ls.text().lines().map(|line| line.replacen("gs://bucket/", "", 1));
    names.collect()
}

const BRACKETS: [&str; 4] = ["d/data1.csv", "d/data[1].csv", "d/data[2].csv", "d/x"];

/// It succeeded, and said once which of two things a name was taken for.
#[track_caller]
fn noted(ended: Ended) -> Ended {
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let notes = ended
        .err
        .lines()
        .filter(|line| line.starts_with("gcsd: an object is called exactly so, and is taken; "));
    assert_eq!(notes.count(), 1, "{}", ended.err);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_name_wins_over_a_pattern_in_every_command() {
    let daemon = with("off", &BRACKETS).await;
    let to = Some(daemon.address);
    let url = "gs://bucket/d/data[1].csv";
    let exact = "d/data[1].csv";
    assert_eq!(noted(run(to, &["cat", url], b"").await).text(), exact);
    assert_eq!(noted(run(to, &["get", url, "-"], b"").await).text(), exact);
    assert_eq!(noted(run(to, &["ls", url], b"").await).text(), format!("{url}\n"));
    let stat = noted(run(to, &["stat", "--json", url], b"").await);
    let resource: Value = serde_json::from_str(stat.text()).expect("JSON");
    assert_eq!(resource["metadata"]["name"], exact);
    noted(run(to, &["cp", url, "gs://bucket/copy"], b"").await);
    assert_eq!(daemon.object("copy").await, exact.as_bytes());
    let composed = run(to, &["compose", url, url, "gs://bucket/copy"], b"").await;
    assert_eq!(composed.code, Some(0), "{}", composed.err);
    assert_eq!(daemon.object("copy").await, format!("{exact}{exact}").as_bytes());
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("UTF-8");
    noted(run(to, &["get", url, "gs://bucket/d/x", path], b"").await);
    assert_eq!(
        fs::read(dir.path().join("data[1].csv")).expect("the file"),
        exact.as_bytes()
    );
    assert!(!dir.path().join("data1.csv").exists());
    // What is made is called as it is written.
    run(to, &["put", "-", "gs://bucket/d/data[3].csv"], b"x")
        .await
        .quiet();
    assert!(daemon.has_object("d/data[3].csv"));

    let rm = noted(run(to, &["rm", url], b"").await);
    assert!(rm.err.ends_with(&format!("gcsd: deleted: {url}\n")), "{}", rm.err);
    assert!(!daemon.has_object(exact) && daemon.has_object("d/data1.csv"));
    // Where there is none of that name, it is a pattern; where the pattern matches nothing else, there is nothing to say.
    let rm = run(to, &["rm", url], b"").await;
    assert_eq!(
        (rm.code, rm.err.as_str()),
        (Some(0), "gcsd: deleted: gs://bucket/d/data1.csv\n")
    );
    let rm = run(to, &["rm", "gs://bucket/d/data[2].csv"], b"").await;
    assert_eq!(
        (rm.code, rm.err.as_str()),
        (Some(0), "gcsd: deleted: gs://bucket/d/data[2].csv\n")
    );
    run(to, &["rm", url], b"").await.failed(3, "not_found: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_that_is_called_exactly_so_wins_too() {
    let daemon = with("off", &["a[1]/x", "a1/y", "a1"]).await;
    let to = Some(daemon.address);
    assert_eq!(
        noted(run(to, &["ls", "gs://bucket/a[1]"], b"").await).text(),
        "gs://bucket/a[1]/x\n"
    );
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("UTF-8");
    noted(run(to, &["get", "-r", "gs://bucket/a[1]", path], b"").await);
    assert!(dir.path().join("a[1]/x").exists() && !dir.path().join("a1").exists());
    noted(run(to, &["rm", "-r", "gs://bucket/a[1]"], b"").await);
    assert_eq!(there(&daemon).await, ["a1", "a1/y"]);
    // What is asked for below a name is not asked for elsewhere.
    let cat = run(to, &["cat", "gs://bucket/a[1]"], b"").await.quiet();
    assert_eq!(cat.text(), "a1");
}

#[tokio::test(flavor = "multi_thread")]
async fn literally_nothing_is_a_pattern_and_nothing_is_listed() {
    let daemon = with("return-403 on list", &BRACKETS).await;
    let to = Some(daemon.address);
    let url = "gs://bucket/d/data[1].csv";
    let cat = run(to, &["cat", url], b"").await;
    cat.failed(7, "forbidden: ");
    assert!(
        cat.err.contains("--literal takes the name as it is"),
        "{}",
        cat.err
    );
    for args in [
        &["cat", "--literal", url][..],
        &["get", "--literal", url, "-"],
        &["stat", "--literal", url],
        &["cp", "--literal", url, "gs://bucket/copy"],
        &["rm", "-q", "--literal", url],
    ] {
        run(to, args, b"").await.quiet();
    }
    assert_eq!(daemon.object("copy").await, b"d/data[1].csv");
    assert_eq!(daemon.devgcs.inspect().count(CallKind::ListObjects), 1);
    run(to, &["rm", "--literal", url], b"")
        .await
        .failed(3, "not_found: ");
    assert!(daemon.has_object("d/data1.csv"));
}

/// Names that a shell, a pattern, a terminal or a list could take for something else.
const ODD: [&str; 19] = [
    "plain",
    "with space",
    " leading",
    "trailing ",
    "it's",
    "\"quoted\"",
    "a*b",
    "a?b",
    "[a]",
    "a\tb",
    "e\u{1b}[31m",
    "del\u{7f}",
    "c1\u{85}",
    "turned\u{202e}gpj.exe",
    "gen#12",
    "ünï☃",
    "a:",
    "$HOME",
    "back\\slash",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_ls_prints_is_what_the_others_take() {
    let daemon = with("off", &ODD).await;
    let to = Some(daemon.address);
    let mut names = ODD.to_vec();
    names.sort_unstable();
    let urls: String = names.iter().map(|name| format!("gs://bucket/{name}\n")).collect();
    // Byte by byte, however it is asked for.
    for args in [
        &["gs://bucket"][..],
        &["gs://bucket/**"],
        &["-r", "gs://bucket"],
        &["gs://bucket/*", "gs://other"],
    ] {
        assert_eq!(ls(&daemon, args).await, urls, "{args:?}");
    }
    let list = urls.as_bytes();
    let cat = run(to, &["cat", "--stdin"], list).await.quiet();
    assert_eq!(cat.text(), names.concat());
    let stat = run(to, &["stat", "--stdin", "--json"], list).await.quiet();
    let seen: Vec<Value> = stat
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let seen: Vec<_> = seen
        .iter()
        .map(|resource| resource["metadata"]["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(seen, names);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("UTF-8");
    run(to, &["get", "--stdin", path], list).await.quiet();
    for name in &names {
        assert_eq!(
            fs::read(dir.path().join(name)).expect("the file"),
            name.as_bytes()
        );
    }
    run(to, &["cp", "--stdin", "gs://other/"], list).await.quiet();
    assert_eq!(
        ls(&daemon, &["gs://other"]).await,
        urls.replace("bucket", "other")
    );
    // With NULs, too.
    let nuls = urls.replace('\n', "\0");
    run(to, &["stat", "--stdin", "-0"], nuls.as_bytes()).await.quiet();
    let rm = run(to, &["rm", "--stdin"], list).await;
    assert_eq!(rm.code, Some(0), "{}", rm.err);
    assert_eq!(
        rm.err.matches("gcsd: deleted: ").count(),
        names.len(),
        "{}",
        rm.err
    );
    // What moves a cursor is not printed as it is, and names stay apart.
    assert!(
        rm.err.contains("gcsd: deleted: 'gs://bucket/e'$'\\033''[31m'\n"),
        "{}",
        rm.err
    );
    assert!(
        !rm.err
            .contains(['\u{1b}', '\u{7f}', '\u{85}', '\u{202e}', '\t', '\u{fffd}']),
        "{}",
        rm.err
    );
    assert_eq!(there(&daemon).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_sees_no_control_characters() {
    let daemon = with("off", &["a", "e\u{1b}[31m", "with space", "turned\u{202e}"]).await;
    let script = |command: &str| {
        let command = format!("{} {command}", env!("CARGO_BIN_EXE_gcsd"));
        let output = std::process::Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("GCSD_CONNECT", daemon.address.to_string())
            .env("SHELL", "/bin/sh")
            .stdin(std::process::Stdio::null())
            .output()
            .expect("script runs");
        String::from_utf8(output.stdout).expect("UTF-8").replace('\r', "")
    };
    let shown = "gs://bucket/a\n'gs://bucket/e'$'\\033''[31m'\n'gs://bucket/turned'$'\\342\\200\\256'\n\
                 'gs://bucket/with space'\n";
    assert_eq!(script("ls gs://bucket"), shown);
    for command in [
        "ls -l gs://bucket",
        "ls -L gs://bucket",
        "ls -r gs://bucket gs://bucket",
    ] {
        assert!(!script(command).contains(['\u{1b}', '\u{202e}']), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_wrong_does_no_harm() {
    let names = ["keep", "logs", "logs/2024", "x"];
    let daemon = with("off", &names).await;
    let to = Some(daemon.address);
    // A list that was cut in the middle of a name: what is left of it is another object's.
    let cut = b"gs://bucket/x\ngs://bucket/logs";
    let rm = run(to, &["rm", "--stdin"], cut).await;
    assert_eq!(rm.code, Some(2), "{}", rm.err);
    assert!(
        rm.err.contains("it may have been cut: name 2 on standard input"),
        "{}",
        rm.err
    );
    assert_eq!(there(&daemon).await, ["keep", "logs", "logs/2024"]);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("UTF-8");
    for args in [
        &["get", "--stdin", path][..],
        &["cp", "--stdin", "gs://other/"],
        &["cat", "--stdin"],
    ] {
        let ended = run(to, args, cut).await;
        assert!(ended.code == Some(2) || args[0] == "cat", "{}", ended.err);
        assert_ne!(ended.code, Some(0), "{args:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    assert_eq!(daemon.devgcs.inspect().count(CallKind::RewriteObject), 0);
    // A bad name is reported, and the rest continue.
    let list = b"logs\ngs://bucket/none\n\xff\n\ngs://bucket\ngs://bucket/logs/2024\n";
    let rm = run(to, &["rm", "--stdin", "--json"], list).await;
    assert_eq!(rm.code, Some(1), "{}", rm.err);
    assert!(rm.err.ends_with("gcsd: failed: 4 of 5 failed\n"), "{}", rm.err);
    assert_eq!(there(&daemon).await, ["keep", "logs"]);
    // An empty list is one; without a list and without names there is nothing to do it to.
    run(to, &["rm", "--stdin"], b"").await.quiet();
    for refused in [
        &["rm", "--stdin", "gs://bucket/keep"][..],
        &["cat", "--stdin", "gs://bucket/keep"],
        &["rm"],
        &["stat"],
    ] {
        run(to, refused, b"").await.refused();
    }
    for refused in [
        &["get", "--stdin", "gs://bucket/keep", path][..],
        &["cp", "--stdin", "gs://bucket/keep", "gs://other/"],
        &["get", "--stdin"],
        &["rm", "-0", "gs://bucket/keep"],
    ] {
        let ended = run(to, refused, b"").await;
        assert_eq!(ended.code, Some(2), "{}", ended.err);
    }
    assert_eq!(there(&daemon).await, ["keep", "logs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_named_as_ls_shows_them() {
    let daemon = with("off", &[]).await;
    let to = Some(daemon.address);
    let json = br#"{"versioning":{"enabled":true}}"#;
    let headers = [("Content-Type", "application/json")];
    let patched = request(
        daemon.devgcs.address(),
        "PATCH",
        "/storage/v1/b/bucket",
        &headers,
        json,
    )
    .await;
    assert_eq!(patched.status, 200);
    for content in ["first", "second", "third"] {
        upload(&daemon.devgcs, "o", content.as_bytes()).await;
    }
    let all = ls(&daemon, &["-a", "gs://bucket"]).await;
    let versions: Vec<&str> = all.lines().collect();
    assert_eq!(versions.len(), 3, "{all}");
    assert_eq!(run(to, &["cat", versions[0]], b"").await.quiet().text(), "first");
    assert_eq!(
        run(to, &["get", versions[1], "-"], b"").await.quiet().text(),
        "second"
    );
    assert_eq!(ls(&daemon, &[versions[1]]).await, format!("{}\n", versions[1]));
    run(to, &["stat", versions[0]], b"").await.quiet();
    run(to, &["cp", versions[0], "gs://other/"], b"").await.quiet();
    assert_eq!(
        daemon.devgcs.object_bytes("other", "o").await.expect("a copy"),
        b"first"
    );
    run(
        to,
        &["compose", versions[0], versions[1], "gs://bucket/both"],
        b"",
    )
    .await
    .quiet();
    assert_eq!(daemon.object("both").await, b"firstsecond");
    run(to, &["cat", "--literal", versions[0]], b"")
        .await
        .failed(3, "not_found: ");
    // An object that is called exactly so is that one.
    let escaped = utf8_percent_encode(&versions[1]["gs://bucket/".len()..], NON_ALPHANUMERIC).to_string();
    upload(&daemon.devgcs, &escaped, b"exactly").await;
    assert_eq!(noted(run(to, &["cat", versions[1]], b"").await).text(), "exactly");
    run(to, &["rm", "-q", "--literal", versions[1]], b"")
        .await
        .quiet();
    // Those of a list are the versions that were listed, and no others.
    let old = format!("{}\n{}\n", versions[0], versions[1]);
    let rm = run(to, &["rm", "--stdin"], old.as_bytes()).await;
    assert_eq!(rm.code, Some(0), "{}", rm.err);
    assert!(
        rm.err.contains(&format!("gcsd: deleted: {}\n", versions[0])),
        "{}",
        rm.err
    );
    let left = ls(&daemon, &["-a", "gs://bucket/o"]).await;
    assert_eq!(left, format!("{}\n", versions[2]));
    assert_eq!(daemon.object("o").await, b"third");
}

#[tokio::test(flavor = "multi_thread")]
async fn rm_says_what_it_deletes() {
    let daemon = with("off", &["a", "b", "c", "d"]).await;
    let to = Some(daemon.address);
    let rm = run(to, &["rm", "gs://bucket/a", "gs://bucket/none", "-j", "1"], b"").await;
    assert_eq!(rm.code, Some(3), "{}", rm.err);
    let lines: Vec<&str> = rm.err.lines().collect();
    assert_eq!(lines[0], "gcsd: deleted: gs://bucket/a");
    assert!(lines[1].starts_with("gcsd: not_found: "), "{}", rm.err);
    assert_eq!(rm.text(), "");
    run(to, &["rm", "-q", "gs://bucket/b"], b"").await.quiet();
    let rm = run(to, &["rm", "--json", "gs://bucket/c"], b"").await.quiet();
    assert!(rm.text().contains("\"deleted\":true"), "{}", rm.text());
    assert_eq!(there(&daemon).await, ["d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ls_and_stat_go_on_when_one_fails() {
    let daemon = with("off", &["a", "b", "d/c"]).await;
    let to = Some(daemon.address);
    let urls = [
        "gs://bucket/a",
        "gs://bucket/none",
        "gs://nowhere",
        "gs://bucket/d",
    ];
    let ls = run(to, &[&["ls"], &urls[..]].concat(), b"").await;
    assert_eq!(ls.text(), "gs://bucket/a\ngs://bucket/d/c\n");
    assert_eq!(ls.code, Some(3), "{}", ls.err);
    assert!(ls.err.ends_with("gcsd: failed: 2 of 4 failed\n"), "{}", ls.err);
    assert_eq!(ls.err.lines().count(), 3, "{}", ls.err);
    let ls = run(to, &[&["ls", "--json"], &urls[..]].concat(), b"").await;
    let lines: Vec<Value> = ls
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(
        (&lines[1]["url"], &lines[1]["error"]["exit"]),
        (&"gs://bucket/none".into(), &3.into())
    );
    let ls = run(to, &["ls", "gs://nowhere", "gs://bucket/a"], b"").await;
    assert_eq!((ls.code, ls.text()), (Some(3), "gs://bucket/a\n"), "{}", ls.err);
    let stat = run(
        to,
        &["stat", "gs://bucket/a", "gs://bucket/none", "gs://bucket/b"],
        b"",
    )
    .await;
    assert_eq!(stat.code, Some(3), "{}", stat.err);
    assert!(stat.text().starts_with("gs://bucket/a\n") && stat.text().contains("\ngs://bucket/b\n"));
    let stat = run(to, &["stat", "gs://bucket/*"], b"").await.quiet();
    assert_eq!(stat.text().matches("gs://bucket/").count(), 2, "{}", stat.text());
    run(to, &["stat", "gs://bucket/*", "--generation", "1"], b"")
        .await
        .failed(2, "usage: ");
}
