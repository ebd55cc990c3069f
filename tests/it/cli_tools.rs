//! `gcsd encode`, `decode` and `demo`, and what every command has in common.

use std::fs;

use gcsd_wire::head::MORE;
use gcsd_wire::read_at::{End, Reply, Start};
use gcsd_wire::{self, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::command::{gcsd, run, wait};
use crate::support::daemon::{BUCKET, Daemon};
use crate::support::scripted;

/// The bytes of a request.
async fn encode(args: &[&str]) -> Vec<u8> {
    let args: Vec<&str> = ["encode"].iter().chain(args).copied().collect();
    run(None, &args, b"").await.quiet().out
}

/// What `nc -N` does: sends, half-closes, reads to the end.
async fn netcat(daemon: &Daemon, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(daemon.address)
        .await
        .expect("the daemon listens");
    stream.write_all(request).await.expect("it reads");
    stream.shutdown().await.expect("a half-close");
    let mut replies = Vec::new();
    stream.read_to_end(&mut replies).await.expect("replies");
    replies
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_encoded_sent_and_decoded() {
    let daemon = Daemon::start().await;
    let url = format!("gs://{BUCKET}/hello");
    let conversation = [
        encode(&["start-upload", &url, r#"metadata={"contentType":"text/plain"}"#]).await,
        encode(&["write-at", "text=Hello, GCS!", "total=11"]).await,
        encode(&["ping", "echo=hi"]).await,
    ];
    let replies = netcat(&daemon, &conversation.concat()).await;
    assert_eq!(daemon.object("hello").await, b"Hello, GCS!");
    let shown = run(None, &["decode"], &replies).await.quiet();
    let mut lines: Vec<&str> = shown.text().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[0].starts_with("reply 16 StartUpload ok http=200 expires="),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("reply 17 WriteAt ok http=200 committed=11 received=11 ")
            && lines[1].contains(" finished generation="),
        "{lines:?}"
    );
    assert_eq!(lines[2], "reply 2 Ping ok echo=hi");

    let shown = run(None, &["decode", "--json", "--show-token"], &replies)
        .await
        .quiet();
    for line in shown.text().lines() {
        let frame: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(frame["status"], "ok");
        if frame["opcode"] == "StartUpload" {
            assert!(frame["token"].as_str().expect("a token").len() > 40);
        }
    }

    let dir = tempfile::tempdir().expect("a directory");
    let body = dir.path().join("body");
    let replies = netcat(&daemon, &encode(&["read-at", &url, "offset=7", "len=3"]).await).await;
    let args = ["decode", "--body", body.to_str().expect("UTF-8")];
    run(None, &args, &replies).await.quiet();
    assert_eq!(fs::read(&body).expect("the bytes"), b"GCS");

    // The exit code is that of the reply.
    let replies = netcat(&daemon, &encode(&["stat-object", &format!("{url}x")]).await).await;
    let missing = run(None, &["decode"], &replies).await;
    assert_eq!((missing.code, missing.err.as_str()), (Some(3), ""));
    run(None, &["decode"], b"").await.failed(1, "no_frames: ");
}

#[tokio::test]
async fn requests_are_decoded_too() {
    let start = encode(&[
        "start-upload",
        "gs://bucket/o",
        "size=1KiB",
        "if_generation_match=0",
    ])
    .await;
    let write = encode(&["write-at", "text=12345", "offset=5"]).await;
    let attach = encode(&["attach-upload", "token=sesame", "sequence=7", "upload=3"]).await;
    let shown = run(None, &["decode", "--requests"], &[start, write, attach].concat())
        .await
        .quiet();
    assert_eq!(
        shown.text(),
        "request 16 StartUpload upload=1 bucket=bucket object=o if_generation_match=0 size=1024\n\
         request 17 WriteAt upload=1 offset=5 body_len=5 body_crc32c=GNEjNQ==\n\
         request 7 AttachUpload upload=3 token=[hidden]\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_holds() {
    let temporary = tempfile::tempdir().expect("a directory");
    let file = temporary.path().join("file");
    fs::write(&file, scripted::bytes(5_000_000)).expect("a file");
    let generated = |more: &[&'static str]| [&["demo", "--size=5000001"], more].concat();
    for (args, last) in [
        (generated(&["--seed=1"]), ": gcsd demo --seed 1 --size 5000001\n"),
        (generated(&["--seed=2"]), ": gcsd demo --seed 2 --size 5000001\n"),
        (generated(&["--faults=off"]), "\nAll of it holds.\n"),
        (
            generated(&["--seed=7", "--faults=reset in write 1MiB on 0"]),
            "--seed 7 --faults 'seed 0; reset in write 1MiB on 0' --size 5000001\n",
        ),
        (
            generated(&["--seed=7", "--devgcs-faults=return-503 on last call 0"]),
            "--devgcs-faults 'seed 0; return-503 on last call 0' --size 5000001\n",
        ),
        (vec!["demo", file.to_str().expect("UTF-8")], "file\n"),
    ] {
        let mut command = gcsd(None, &args);
        let child = command
            .env("TMPDIR", temporary.path())
            .spawn()
            .expect("the binary runs");
        let ended = wait(child).await.quiet();
        let text = ended.text();
        assert!(text.starts_with("4.7 MiB through the daemon"), "{text}");
        assert!(text.contains("\nAll of it holds."), "{text}");
        assert!(text.contains(last), "{text}");
        assert!(text.contains("gcsd serve --embedded &"), "{text}");
        let failing = last != "\nAll of it holds.\n";
        assert_eq!(text.contains("\n  damage    "), failing, "{text}");
        assert_eq!(text.contains("recovered "), failing, "{text}");
        assert_eq!(text.contains("with the faults of seed"), failing, "{text}");
    }
    assert_eq!(fs::read_dir(temporary.path()).expect("a directory").count(), 1);
}

/// A daemon that sends an object whose bytes are not those that GCS has the checksum of.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_bytes_never_get_the_files_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("target");
    let playing = tokio::spawn(async move {
        let mut daemon = scripted::Daemon::accept(&listener).await;
        let (hello, _) = daemon.request().await;
        daemon.reply(hello.sequence, 0, scripted::welcome(), b"").await;
        let object = gcsd_types::ObjectInfo {
            size: 5,
            crc32c: Some(gcsd_types::Crc32c::of(b"hello")),
            ..gcsd_types::ObjectInfo::default()
        };
        let start = Start {
            object,
            offset: 0,
            len: Some(5),
        };
        let end = End {
            sent: 5,
            crc32c: gcsd_types::Crc32c::of(b"hullo"),
        };
        let frame = gcsd_wire::Reply::ReadAt;
        // It is read again three times.
        for _ in 0..4 {
            let (read, request) = daemon.request().await;
            assert!(matches!(request, Request::ReadAt(_)));
            for (reply, body) in [(Reply::Start(start), &b""[..]), (Reply::Piece, b"hullo")] {
                daemon.reply(read.sequence, MORE, frame(reply), body).await;
            }
            daemon.reply(read.sequence, 0, frame(Reply::End(end)), b"").await;
        }
        daemon.rest().await;
    });
    let path = target.to_str().expect("UTF-8");
    let got = run(Some(address), &["get", "gs://bucket/o", path], b"").await;
    assert_eq!(got.code, Some(6), "{}", got.err);
    let last = got.err.lines().last().expect("a line");
    assert!(last.starts_with("gcsd: damaged: "), "{}", got.err);
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    playing.await.expect("no panic");
}

#[tokio::test]
async fn help_helps() {
    for args in [
        vec!["--help"],
        vec!["put", "--help"],
        vec!["encode", "write-at", "--help"],
    ] {
        let shown = run(None, &args, b"").await.quiet();
        assert!(shown.text().contains("Usage: gcsd"), "{}", shown.text());
    }
    let shown = run(None, &["--help"], b"").await.quiet();
    assert!(shown.text().contains("Exit codes:"));
    assert_eq!(run(None, &["no-such-command"], b"").await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_of_unknown_length_is_encoded_and_stored() {
    let daemon = Daemon::start().await;
    let url = format!("gs://{BUCKET}/piped");
    let args = ["encode", "write-at", "streamed", "body=@-"];
    let piped = run(None, &args, b"from a pipe").await.quiet().out;
    let start = encode(&["start-upload", &url]).await;
    let replies = netcat(&daemon, &[&start[..], &piped].concat()).await;
    assert_eq!(daemon.object("piped").await, b"from a pipe");
    let shown = run(None, &["decode"], &replies).await.quiet();
    assert!(
        shown
            .text()
            .contains("WriteAt ok http=200 committed=11 received=11 "),
        "{}",
        shown.text()
    );

    let dir = tempfile::tempdir().expect("a directory");
    let body = dir.path().join("body");
    let args = ["decode", "--requests", "--body", body.to_str().expect("UTF-8")];
    let shown = run(None, &args, &piped).await.quiet();
    let crc32c = gcsd_types::Crc32c::of(b"from a pipe").to_base64();
    assert_eq!(
        shown.text(),
        format!("request 17 WriteAt streamed upload=1 offset=0 body_len=11 body_crc32c={crc32c}\n")
    );
    assert_eq!(fs::read(&body).expect("the bytes"), b"from a pipe");
    for (args, input, status) in [
        (&["streamed", "body=@-"][..], &b"one request"[..], "ok"),
        (&["text=again"][..], b"", "precondition_failed"),
    ] {
        let target = format!("{url} put");
        let args = [&["encode", "put-object", &target, "if_generation_match=0"], args].concat();
        let request = run(None, &args, input).await.quiet().out;
        let shown = run(None, &["decode"], &netcat(&daemon, &request).await).await;
        let expected = format!("PutObject {status} ");
        assert!(shown.text().contains(&expected), "{}", shown.text());
    }
    assert_eq!(daemon.object("piped put").await, b"one request");
    // Cut short, damaged, and taken back.
    run(None, &["decode", "--requests"], &piped[..piped.len() - 1])
        .await
        .failed(1, "truncated: ");
    let mut damaged = piped.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let shown = run(None, &["decode", "--requests"], &damaged).await.quiet();
    assert!(shown.text().ends_with(" damaged\n"), "{}", shown.text());
    let aborted = [&piped[..piped.len() - 12], &[0, 0, 0, 0, 3, 0, 0, 0]].concat();
    let shown = run(None, &["decode", "--requests"], &aborted).await.quiet();
    assert!(shown.text().ends_with(" aborted\n"), "{}", shown.text());
}
