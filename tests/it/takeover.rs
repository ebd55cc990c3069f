//! Reliable writers on an upload that two have: one gives way, and one is never in its own way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gcsd_client::{Aborted, Address, Options, ReliableUpload, ReliableWriter, UploadError, ViaDaemon};
use gcsd_types::Crc32c;
use gcsd_wire::write_at::Args;
use gcsd_wire::{Kind, Request, Retry};
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::daemon::{self, Daemon, PATIENCE, attach, pattern, query_upload};
use crate::support::uploads::{new_object, retries, small_chunks, tcp, via_daemon};

const K: usize = 256 * 1024;

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

/// A daemon whose devgcs, by this plan, does what GCS does wrong.
async fn daemon_with(faults: &str) -> Daemon {
    Daemon::with(daemon::Options::failing(faults)).await
}

#[tokio::test]
async fn a_writer_that_is_taken_over_gives_way() {
    // GCS stalls the writer's PUT, so that it is under way for as long as the test wants.
    let daemon =
        daemon_with("stall-always-after-256K on write call 0; stall-always-after-256K on write call 2").await;
    let bytes = Bytes::from(pattern(2 * K + 5));
    for (name, abort) in [("told", false), ("aborted", true)] {
        let open = via_daemon(&[daemon.address], tcp(), new_object(name));
        let mut writer = ReliableWriter::start(open, &small_chunks()).expect("good options");
        let token = soon(writer.token()).await.expect("started");
        soon(writer.write_bytes(bytes.slice(..2 * K)))
            .await
            .expect("room");
        let stuck = daemon.devgcs.wait_for(PATIENCE, |state| {
            state.session(name).is_some_and(|s| s.received > 0)
        });
        assert!(stuck.await, "{name}: the PUT does not begin");
        let mut owner = daemon.connect().await;
        owner.call(1, attach(token.expose())).await.ok();
        let mut reports = writer.reports();
        // What the writer is told ends its task, whoever asks.
        soon(async { while reports.changed().await.is_ok() {} }).await;
        if abort {
            match soon(writer.abort()).await {
                Aborted::Unknown { error: Some(failure) } => assert!(failure.is(Kind::Fenced)),
                other => panic!("{other:?}"),
            }
        } else {
            let error = soon(writer.complete()).await.expect_err("taken over");
            assert!(matches!(error, UploadError::TakenOver(_)), "{error}");
            assert!(error.to_string().contains("another client"), "{error}");
        }
        // The owner goes on, unharmed.
        let committed = owner.call(1, query_upload()).await.progress().committed;
        let rest = &bytes[usize::try_from(committed).expect("small")..];
        let reply = owner.write(1, committed, Some(bytes.len() as u64), rest).await;
        assert_eq!(
            reply.progress().object.expect("finished").crc32c,
            Some(Crc32c::of(&bytes))
        );
    }
}

/// Forwards connections to `daemon`. Of the first one, only so many bytes: then it stands still, open on both sides,
/// as when the network between them is cut, until the sender is dropped.
async fn dying_proxy(daemon: SocketAddr, bytes: u64) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (keep, kept) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let mut kept = Some(kept);
        while let Ok((mut client, _)) = listener.accept().await {
            let mut daemon = TcpStream::connect(daemon).await.expect("the daemon listens");
            let dies = kept.take();
            tokio::spawn(async move {
                let Some(kept) = dies else {
                    let _ = copy_bidirectional(&mut client, &mut daemon).await;
                    return;
                };
                let ((from_client, mut to_client), (mut from_daemon, mut to_daemon)) =
                    (client.split(), daemon.split());
                let mut from_client = from_client.take(bytes);
                tokio::select! {
                    _ = tokio::io::copy(&mut from_client, &mut to_daemon) => {}
                    _ = tokio::io::copy(&mut from_daemon, &mut to_client) => {}
                }
                let _ = kept.await;
            });
        }
    });
    (address, keep)
}

/// The main use of fencing: the client's old connection is dead and the daemon does not know it.
#[tokio::test]
async fn a_client_that_comes_back_fences_its_own_dead_connection() {
    // In a body, whose PUT waits for the rest; and behind one that GCS stalls.
    for (name, forwarded, faults) in [
        ("body", 300_000, "off"),
        ("stalled", u64::MAX, "stall-always-after-256K on write call 0"),
    ] {
        let daemon = daemon_with(faults).await;
        let (proxy, keep) = dying_proxy(daemon.address, forwarded).await;
        let options = Options::default().with_stall(Duration::from_millis(500));
        let address = Address::from(proxy);
        let open = ViaDaemon::new(tcp(), vec![address], options, new_object(name));
        let bytes = Bytes::from(pattern(1 << 20));
        let upload = ReliableUpload::start(open, bytes.clone(), retries());
        let reports = upload.reports();
        let object = soon(upload.complete()).await.expect("it recovers");
        assert_eq!(object.crc32c, Some(Crc32c::of(&bytes)), "{name}");
        assert!(reports.borrow().reconnects >= 1, "{name}");
        assert!(daemon.object(name).await == bytes, "{name}");
        if name == "body" {
            // Neither clock of the daemon has run out: the old PUT is gone because it was fenced.
            let gone = daemon.devgcs.wait_for(PATIENCE / 2, |state| {
                state.session(name).is_some_and(|s| s.writing == 0)
            });
            assert!(gone.await, "the old request is still there");
        }
        drop(keep);
    }
}

/// Two daemons share no state but their key, so that the first cannot be fenced there: what protects is GCS. The zombie
/// writes other bytes than the owner; wherever the two meet, the object is one's, or the other's, or none.
#[tokio::test]
async fn a_zombie_on_another_daemon_never_makes_a_mixture() {
    const QUARTERS: usize = 4;
    let first = Daemon::start().await;
    let second = Daemon::with(daemon::Options {
        endpoint: Some(first.devgcs.endpoint()),
        ..daemon::Options::default()
    })
    .await;
    let ours = pattern(QUARTERS * K);
    let theirs: Vec<u8> = ours.iter().map(|byte| !byte).collect();
    let last = |offset: u64, object: &[u8]| {
        Request::WriteAt(Args {
            offset,
            total: Some(object.len() as u64),
            object_crc32c: Some(Crc32c::of(object)),
            body_crc32c: None,
        })
    };
    let mut endings = BTreeMap::new();
    for (before, during, zombie_ends) in (0..QUARTERS)
        .flat_map(|before| (0..=QUARTERS - before).map(move |during| (before, during)))
        .flat_map(|(before, during)| [(before, during, false), (before, during, true)])
    {
        let name = format!("{before}-{during}-{zombie_ends}");
        let mut zombie = first.connect().await;
        let token = zombie.start(1, &name).await;
        if before > 0 {
            zombie.write(1, 0, None, &theirs[..before * K]).await.progress();
        }
        let mut owner = second.connect().await;
        owner.call(1, attach(&token)).await.ok();
        let committed = owner.call(1, query_upload()).await.progress().committed;
        assert_eq!(committed, (before * K) as u64, "{name}");
        // From here on the zombie writes behind the owner's back.
        let sequence = zombie
            .begin(1, &last(committed, &theirs), theirs[before * K..].len() as u64)
            .await;
        let (some, rest) = theirs[before * K..].split_at(during * K);
        zombie.raw(some).await;
        let arrived = first.devgcs.wait_for(PATIENCE, |state| {
            state
                .session(&name)
                .is_some_and(|s| s.received >= ((before + during) * K) as u64)
        });
        assert!(arrived.await, "{name}");
        if zombie_ends {
            zombie.raw(rest).await;
            zombie.reply_to(sequence).await;
        }
        let sent = owner
            .begin(1, &last(committed, &ours), ours[before * K..].len() as u64)
            .await;
        owner.raw(&ours[before * K..]).await;
        let reply = owner.reply_to(sent).await;
        let ending = if reply.head.status.is_ok() {
            // The owner compares what it is told, and so knows whose it is.
            let object = reply.progress().object.expect("finished");
            let bytes = first.object(&name).await;
            assert_eq!(object.crc32c, Some(Crc32c::of(&bytes)), "{name}");
            match bytes {
                bytes if bytes == ours => "the owner's object",
                bytes if bytes == theirs => "the zombie's object",
                _ => panic!("{name}: a mixture became an object"),
            }
        } else {
            reply.fails(Kind::ChecksumMismatch, Retry::Restart);
            "no object"
        };
        if !zombie_ends {
            zombie.raw(rest).await;
            zombie.reply_to(sequence).await;
        }
        match (ending, first.has_object(&name)) {
            ("no object", found) => assert!(!found, "{name}: an object appeared"),
            ("the owner's object", _) => assert_eq!(first.object(&name).await, ours, "{name}"),
            _ => assert_eq!(first.object(&name).await, theirs, "{name}"),
        }
        *endings.entry(ending).or_insert(0) += 1;
    }
    eprintln!("{endings:?}");
    assert_eq!(endings.len(), 3, "{endings:?}");
}
