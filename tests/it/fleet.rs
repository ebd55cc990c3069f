//! Daemons as processes that share a token key and nothing else: fenced, killed in turn, stopped in turn.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use devgcs::Server;
use gcsd_client::{ReliableUpload, UploadError};
use gcsd_types::Crc32c;
use tokio::task::{JoinSet, spawn_blocking};

use crate::support::command::{gcsd, wait};
use crate::support::daemon::{BUCKET, PATIENCE, pattern};
use crate::support::devgcs::{server, server_with, stored};
use crate::support::process::Fleet;
use crate::support::uploads::{new_object, retries, tcp, via_daemon};

const MIB: usize = 1 << 20;

/// What holds of an upload at the server, in time.
async fn persisted(server: &Server, name: &str, bytes: usize) {
    let there = server.wait_for(PATIENCE, |state| {
        state.session(name).is_some_and(|s| s.persisted >= bytes as u64)
    });
    assert!(there.await, "{name}: {bytes} bytes do not arrive");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_the_later_one_fences_the_first() {
    let server = server().await;
    let fleet = Fleet::start(1, server.endpoint());
    let folder = tempfile::tempdir().expect("a folder");
    let (file, bytes) = (folder.path().join("file"), pattern(2 * MIB));
    std::fs::write(&file, &bytes).expect("written");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/two_writers.py");
    let address = fleet.connect();
    let start = move |role: &str, what: &str| {
        Command::new("python3")
            .arg(&script)
            .args([&address, role])
            .arg(&file)
            .arg(what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
    };
    let mut zombie = match start("zombie", &format!("gs://{BUCKET}/two")) {
        Ok(zombie) => zombie,
        Err(error) => {
            eprintln!("SKIPPED: python3 cannot be run: {error}");
            return;
        }
    };
    let mut said = BufReader::new(zombie.stdout.take().expect("piped"));
    let mut line = move || {
        let mut line = String::new();
        said.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    };
    let (token, mut line) = spawn_blocking(move || (line(), line)).await.expect("no panic");
    // All that it has sent is at the server, or on its way there.
    persisted(&server, "two", MIB - MIB / 4).await;
    let owner = start("owner", &token).expect("python3 runs");
    let owner = spawn_blocking(|| owner.wait_with_output());
    let owner = owner.await.expect("no panic").expect("its output");
    assert!(owner.status.success());
    let stat = server.object(BUCKET, "two").expect("it is there");
    assert_eq!(
        String::from_utf8_lossy(&owner.stdout).trim(),
        format!("generation {}", stat.generation)
    );
    assert_eq!(stored(&server, "two").await, bytes);
    // The zombie's WriteAt was cut, and what it does when it wakes up changes nothing.
    let (in_flight, line) = spawn_blocking(move || (line(), line)).await.expect("no panic");
    assert_eq!(in_flight, "status 0x1017, 0 committed");
    let mut stdin = zombie.stdin.take().expect("piped");
    stdin.write_all(b"go on\n").expect("it waits");
    let later = spawn_blocking(line).await.expect("no panic");
    assert!(later.starts_with("status 0x1017: "), "{later}");
    assert!(zombie.wait().expect("it ends").success());
    assert_eq!(
        server.object(BUCKET, "two").map(|o| o.generation),
        Some(stat.generation)
    );
}

/// `gcsd put` of a file: whichever daemon has it is killed in the middle of its body, and the next goes on.
#[tokio::test(flavor = "multi_thread")]
async fn each_daemon_is_killed_in_the_middle_of_a_file() {
    // Each daemon's PUT goes so far, and then stands still until the daemon is killed.
    let stalls: Vec<_> = (1..=3)
        .map(|n| format!("stall-always-after-{}K on write call {}", 2048 * n, n - 1))
        .collect();
    let server = server_with(Server::builder().faults(stalls.join("; "))).await;
    let mut fleet = Fleet::start(3, server.endpoint());
    let folder = tempfile::tempdir().expect("a folder");
    let (file, bytes) = (folder.path().join("file"), pattern(8 * MIB + 12_345));
    std::fs::write(&file, &bytes).expect("written");
    let url = format!("gs://{BUCKET}/file");
    let put = gcsd(
        None,
        &[
            "put",
            "--retry-for",
            "10m",
            file.to_str().expect("UTF-8"),
            &url,
            "--connect",
            &fleet.connect(),
        ],
    )
    .spawn()
    .expect("the binary runs");
    let put = tokio::spawn(wait(put));
    for at in 0..3 {
        persisted(&server, "file", 2 * (at + 1) * MIB).await;
        fleet.kill(at);
        if at > 0 {
            fleet.restart(at - 1);
        }
    }
    let put = put.await.expect("no panic");
    eprint!("{}", put.err);
    assert_eq!(put.code, Some(0), "{}", put.err);
    assert!(stored(&server, "file").await == bytes);
    assert_eq!(server.inspect().sessions.len(), 1, "it was never begun anew");
}

/// The same of a pipe, of which nothing can be read again.
#[tokio::test(flavor = "multi_thread")]
async fn each_daemon_is_killed_in_the_middle_of_a_pipe() {
    let server = server().await;
    let mut fleet = Fleet::start(3, server.endpoint());
    let bytes = pattern(6 * MIB + 99);
    let url = format!("gs://{BUCKET}/pipe");
    let arguments = [
        "put",
        "-",
        &url,
        "--chunk",
        "256KiB",
        "--retry-for",
        "10m",
        "--connect",
        &fleet.connect(),
    ];
    let mut put = gcsd(None, &arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = put.stdin.take().expect("piped");
    let put = tokio::spawn(wait(put));
    for (at, piece) in bytes.chunks(2 * MIB).enumerate() {
        let piece = piece.to_vec();
        stdin = spawn_blocking(move || stdin.write_all(&piece).map(|()| stdin))
            .await
            .expect("no panic")
            .expect("it reads on");
        if at < 3 {
            // What is committed is beyond what any daemon still knows.
            persisted(&server, "pipe", 2 * at * MIB + MIB).await;
            fleet.kill(at);
            if at > 0 {
                fleet.restart(at - 1);
            }
        }
    }
    drop(stdin);
    let put = put.await.expect("no panic");
    eprint!("{}", put.err);
    assert_eq!(put.code, Some(0), "{}", put.err);
    assert!(stored(&server, "pipe").await == bytes);
    assert_eq!(server.inspect().sessions.len(), 1, "it was never begun anew");
}

/// A new version goes out, one daemon after the other, while uploads go on: nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_upload() {
    let server = server().await;
    let mut fleet = Fleet::start(3, server.endpoint());
    let addresses = fleet.addresses();
    let stop = Arc::new(AtomicBool::new(false));
    let reconnects = Arc::new(AtomicU64::new(0));
    let mut uploaders = JoinSet::new();
    let bytes = Bytes::from(pattern(3 * MIB + 5));
    for n in 0..6 {
        let (stop, reconnects) = (stop.clone(), reconnects.clone());
        let (mut addresses, bytes) = (addresses.clone(), bytes.clone());
        // As a balancer would, each begins elsewhere.
        addresses.rotate_left(n % 3);
        uploaders.spawn(async move {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let open = via_daemon(&addresses, tcp(), new_object(&format!("rolling-{n}")));
                let upload = ReliableUpload::start(open, bytes.clone(), retries());
                let reports = upload.reports();
                let object = upload.complete().await?;
                assert_eq!(object.crc32c, Some(Crc32c::of(&bytes)));
                reconnects.fetch_add(reports.borrow().reconnects, Ordering::Relaxed);
                count += 1;
            }
            Ok::<_, UploadError>(count)
        });
    }
    for round in 0..2 {
        for at in 0..3 {
            let mut daemon = fleet;
            let (stopped, back) = spawn_blocking(move || (daemon.stop(at), daemon))
                .await
                .expect("no panic");
            fleet = back;
            assert!(stopped.success(), "round {round}, daemon {at}: {stopped}");
            fleet.restart(at);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut count = 0;
    while let Some(uploader) = uploaders.join_next().await {
        count += uploader.expect("no panic").expect("no upload fails");
    }
    eprintln!(
        "{count} uploads, {} reconnects",
        reconnects.load(Ordering::Relaxed)
    );
    assert!(count >= 6);
    assert!(
        reconnects.load(Ordering::Relaxed) > 0,
        "no daemon was in use when it stopped"
    );
    assert_eq!(server.inspect().open_sessions(), 0);
}
