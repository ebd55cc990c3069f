//! `gcsd serve` on every kind of socket: who is let in where, and what becomes of socket files.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::support::authority::Authority;
use crate::support::command::{Ended, run};
use crate::support::process::Process;
use crate::support::waiting::becomes;

const EMBEDDED: &str = "--embedded";

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A command through the daemon at `connect`, which must succeed.
async fn through(connect: &str, words: &[&str]) -> Ended {
    let words = [words, &["--connect", connect]].concat();
    run(None, &words, b"hello").await.quiet()
}

/// A `gcsd serve` that must not start.
async fn refused(words: &[&str]) -> String {
    let ended = run(None, &[&["serve", EMBEDDED], words].concat(), b"").await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    ended.err
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_its_owners_and_goes_with_its_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let connect = format!("unix:{}", path.display());
    let any = "127.0.0.1:0";
    let mut daemon = Process::serve(any, &[EMBEDDED, "--listen", &connect, "--log-level", "debug"]);
    let metadata = std::fs::symlink_metadata(&path).expect("a socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.mode() & 0o777, 0o600);
    through(&connect, &["put", "-q", "-", "gs://demo/x"]).await;
    assert_eq!(through(&connect, &["cat", "gs://demo/x"]).await.out, b"hello");
    // A second daemon there is refused, and takes nothing away.
    let error = refused(&["--listen", &connect]).await;
    assert!(error.contains("another process listens there"), "{error}");
    through(&connect, &["stat", "gs://demo/x"]).await;
    // What kill -9 leaves behind is replaced, with the mode that is asked for.
    daemon.kill();
    assert!(path.exists());
    let open = format!("{connect}?mode=666&group={}", metadata.gid());
    let mut daemon = Process::serve(any, &[EMBEDDED, "--listen", &open, "--log-level", "debug"]);
    let metadata = std::fs::symlink_metadata(&path).expect("a socket");
    assert_eq!(metadata.mode() & 0o777, 0o666);
    through(&connect, &["put", "-q", "-", "gs://demo/y"]).await;
    let log = daemon.whole_log();
    let peer = format!("peer=unix:uid={},gid={},pid=", metadata.uid(), metadata.gid());
    assert!(log.contains(&peer), "{log}");
    assert!(!path.exists(), "it stayed");
}

#[tokio::test]
async fn what_is_not_a_left_socket_is_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let listen = format!("unix:{}", path.display());
    std::fs::write(&path, "precious").expect("written");
    let error = refused(&["--listen", &listen]).await;
    assert!(error.contains("something is there that is no socket"), "{error}");
    assert_eq!(std::fs::read(&path).expect("a file"), b"precious");
    std::fs::remove_file(&path).expect("removed");
    let somebody = UnixListener::bind(&path).expect("a socket");
    let error = refused(&["--listen", &listen]).await;
    assert!(error.contains("another process listens there"), "{error}");
    drop(somebody);
    let error = refused(&["--listen", &format!("unix:{}/none/x", folder.path().display())]).await;
    assert!(error.contains("cannot listen on unix:"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_anybody_reaches_does_not_start_without_authentication() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost");
    let (cert, key, ca) = (text(&cert), text(&key), authority.file());
    let secret = authority.file().with_file_name("secret");
    std::fs::write(&secret, "open sesame").expect("written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let pair = ["--cert", cert, "--key", key];
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let error = refused(&["--listen", listen]).await;
        assert!(error.contains("--allow-unauthenticated"), "{error}");
    }
    let error = refused(&[&["--listen", "tls://0.0.0.0:0"][..], &pair].concat()).await;
    assert!(error.contains("--client-ca-file"), "{error}");
    for (listen, words, warnings) in [
        ("0.0.0.0:0", vec!["--allow-unauthenticated"], 2),
        ("0.0.0.0:0", vec!["--auth-file", text(&secret)], 1),
        (
            "tls://0.0.0.0:0",
            [&pair[..], &["--auth-file", text(&secret)]].concat(),
            0,
        ),
        (
            "tls://0.0.0.0:0",
            [&pair[..], &["--client-ca-file", text(&ca)]].concat(),
            0,
        ),
        ("127.0.0.1:0", vec![], 0),
    ] {
        let mut daemon = Process::serve(listen, &[&[EMBEDDED][..], &words].concat());
        let log = daemon.whole_log();
        assert_eq!(
            log.matches(" WARN gcsd::cli::serve::listen").count(),
            warnings,
            "{listen} {words:?}: {log}"
        );
    }
    for (words, expected) in [
        (vec!["--listen", "tls://127.0.0.1:0"], "--cert and --key"),
        (
            [&["--listen", "127.0.0.1:0"][..], &pair].concat(),
            "no listener does that",
        ),
    ] {
        let error = refused(&words).await;
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptors_and_names_of_mutual_tls_come_back() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost");
    let ca = authority.file();
    let words = [
        EMBEDDED,
        "--cert",
        text(&cert),
        "--key",
        text(&key),
        "--client-ca-file",
        text(&ca),
        "--log-level",
        "debug",
    ];
    let mut daemon = Process::serve("tls://127.0.0.1:0", &words);
    let files = |daemon: &Process| {
        let listed = std::fs::read_dir(format!("/proc/{}/fd", daemon.id())).expect("its files");
        listed.count()
    };
    let connect = format!("tls://127.0.0.1:{}", daemon.address().port());
    let (mine, mine_key) = authority.issue("backup");
    let trusted = [
        "--ca-file",
        text(&ca),
        "--cert",
        text(&mine),
        "--key",
        text(&mine_key),
    ];
    through(
        &connect,
        &[&["put", "-q", "-", "gs://demo/x"], &trusted[..]].concat(),
    )
    .await;
    becomes(|| daemon.log().contains("connection ended")).await;
    let before = files(&daemon);
    for _ in 0..5 {
        through(&connect, &[&["stat", "gs://demo/x"], &trusted[..]].concat()).await;
        // Without a certificate.
        let stat = [
            "stat",
            "gs://demo/x",
            "--ca-file",
            text(&ca),
            "--connect",
            &connect,
        ];
        run(None, &stat, b"").await.failed(1, "tls_refused: ");
    }
    becomes(|| daemon.log().matches("connection ended").count() >= 11).await;
    becomes(|| files(&daemon) <= before).await;
    let log = daemon.whole_log();
    assert!(log.contains("certificate=\"CN=backup\""), "{log}");
    // Of those that were refused, one a minute is told above DEBUG.
    let told = log.lines().filter(|line| line.contains("end=handshake"));
    let loud = told.clone().filter(|line| line.contains(" INFO ")).count();
    assert_eq!((told.count(), loud), (5, 1), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_says_where_and_whom_to_trust() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost");
    let words = [EMBEDDED, "--cert", text(&cert), "--key", text(&key)];
    let daemon = Process::serve("tls://127.0.0.1:0", &words);
    let connect = format!("tls://127.0.0.1:{}", daemon.address().port());
    let mut command = crate::support::command::gcsd(None, &["ls", "gs://demo"]);
    command.env("GCSD_CONNECT", &connect);
    command.env("GCSD_CONNECT_CA_FILE", authority.file());
    let ended = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic");
    Ended::from(ended.expect("it runs")).quiet();
}

/// What an image's user types: each `docker run` of the README that serves, with the environment of the Dockerfile.
#[tokio::test(flavor = "multi_thread")]
async fn the_containers_of_the_readme_start() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name| std::fs::read_to_string(root.join(name)).expect("a file");
    let dockerfile = read("Dockerfile");
    let variables = dockerfile.lines().find_map(|line| line.strip_prefix("ENV "));
    let listen =
        variables.and_then(|line| line.split(' ').find_map(|word| word.strip_prefix("GCSD_LISTEN=")));
    let listen = listen.expect("where it listens").replace(":4743", ":0");
    let joined = read("README.md").replace("\\\n", " ");
    let mut started = 0;
    for line in joined.lines().filter(|line| line.starts_with("docker run ")) {
        let (_, words) = line.split_once(" gcsd serve").expect("it serves");
        let words: Vec<&str> = words.split_whitespace().collect();
        assert!(line.contains("-p 127.0.0.1:"), "{line}");
        // As in the image, but for what lies outside of this test.
        let words = [&words[..], &[EMBEDDED]].concat();
        let mut daemon = Process::serve(&listen, &words);
        assert!(daemon.stop().success(), "{line}");
        started += 1;
    }
    assert!(started > 0, "the README has no such line");
}

#[tokio::test]
async fn the_baseline_client_speaks_to_unix_sockets() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let connect = format!("unix:{}", path.display());
    let _daemon = Process::serve("127.0.0.1:0", &[EMBEDDED, "--listen", &connect]);
    let file = folder.path().join("file");
    std::fs::write(&file, "hello").expect("written");
    let back = folder.path().join("back");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/mini.py");
    for words in [
        ["put", text(&file), "gs://demo/x"],
        ["get", "gs://demo/x", text(&back)],
    ] {
        let mut command = std::process::Command::new("python3");
        command.arg(&script).arg(&connect).args(words);
        let ended = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("no panic");
        let output = match ended {
            Ok(output) => output,
            Err(error) => return eprintln!("SKIPPED: python3 cannot be run: {error}"),
        };
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(std::fs::read(&back).expect("a file"), b"hello");
}
