//! A client written from the specification alone, in another language: `tests/clients/mini.py`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use crate::support::daemon::{BUCKET, Daemon, pattern};

/// Runs the client; `None`, loudly, where there is no Python.
async fn mini(address: SocketAddr, args: &[&str]) -> Option<Output> {
    mini_with(address, args, Stdio::null()).await
}

/// As [`mini`], with something to read.
async fn mini_with(address: SocketAddr, args: &[&str], input: Stdio) -> Option<Output> {
    let client = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/mini.py");
    let mut command = Command::new("python3");
    command
        .arg(client)
        .arg(address.to_string())
        .args(args)
        .stdin(input);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic");
    match output {
        Ok(output) => {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            Some(output)
        }
        Err(error) => {
            eprintln!("SKIPPED: python3 cannot be run: {error}");
            None
        }
    }
}

/// Forwards connections to `daemon`. The n-th one is cut after so many bytes from the client and so many to it;
/// what comes after them is not.
async fn cutting_proxy(daemon: SocketAddr, cuts: Vec<(u64, u64)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut cuts = cuts.into_iter();
        while let Ok((client, _)) = listener.accept().await {
            let (up, down) = cuts.next().unwrap_or((u64::MAX, u64::MAX));
            let daemon = TcpStream::connect(daemon).await.expect("the daemon listens");
            tokio::spawn(async move {
                let ((from_client, mut to_client), (from_daemon, mut to_daemon)) =
                    (client.into_split(), daemon.into_split());
                let (mut from_client, mut from_daemon) = (from_client.take(up), from_daemon.take(down));
                // Whichever ends first ends both: dropping the halves closes the sockets.
                tokio::select! {
                    _ = copy(&mut from_client, &mut to_daemon) => {}
                    _ = copy(&mut from_daemon, &mut to_client) => {}
                }
                let _ = to_client.shutdown().await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_stranger_puts_stats_and_gets() {
    let daemon = Daemon::start().await;
    let files = tempfile::tempdir().expect("a directory");
    let (source, target) = (files.path().join("source"), files.path().join("target"));
    for len in [0, 1, 262_144, 400_000] {
        let bytes = pattern(len);
        std::fs::write(&source, &bytes).expect("written");
        let url = format!("gs://{BUCKET}/mini/{len}#ü");
        let Some(put) = mini(daemon.address, &["put", source.to_str().expect("a path"), &url]).await else {
            return;
        };
        assert!(put.status.success());
        assert_eq!(daemon.object(&format!("mini/{len}#ü")).await, bytes);
        let stat = mini(daemon.address, &["stat", &url])
            .await
            .expect("there is a Python");
        assert!(String::from_utf8_lossy(&stat.stdout).contains(&format!(", {len} bytes\n")));
        let get = mini(daemon.address, &["get", &url, target.to_str().expect("a path")]).await;
        assert!(get.expect("there is a Python").status.success());
        assert_eq!(std::fs::read(&target).expect("a file"), bytes);
    }
    let url = format!("gs://{BUCKET}/mini/piped");
    for len in [0, 300_000] {
        let bytes = pattern(len);
        std::fs::write(&source, &bytes).expect("written");
        let input = std::fs::File::open(&source).expect("a file");
        let pipe = mini_with(daemon.address, &["pipe", &url], input.into()).await;
        assert!(pipe.expect("there is a Python").status.success());
        assert_eq!(daemon.object("mini/piped").await, bytes);
    }
    let list = mini(daemon.address, &["ls", &format!("gs://{BUCKET}/mini/")]).await;
    let list = String::from_utf8(list.expect("there is a Python").stdout).expect("text");
    assert!(
        list.starts_with("5 objects\n") && list.contains("mini/262144#ü"),
        "{list}"
    );
    let removed = mini(daemon.address, &["rm", &format!("gs://{BUCKET}/mini/0#ü")]).await;
    assert!(removed.expect("there is a Python").status.success());
    assert!(!daemon.has_object("mini/0#ü") && daemon.has_object("mini/1#ü"));
    let absent = format!("gs://{BUCKET}/absent");
    let absent = mini(daemon.address, &["stat", &absent])
        .await
        .expect("there is a Python");
    assert!(!absent.status.success());
    assert!(String::from_utf8_lossy(&absent.stderr).contains("0x4083"));
}

#[tokio::test]
async fn a_stranger_recovers_by_the_rules() {
    let daemon = Daemon::start().await;
    let files = tempfile::tempdir().expect("a directory");
    let source = files.path().join("source");
    let bytes = pattern(1_000_000);
    std::fs::write(&source, &bytes).expect("written");
    // In StartUpload's head; in a body; in a reply to WriteAt, or to QueryUpload after that.
    let cuts = vec![
        (20, u64::MAX),
        (300_000, u64::MAX),
        (u64::MAX, 100),
        (u64::MAX, 250),
    ];
    let proxy = cutting_proxy(daemon.address, cuts).await;
    let url = format!("gs://{BUCKET}/mini/cut");
    let Some(put) = mini(proxy, &["put", source.to_str().expect("a path"), &url]).await else {
        return;
    };
    assert!(put.status.success());
    assert!(String::from_utf8_lossy(&put.stderr).contains("trying again"));
    assert_eq!(daemon.object("mini/cut").await, bytes);
    let target = files.path().join("target");
    let cuts = vec![(u64::MAX, 40), (u64::MAX, 400_000)];
    let proxy = cutting_proxy(daemon.address, cuts).await;
    let get = mini(proxy, &["get", &url, target.to_str().expect("a path")])
        .await
        .expect("there is a Python");
    assert!(get.status.success());
    assert_eq!(std::fs::read(&target).expect("a file"), bytes);
}

/// Forwards connections to `daemon`. On the n-th one, a bit of the byte at this position from the client is turned over.
async fn damaging_proxy(daemon: SocketAddr, positions: Vec<u64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut positions = positions.into_iter();
        while let Ok((client, _)) = listener.accept().await {
            let position = positions.next();
            let daemon = TcpStream::connect(daemon).await.expect("the daemon listens");
            tokio::spawn(async move {
                let ((mut from_client, mut to_client), (mut from_daemon, mut to_daemon)) =
                    (client.into_split(), daemon.into_split());
                let up = async {
                    if let Some(position) = position {
                        copy(&mut (&mut from_client).take(position), &mut to_daemon).await?;
                        let byte = from_client.read_u8().await?;
                        to_daemon.write_u8(byte ^ 0x10).await?;
                    }
                    copy(&mut from_client, &mut to_daemon).await
                };
                tokio::select! {
                    _ = up => {}
                    _ = copy(&mut from_daemon, &mut to_client) => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_stranger_whose_bytes_are_damaged_starts_anew() {
    let daemon = Daemon::start().await;
    let files = tempfile::tempdir().expect("a directory");
    let source = files.path().join("source");
    let bytes = pattern(600_000);
    std::fs::write(&source, &bytes).expect("written");
    // In the body of the WriteAt, near its beginning and at its end.
    for position in [1000, 600_000] {
        let proxy = damaging_proxy(daemon.address, vec![position]).await;
        let url = format!("gs://{BUCKET}/mini/damaged/{position}");
        let Some(put) = mini(proxy, &["put", source.to_str().expect("a path"), &url]).await else {
            return;
        };
        assert!(put.status.success());
        assert!(String::from_utf8_lossy(&put.stderr).contains("trying again"));
        assert_eq!(daemon.object(&format!("mini/damaged/{position}")).await, bytes);
    }
    assert_eq!(daemon.devgcs.inspect().open_sessions(), 0);
}
