//! The daemon's log: what it says of whom, how loudly, and what becomes of it when nobody reads it.

use std::collections::HashSet;
use std::fmt;
use std::fs::Permissions;
use std::io::BufRead as _;
use std::os::unix::fs::PermissionsExt as _;

use gcsd_types::{EncryptionKey, ObjectQuery};
use gcsd_wire::head::{MORE, STREAMED};
use gcsd_wire::{Kind, Opcode, Reply, Request, RequestHead};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::cases::{self, Args};
use crate::support::command::{gcsd, wait};
use crate::support::daemon::{
    BUCKET, Client, PATIENCE, attach, finish_upload, object_ref, pattern, query_upload, start_upload,
    write_at,
};
use crate::support::process::Process;
use crate::support::secret::write_secret;
use crate::support::waiting::becomes;

const ANY: &str = "127.0.0.1:0";

/// An object of JSON whose keys are all different, and whose values are neither lists nor objects.
struct Strict(Map<String, Value>);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Line;
        impl<'de> Visitor<'de> for Line {
            type Value = Strict;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Strict, A::Error> {
                let mut line = Map::new();
                while let Some((key, value)) = access.next_entry::<String, Value>()? {
                    if value.is_array() || value.is_object() {
                        return Err(A::Error::custom(format!("{key} is no scalar")));
                    }
                    if line.insert(key.clone(), value).is_some() {
                        return Err(A::Error::custom(format!("{key} stands twice")));
                    }
                }
                Ok(Strict(line))
            }
        }
        deserializer.deserialize_map(Line)
    }
}

/// Reads a line, which must have what every line has.
fn strict(line: &str) -> Map<String, Value> {
    let Strict(fields) = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let time = fields["timestamp"].as_str().expect("text");
    assert!(
        time.parse::<jiff::Timestamp>().is_ok() && time.ends_with('Z'),
        "{line}"
    );
    for key in ["level", "target", "message"] {
        assert!(fields[key].is_string(), "{line}");
    }
    fields
}

/// The lines of a whole log that are about requests that failed.
fn failed(log: &str) -> Vec<Map<String, Value>> {
    let lines = log.lines().map(strict);
    lines.filter(|line| line["message"] == "request failed").collect()
}

/// A daemon in front of this Cloud Storage, whose log is JSON.
fn serve(endpoint: &str, more: &[&str]) -> (Process, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().to_str().expect("UTF-8");
    let serve = ["--anonymous", "--endpoint", endpoint, "--state-dir", state];
    (Process::serve_json(ANY, &[&serve, more].concat()), dir)
}

async fn connect(daemon: &Process) -> Client {
    Client::over(TcpStream::connect(daemon.address()).await.expect("it listens"))
}

fn stat(object: &str) -> Request {
    Request::StatObject(gcsd_wire::stat_object::Args {
        of: object_ref(object),
    })
}

/// What must not be waited for: the end of a daemon.
async fn stopped(mut daemon: Process) {
    let stopping = tokio::task::spawn_blocking(move || daemon.stop());
    let status = timeout(PATIENCE, stopping)
        .await
        .expect("it ends")
        .expect("no panic");
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_takes_holds_nobody_up() {
    const REQUESTS: u64 = 1500;
    let (daemon, log) = Process::serve_stalled(ANY, &["--embedded", "--log-format", "json"]);
    let mut client = connect(&daemon).await;
    // More than a pipe and the queue hold.
    let name = "x".repeat(1000);
    for _ in 0..REQUESTS {
        client.call(0, stat(&name)).await;
    }
    // The reader comes back.
    let reading = tokio::task::spawn_blocking(move || {
        let (mut lines, mut told) = (log.lines(), 0);
        loop {
            let line = lines.next().expect("more").expect("text");
            let line = strict(&line);
            if let Some(dropped) = line.get("dropped") {
                assert_eq!(line["level"], "WARN");
                return (lines, told + dropped.as_u64().expect("a number"));
            }
            told += u64::from(line["message"] == "request failed");
        }
    });
    let (mut lines, told) = timeout(PATIENCE, reading)
        .await
        .expect("in time")
        .expect("no panic");
    assert_eq!(told, REQUESTS);
    client.call(0, stat("seen")).await;
    let reading = tokio::task::spawn_blocking(move || {
        let line = strict(&lines.next().expect("more").expect("text"));
        (lines, line)
    });
    let (lines, line) = timeout(PATIENCE, reading)
        .await
        .expect("in time")
        .expect("no panic");
    assert_eq!(line["object"], "seen");
    // It goes away again, and the daemon ends all the same.
    for _ in 0..REQUESTS {
        client.call(0, stat(&name)).await;
    }
    stopped(daemon).await;
    drop(lines);
}

/// The last words of a process that ends are written as whatever it logs: they hold up nothing either.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_daemon_whose_log_nobody_takes() {
    let faults = [
        "--faults",
        "hang on 1..",
        "--connect-timeout",
        "1h",
        "--grace",
        "1h",
    ];
    let json = ["--embedded", "--log-format", "json"];
    let (mut daemon, log) = Process::serve_stalled(ANY, &[&json[..], &faults].concat());
    let mut client = connect(&daemon).await;
    // More than a pipe holds.
    let name = "x".repeat(1000);
    for _ in 0..100 {
        client.call(0, stat(&name)).await;
    }
    // Of two requests at once, one needs a connection of its own, and gets none.
    client.begin(0, &stat("one"), 0).await;
    client.begin(0, &stat("two"), 0).await;
    client.frame().await.expect("a reply");
    daemon.signal("-TERM");
    let address = daemon.address();
    becomes(|| std::net::TcpStream::connect(address).is_err()).await;
    daemon.signal("-TERM");
    let waiting = tokio::task::spawn_blocking(move || daemon.wait());
    let status = timeout(PATIENCE, waiting)
        .await
        .expect("it ends")
        .expect("no panic");
    assert_eq!(status.code(), Some(130));
    drop(log);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_opcodes_failure_is_told_once_with_what_it_is_about() {
    let devgcs = devgcs::Server::builder().start().await.expect("devgcs starts");
    let endpoint = devgcs.endpoint();
    let (mut daemon, _dir) = serve(&endpoint, &["--log-level", "trace"]);
    let mut client = connect(&daemon).await;
    let frames = || cases::all().into_iter().flat_map(|case| case.frames);
    let mut refused = HashSet::new();
    for (number, opcode) in Opcode::ALL.iter().enumerate() {
        let of =
            |frame: &cases::Frame| matches!(&frame.args, Args::Request(args) if args.opcode() == *opcode);
        let frame = frames().find(of).expect("a vector");
        let cases::Head::Request(head) = frame.head else {
            panic!("{opcode:?} is a request")
        };
        let sequence = number as u64 + 1;
        let head = RequestHead {
            sequence,
            // The upload whose start fails; an attach has one of its own.
            upload: match opcode {
                Opcode::AttachUpload => 2,
                opcode => u32::from(opcode.has_upload()),
            },
            flags: head.flags & STREAMED,
            ..head
        };
        client
            .raw(&[&head.encode()[..], &frame.args.to_bytes(), &frame.body].concat())
            .await;
        let mut reply = client.reply_to(sequence).await;
        while reply.head.flags & MORE != 0 {
            reply = client.reply_to(sequence).await;
        }
        if !reply.head.status.is_ok() {
            refused.insert((opcode.name(), sequence));
        }
    }
    // There is no bucket: what is about one cannot succeed.
    assert!(refused.len() >= Opcode::ALL.len() - 5, "{refused:?}");
    drop(client);
    let log = daemon.whole_log();
    let lines = failed(&log);
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["opcode"].as_str().expect("text"),
                line["sequence"].as_u64().expect("a number"),
            )
        })
        .collect();
    assert_eq!(told.len(), refused.len(), "{told:?}");
    assert_eq!(told.into_iter().collect::<HashSet<_>>(), refused);
    for line in lines {
        let opcode = Opcode::ALL
            .iter()
            .find(|opcode| line["opcode"] == opcode.name())
            .expect("an opcode");
        for key in ["connection", "duration_ms"] {
            assert!(line[key].is_u64(), "{key} {line:?}");
        }
        for key in ["peer", "status", "layer", "retry", "error"] {
            assert!(line[key].is_string(), "{key} {line:?}");
        }
        assert_eq!(line["level"], "INFO", "{line:?}");
        assert_eq!(line.contains_key("upload"), opcode.has_upload(), "{line:?}");
        // A token that is none tells nothing.
        let of_nothing = *opcode == Opcode::AttachUpload;
        assert_eq!(line.contains_key("bucket"), !of_nothing, "{line:?}");
        let of_an_object = !of_nothing && !matches!(opcode, Opcode::ListObjects | Opcode::StatBucket);
        assert_eq!(line.contains_key("object"), of_an_object, "{line:?}");
        if line["layer"] == "gcs" {
            assert!(
                line["http_status"].is_u64() && line["request_id"].is_string(),
                "{line:?}"
            );
        }
        let of_parts = matches!(
            opcode,
            Opcode::UploadPart | Opcode::ListParts | Opcode::CompleteMultipart
        );
        assert!(!of_parts || line["upload_name"].is_string(), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gcs_or_the_network_does_wrong_is_a_warning() {
    let devgcs = devgcs::Server::builder()
        .bucket(BUCKET)
        .faults("return-503 on any");
    let devgcs = devgcs.start().await.expect("devgcs starts");
    let gone = std::net::TcpListener::bind(ANY)
        .expect("a port")
        .local_addr()
        .expect("an address");
    for (endpoint, status, http_status) in [
        (devgcs.endpoint(), "unavailable", Some(503)),
        (format!("http://{gone}"), "connect_failed", None),
    ] {
        // Only its own line says where it listens, at INFO: that is asked for by its name.
        let (mut daemon, _dir) = serve(&endpoint, &["--log-level", "warn,gcsd::cli=info"]);
        let mut client = connect(&daemon).await;
        client.call(0, stat("o")).await;
        drop(client);
        let log = daemon.whole_log();
        let [line] = &failed(&log)[..] else {
            panic!("one line: {log}")
        };
        assert_eq!(
            (&line["level"], &line["status"]),
            (&json!("WARN"), &json!(status)),
            "{log}"
        );
        assert_eq!(
            line.get("http_status"),
            http_status.map(|status| json!(status)).as_ref(),
            "{log}"
        );
        assert_eq!(
            (&line["bucket"], &line["object"]),
            (&json!(BUCKET), &json!("o")),
            "{log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_followed_by_its_name_and_no_secret_is_told() {
    let devgcs = devgcs::Server::builder()
        .bucket(BUCKET)
        .start()
        .await
        .expect("devgcs starts");
    let endpoint = devgcs.endpoint();
    let dir = tempfile::tempdir().expect("a directory");
    let secret = dir.path().join("secret");
    write_secret(&secret, "open sesame");
    let secret = secret.to_str().expect("UTF-8");
    let (mut daemon, _dir) = serve(&endpoint, &["--auth-file", secret, "--log-level", "trace"]);
    let hello = |secret: &'static str| {
        Request::Hello(gcsd_wire::hello::Args {
            min_version: 1,
            max_version: 1,
            secret: secret.into(),
            ..gcsd_wire::hello::Args::default()
        })
    };
    let mut client = connect(&daemon).await;
    client.call(0, hello("open barley")).await.error();
    client.closed().await;
    let mut client = connect(&daemon).await;
    client.call(0, hello("open sesame")).await.ok();
    let key = EncryptionKey::new([0xa7; 32]);
    let Request::StartUpload(mut start) = start_upload("a b\u{1b}[31m\u{7f}\"") else {
        panic!("a start")
    };
    start.destination.key = Some(key.clone());
    let Reply::StartUpload(started) = client.call(3, Request::StartUpload(start)).await.ok() else {
        panic!("a start")
    };
    // It goes within a body.
    client.begin(3, &write_at(0, Some(1 << 20)), 1 << 20).await;
    client.raw(&pattern(300_000)).await;
    drop(client);
    // Until the daemon has noticed, the body would end by the attach.
    becomes(|| daemon.log().contains("body_truncated")).await;
    let mut client = connect(&daemon).await;
    client.call(0, hello("open sesame")).await.ok();
    let Request::AttachUpload(mut again) = attach(&started.token) else {
        panic!("an attach")
    };
    again.key = Some(key);
    client.call(1, Request::AttachUpload(again)).await.ok();
    client.call(1, query_upload()).await.ok();
    // More than there is.
    client.call(1, finish_upload(1 << 30)).await.error();
    drop(client);

    let log = daemon.whole_log();
    let lines: Vec<_> = log.lines().map(strict).collect();
    let of = |key: &str, value: &str| -> Vec<_> {
        lines
            .iter()
            .filter(|line| line.get(key) == Some(&json!(value)))
            .collect()
    };
    let [start] = of("opcode", "StartUpload")[..] else {
        panic!("one start: {log}")
    };
    let name = start["upload_name"].as_str().expect("text");
    let named = of("upload_name", name);
    for opcode in [
        "StartUpload",
        "WriteAt",
        "AttachUpload",
        "QueryUpload",
        "FinishUpload",
    ] {
        let line = named
            .iter()
            .find(|line| line.get("opcode") == Some(&json!(opcode)));
        let line = line.unwrap_or_else(|| panic!("{opcode}: {log}"));
        assert_eq!(
            (&line["bucket"], &line["object"]),
            (&json!(BUCKET), &json!("a b\u{1b}[31m\u{7f}\"")),
            "{log}"
        );
    }
    let [truncated] = of("status", "body_truncated")[..] else {
        panic!("one body: {log}")
    };
    assert_eq!(
        (&truncated["level"], &truncated["upload_name"]),
        (&json!("INFO"), &json!(name))
    );
    assert_eq!(
        (&truncated["received"], &truncated["body_len"]),
        (&json!(300_000), &json!(1 << 20))
    );
    // Twice left, once by each connection.
    let left = of(
        "message",
        "an upload is left unfinished: its token leads back to it",
    );
    assert!(
        !left.is_empty() && left.iter().all(|line| line["upload_name"] == name),
        "{log}"
    );
    let [wrong] = of("status", "unauthenticated")[..] else {
        panic!("one secret: {log}")
    };
    assert_eq!(wrong["level"], "INFO");
    let ends = of("message", "connection ended");
    assert_eq!(ends.len(), 3, "{log}");
    assert!(
        ends.iter()
            .all(|line| line["level"] == "INFO" && line["requests"].as_u64() > Some(0)),
        "{log}"
    );

    let base64 = "p6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6c";
    for secret in [
        "open sesame",
        "open barley",
        &started.token,
        "upload_id=",
        base64,
        "167, 167",
    ] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_everybody_can_read_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode");
        path.to_str().expect("UTF-8").to_owned()
    };
    let key = "ab".repeat(32);
    let open = [
        file("open-key", &key, 0o644),
        file("open-secret", "sesame", 0o604),
    ];
    let closed = [file("key", &key, 0o640), file("secret", "sesame", 0o600)];
    let arguments = |key, secret| {
        [
            "serve",
            "--listen",
            ANY,
            "--embedded",
            "--token-key",
            key,
            "--auth-file",
            secret,
        ]
    };
    for (key, secret, which) in [(&open[0], &closed[1], &open[0]), (&closed[0], &open[1], &open[1])] {
        let refused = gcsd(None, &arguments(key, secret)).spawn();
        let refused = wait(refused.expect("the binary runs")).await;
        assert_eq!(refused.code, Some(1), "{}", refused.err);
        let said = format!("every user of this machine can read this secret: {which}; chmod o-r {which}\n");
        assert!(refused.err.ends_with(&said), "{}", refused.err);
    }
    drop(Process::serve(ANY, &arguments(&closed[0], &closed[1])[3..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_stay_in_their_lines() {
    let mut daemon = Process::serve(ANY, &["--embedded"]);
    let mut client = connect(&daemon).await;
    let injected = "\n2026-01-01T00:00:00Z ERROR injected\u{1b}]0;\u{7}\u{9b}31m\r";
    let mut query = ObjectQuery::new("no-such-bucket".parse().expect("a name"));
    query.prefix = Some(injected.to_owned());
    client
        .call(0, Request::ListObjects(gcsd_wire::list_objects::Args { query }))
        .await
        .error();
    client.call(0, stat("\u{1b}[2J\u{202e}\u{85}x")).await.error();
    drop(client);
    let log = daemon.whole_log();
    assert!(
        !log.chars()
            .any(|c| c.is_control() && c != '\n' || c == '\u{202e}'),
        "{log:?}"
    );
    let failed = log.lines().filter(|line| line.contains("request failed"));
    assert_eq!(failed.count(), 2, "{log}");
    assert!(
        !log.lines()
            .any(|line| line.contains("injected") && !line.contains("prefix=")),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_a_clock_cuts_is_told_of() {
    let mut daemon = Process::serve_json(ANY, &["--embedded", "--client-timeout", "1s"]);
    let mut client = connect(&daemon).await;
    client.lives().await;
    client.stream.write_all(b"GC").await.expect("it takes it");
    let told = client.frame().await.expect("a reply");
    assert_eq!(told.head.status.kind(), Some(Kind::ClientStalled));
    client.closed().await;
    drop(client);
    let log = daemon.whole_log();
    let lines: Vec<_> = log.lines().map(strict).collect();
    let cut = |line: &&Map<String, Value>| line.get("status") == Some(&json!("client_stalled"));
    let [cut] = &lines.iter().filter(cut).collect::<Vec<_>>()[..] else {
        panic!("one line: {log}")
    };
    assert_eq!(cut["level"], "INFO");
    let end = lines
        .iter()
        .find(|line| line["message"] == "connection ended")
        .expect("its end");
    assert_eq!(
        (&end["end"], &end["requests"], &end["connection"]),
        (&json!("unframed"), &json!(1), &cut["connection"])
    );
}
