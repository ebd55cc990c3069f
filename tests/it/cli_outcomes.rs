//! What commands say, and exit with, when an answer was lost.

use devgcs::CallKind;

use crate::support::command::{Ended, gcsd, run, signal, wait};
use crate::support::daemon::{BUCKET, Daemon, Options, PATIENCE, behind};
use crate::support::peer::Peer;
use crate::support::script::{Say, json, not_found, object, play, precondition_failed};
use crate::support::scripted::bytes;

/// The answer is lost, and it was done or not.
const DONE: &str = "close-connection-after-all on any call 0";
const UNDONE: &str = "return-503 on any call 0";

async fn failing(faults: &str) -> Daemon {
    Daemon::with(Options::failing(faults)).await
}

async fn put(daemon: &Daemon, name: &str, bytes: &[u8]) -> u64 {
    let stored = daemon.devgcs.put_object(BUCKET, name, bytes).await;
    stored.expect("stored").generation
}

/// It may have been done, and says so.
#[track_caller]
fn unknown(ended: &Ended) {
    assert_eq!(ended.code, Some(9), "{}", ended.err);
    let told = ended
        .err
        .lines()
        .find(|line| line.starts_with("gcsd: unknown_outcome: it is unknown whether "));
    let told = told.unwrap_or_else(|| panic!("{}", ended.err));
    assert!(told.contains("'gcsd stat'"), "{told}");
    for denial in [
        "no object was made",
        "nothing was uploaded",
        "skipped",
        "deleted:",
    ] {
        assert!(!ended.err.contains(denial), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_no_failure() {
    let changes: [&dyn Fn(u64) -> Vec<String>; 6] = [
        &|_| words("cp gs://bucket/a gs://bucket/b -n --literal"),
        &|_| words("cp gs://bucket/a gs://bucket/b --literal"),
        &|_| words("compose gs://bucket/a gs://bucket/a gs://bucket/b -n --literal"),
        &|_| words("compose gs://bucket/a gs://bucket/a gs://bucket/b --literal"),
        &|generation| {
            words(&format!(
                "rm gs://bucket/a --generation {generation} --literal -q"
            ))
        },
        &|generation| {
            words(&format!(
                "rm gs://bucket/a --if-generation-match {generation} --literal -q"
            ))
        },
    ];
    for change in changes {
        let daemon = failing(DONE).await;
        let generation = put(&daemon, "a", b"hello").await;
        let args = change(generation);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = run(Some(daemon.address), &args, b"").await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{args:?}");
        let done = match args[0] {
            "rm" => !daemon.has_object("a"),
            _ => daemon.has_object("b"),
        };
        assert!(done, "{args:?}");
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_tells_is_said_to_be_unknown() {
    for line in [
        "cp gs://bucket/a gs://bucket/b --literal",
        "compose gs://bucket/a gs://bucket/a gs://bucket/b --literal",
        "rm gs://bucket/b --literal",
    ] {
        let daemon = failing(UNDONE).await;
        put(&daemon, "a", b"hello").await;
        put(&daemon, "b", b"there before").await;
        let args = words(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = run(Some(daemon.address), &args, b"").await;
        unknown(&ended);
        assert!(
            daemon.object("b").await == b"there before"[..],
            "{line}: nothing is repeated"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_were_copied_are_not_called_skipped() {
    let mut looks = 0;
    // Some of the first calls are lists: each answer is lost in turn.
    for call in 0..6 {
        let daemon = failing(&format!("close-connection-after-all on any call {call}")).await;
        put(&daemon, "d/a", b"hello").await;
        let args = ["cp", "-r", "-n", "gs://bucket/d/", "gs://bucket/e", "--json"];
        let ended = run(Some(daemon.address), &args, b"").await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{call}");
        assert!(ended.text().contains("\"generation\"") && !ended.text().contains("skipped"));
        assert!(daemon.object("e/a").await == b"hello"[..], "{call}");
        looks += daemon.devgcs.inspect().count(CallKind::GetObject);
    }
    assert!(looks > 0, "one of them was the answer of the copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_made_is_no_failure() {
    let whole = bytes(700_000);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("source");
    std::fs::write(&path, &whole).expect("a file");
    let path = path.to_str().expect("UTF-8");
    let plan = "close-connection-after-all on last call 0; lose-session-410 on query call 0";
    for (flags, source) in [(&["-n"][..], path), (&[], path), (&["-n"], "-"), (&[], "-")] {
        let daemon = failing(plan).await;
        let args = [&["put", source, "gs://bucket/o", "--json"], flags].concat();
        let input = if source == "-" { &whole[..] } else { b"" };
        let ended = run(Some(daemon.address), &args, input).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.err);
        let stored = daemon.devgcs.object(BUCKET, "o").expect("it is there");
        let resource: serde_json::Value = serde_json::from_str(ended.text()).expect("JSON");
        assert_eq!(resource["generation"], stored.generation.to_string(), "{args:?}");
        assert_eq!(
            daemon.devgcs.inspect().count(CallKind::StartUpload),
            1,
            "{args:?}"
        );
    }
}

/// A command against a script.
async fn against(script: &[(&str, Say)], line: &str) -> (Ended, Vec<String>) {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let args = words(line);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    tokio::join!(run(Some(daemon.address), &args, b"hello"), play(&peer, script))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_listed_is_deleted_and_nothing_newer() {
    let list = r#"{"items":[{"name":"a1","generation":"11","size":"1"},{"name":"a2","generation":"12","size":"1"}]}"#;
    for (flags, pins) in [("", "ifGenerationMatch"), ("-a ", "generation")] {
        // Whether something is called exactly so is asked first.
        let script = [
            ("GET /storage/v1/b/bucket/o?", json("200 OK", "{}")),
            ("GET /storage/v1/b/bucket/o?", json("200 OK", list)),
            ("DELETE /storage/v1/b/bucket/o/a1", json("204 No Content", "")),
            ("DELETE /storage/v1/b/bucket/o/a2", precondition_failed()),
        ];
        let (ended, lines) = against(&script, &format!("rm {flags}-j 1 gs://bucket/a*")).await;
        assert_eq!(ended.code, Some(4), "{}", ended.err);
        assert!(ended.err.contains("after it was listed"), "{}", ended.err);
        assert!(lines[2].contains(&format!("?{pins}=11")), "{lines:?}");
        assert!(lines[3].contains(&format!("?{pins}=12")), "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_beside_somebody_elses_is_unknown() {
    let peer = Peer::listen().await;
    let daemon = behind(&peer).await;
    let location = format!(
        "Location: http://{}/up?upload_id=x\r\nConnection: close\r\n",
        peer.address()
    );
    let script = [
        (
            "POST /upload",
            Say::This(crate::support::peer::response("200 OK", &location, "")),
        ),
        ("PUT /up?", Say::Nothing),
        ("PUT /up?", json("404 Not Found", "")),
        ("GET /storage/v1/b/bucket/o/o", object(9, b"HELLO")),
        // What is left of it is thrown away, and looked at once more.
        ("DELETE /up?", json("404 Not Found", "")),
        ("GET /storage/v1/b/bucket/o/o", object(9, b"HELLO")),
    ];
    let args = ["put", "-", "gs://bucket/o"];
    let running = run(Some(daemon.address), &args, b"hello");
    let (ended, _) = tokio::join!(running, play(&peer, &script));
    unknown(&ended);
    assert!(ended.err.contains("generation 9"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_upload_whose_end_was_sent_is_looked_at() {
    for (look, says) in [
        (not_found(), "the upload was cancelled, no object was made"),
        (
            object(9, b"hello"),
            "the object was made all the same, as generation 9",
        ),
        (object(9, b"other"), "it is unknown whether the object was made"),
    ] {
        let peer = Peer::listen().await;
        let daemon = behind(&peer).await;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("source");
        std::fs::write(&path, b"hello").expect("a file");
        let location = format!(
            "Location: http://{}/up?upload_id=x\r\nConnection: close\r\n",
            peer.address()
        );
        let begun = [(
            "POST /upload",
            Say::This(crate::support::peer::response("200 OK", &location, "")),
        )];
        let mut command = gcsd(
            Some(daemon.address),
            &[
                "put",
                path.to_str().expect("UTF-8"),
                "gs://bucket/o",
                "--no-mtime",
            ],
        );
        let child = command.spawn().expect("the binary runs");
        play(&peer, &begun).await;
        let mut last = peer.accept().await;
        let head = last.head().await;
        assert!(head.starts_with("PUT /up?"), "{head}");
        last.body(5).await;
        signal(&child, "-TERM");
        let ends = [
            ("DELETE /up?", json("499 Client Closed Request", "")),
            ("GET /storage/v1/b/bucket/o/o", look),
        ];
        play(&peer, &ends).await;
        let ended = tokio::time::timeout(PATIENCE, wait(child))
            .await
            .expect("in time");
        assert_eq!(ended.code, Some(130), "{}", ended.err);
        assert!(ended.err.contains(says), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_ends_in_silence_is_unknown() {
    for input in [&b"hello"[..], b""] {
        let daemon = failing("close-connection-after-all on last; close-connection on query; close-connection on stat; close-connection on cancel").await;
        let args = ["put", "-", "gs://bucket/o", "--retry-for", "1s"];
        let ended = run(Some(daemon.address), &args, input).await;
        unknown(&ended);
        assert!(!ended.err.contains("try again;"), "{}", ended.err);
    }
    // It can be looked at.
    let daemon = failing("close-connection-after-all on last").await;
    let args = ["put", "-", "gs://bucket/o", "--retry-for", "0"];
    let ended = run(Some(daemon.address), &args, b"hello").await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}
