//! The ends of striped uploads: aborted, failed, killed, gone on with. Whichever, no temporary object is left.

use std::fs::File;
use std::io::Write as _;

use bytes::Bytes;
use devgcs::CallKind;
use gcsd_client::striped::{PART_SUFFIX, Route};
use gcsd_client::{
    Aborted, FileSource, StripedAborted, StripedCheckpoint, StripedError, StripedUpload, UploadError,
};
use gcsd_types::Crc32c;
use tokio::time::timeout;

use crate::support::daemon::{self, Daemon, PATIENCE, pattern};
use crate::support::striped::{MemoryStore, begin, check, clean, names, options, through};
use crate::support::uploads::{new_object, retries, tcp};

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

async fn daemon_with(faults: &str) -> Daemon {
    Daemon::with(daemon::Options::failing(faults)).await
}

async fn discard(route: impl Route, checkpoint: StripedCheckpoint) -> StripedAborted {
    let object = new_object("object");
    let retries = retries();
    let discarded = StripedUpload::discard(route, &object, checkpoint, &retries);
    soon(discarded).await.expect("it fits")
}

#[tokio::test]
async fn an_abort_leaves_nothing_whenever_it_comes() {
    for (faults, kind, calls) in [
        ("off", CallKind::StartUpload, 0),
        ("stall-always on start call 2", CallKind::StartUpload, 3),
        ("stall-always-after-all on write call 5", CallKind::WriteUpload, 6),
        (
            "stall-always-after-256K on write call 6",
            CallKind::WriteUpload,
            7,
        ),
        ("return-503 on start call 4..", CallKind::StartUpload, 6),
        ("return-503 on compose", CallKind::ComposeObject, 2),
        ("stall-for-1s on compose call 0", CallKind::ComposeObject, 1),
    ] {
        let daemon = daemon_with(faults).await;
        let bytes = Bytes::from(pattern(8 * 300_000));
        let mut options = options(300_000);
        if ["stall-always on start call 2", "return-503 on compose"].contains(&faults) {
            // What nothing but this ends.
            options.retries.abort_budget = std::time::Duration::from_secs(10);
        }
        let upload = begin(through(&daemon, tcp()), new_object("object"), &bytes, &options);
        let there = daemon
            .devgcs
            .wait_for(PATIENCE, |inspect| inspect.count(kind) >= calls);
        assert!(there.await, "{faults}");
        let aborted = soon(upload.abort()).await;
        assert!(aborted.leftovers.is_empty(), "{faults}: {aborted:?}");
        match aborted.object {
            Aborted::Cancelled => clean(&daemon, &[]).await,
            Aborted::AlreadyFinished { .. } if kind == CallKind::ComposeObject => {
                clean(&daemon, &["object"]).await
            }
            other => panic!("{faults}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_deleted_is_told() {
    let daemon = daemon_with("return-403 on delete call 3..").await;
    let bytes = Bytes::from(pattern(4000));
    let mut upload = begin(
        through(&daemon, tcp()),
        new_object("object"),
        &bytes,
        &options(1000),
    );
    let striped = soon(upload.wait()).await.expect("the object is there");
    assert_eq!(striped.object.crc32c, Some(Crc32c::of(&bytes)));
    assert_eq!(striped.leftovers.objects.len(), 1);
    assert!(striped.leftovers.unsure.is_none());
    let left = striped.leftovers.objects[0].to_string();
    assert!(left.starts_with(&striped.leftovers.prefix) && left.ends_with(".gcsd-part"));
    assert_eq!(names(&daemon).await, ["object", &left]);
}

#[tokio::test]
async fn a_source_that_changes_becomes_no_object() {
    let daemon = daemon_with("stall-for-1s on write call 3").await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("source");
    std::fs::write(&path, pattern(4000)).expect("written");
    let source = FileSource::new(File::open(&path).expect("open")).expect("a file");
    let upload = StripedUpload::start(
        through(&daemon, tcp()),
        new_object("object"),
        source,
        &options(1000),
        (),
    );
    let mut upload = upload.expect("good options");
    let stalled = daemon
        .devgcs
        .wait_for(PATIENCE, |inspect| inspect.count(CallKind::WriteUpload) == 4);
    assert!(stalled.await);
    let mut file = File::options().append(true).open(&path).expect("open");
    file.write_all(b"more").expect("written");
    let error = soon(upload.wait()).await.expect_err("it changed");
    let changed = match &error {
        StripedError::Changed(_) => true,
        error => matches!(error.part(), Some(UploadError::Changed(_))),
    };
    assert!(changed, "{error}");
    assert!(!error.is_resumable());
    assert!(soon(upload.abort()).await.leftovers.is_empty());
    clean(&daemon, &[]).await;
}

/// The process is killed at each moment at which it has just kept what another one needs.
#[tokio::test]
async fn killed_at_any_checkpoint_the_upload_goes_on_or_is_cleared_up() {
    let bytes = Bytes::from(pattern(5000));
    let mut kills = 0;
    for until in 1.. {
        let mut held = false;
        for go_on in [true, false] {
            let daemon = Daemon::start().await;
            let kept = MemoryStore::until(until);
            let route = through(&daemon, tcp());
            let start = StripedUpload::start(
                route.clone(),
                new_object("object"),
                bytes.clone(),
                &options(1000),
                kept.clone(),
            );
            let mut upload = start.expect("good options");
            held = tokio::select! {
                () = kept.held() => true,
                striped = upload.wait() => {
                    striped.expect("nothing fails");
                    false
                }
            };
            if !held {
                break;
            }
            drop(upload);
            let checkpoint = kept.last().expect("a checkpoint");
            if go_on {
                let again = MemoryStore::all();
                let resumed = StripedUpload::resume(
                    route,
                    new_object("object"),
                    bytes.clone(),
                    checkpoint,
                    &options(1),
                    again,
                );
                let striped = soon(resumed.expect("it fits").wait()).await;
                let striped = striped.unwrap_or_else(|error| panic!("{until}: {error}"));
                check(&daemon, "object", &bytes, 5, &striped).await;
            } else {
                let discarded = discard(route, checkpoint).await;
                assert_eq!(discarded.object, Aborted::Cancelled, "{until}");
                assert!(discarded.leftovers.is_empty(), "{until}: {discarded:?}");
                assert_eq!(names(&daemon).await, <[&str; 0]>::default(), "{until}");
            }
            kills += 1;
        }
        if !held {
            break;
        }
    }
    // Before the first part, when one begins or ends, and before the object is composed.
    assert!(kills >= 2 * 7, "{kills}");
}

#[tokio::test]
async fn killed_after_the_object_was_composed_it_is_not_composed_again() {
    for go_on in [true, false] {
        let daemon = daemon_with("stall-always on delete call 0..5").await;
        let bytes = Bytes::from(pattern(5000));
        let kept = MemoryStore::all();
        let route = through(&daemon, tcp());
        let start = StripedUpload::start(
            route.clone(),
            new_object("object"),
            bytes.clone(),
            &options(1000),
            kept.clone(),
        );
        let upload = start.expect("good options");
        let deleting = daemon
            .devgcs
            .wait_for(PATIENCE, |inspect| inspect.count(CallKind::DeleteObject) == 5);
        assert!(deleting.await);
        drop(upload);
        let object = daemon
            .devgcs
            .object(daemon::BUCKET, "object")
            .expect("the object");
        let checkpoint = kept.last().expect("a checkpoint");
        if go_on {
            let resumed = StripedUpload::resume(
                route,
                new_object("object"),
                bytes.clone(),
                checkpoint,
                &options(1),
                (),
            );
            let striped = soon(resumed.expect("it fits").wait()).await.expect("it is there");
            assert_eq!(striped.object.generation, object.generation);
            check(&daemon, "object", &bytes, 5, &striped).await;
        } else {
            let discarded = discard(route, checkpoint).await;
            let generation = object.generation;
            assert_eq!(discarded.object, Aborted::AlreadyFinished { generation });
            clean(&daemon, &["object"]).await;
        }
        assert_eq!(daemon.devgcs.inspect().count(CallKind::ComposeObject), 1);
    }
}

/// Uploads `bytes` in parts of 1000, and gives up while they are being composed: all parts are there, and the object is not.
async fn given_up_while_composing(bytes: &Bytes) -> (Daemon, StripedCheckpoint) {
    let daemon = daemon_with("stall-always on compose call 0").await;
    let store = MemoryStore::all();
    let start = StripedUpload::start(
        through(&daemon, tcp()),
        new_object("object"),
        bytes.clone(),
        &options(1000),
        store.clone(),
    );
    let upload = start.expect("good options");
    let composing = daemon
        .devgcs
        .wait_for(PATIENCE, |inspect| inspect.count(CallKind::ComposeObject) == 1);
    assert!(composing.await);
    drop(upload);
    (daemon, store.last().expect("a checkpoint"))
}

#[tokio::test]
async fn parts_that_are_gone_are_uploaded_again() {
    let bytes = Bytes::from(pattern(5000));
    let (daemon, checkpoint) = given_up_while_composing(&bytes).await;
    let route = through(&daemon, tcp());
    // As a lifecycle rule would.
    let gone = names(&daemon).await[2].clone();
    let part = gcsd_types::ObjectRef::new(
        daemon::BUCKET.parse().expect("a name"),
        gone.parse().expect("a name"),
    );
    route.delete(&part).await.expect("deleted");
    let resumed = StripedUpload::resume(
        route,
        new_object("object"),
        bytes.clone(),
        checkpoint,
        &options(1),
        (),
    );
    let mut resumed = resumed.expect("it fits");
    let striped = soon(resumed.wait()).await.expect("all is there again");
    assert_eq!(resumed.reports().borrow().committed, bytes.len() as u64);
    check(&daemon, "object", &bytes, 5, &striped).await;
    assert_eq!(daemon.devgcs.inspect().count(CallKind::StartUpload), 6);
}

/// A finished part is used only if it is the generation and has the checksum that the checkpoint says: its size alone
/// proves nothing.
#[tokio::test]
async fn a_part_that_is_not_what_it_was_is_uploaded_again() {
    let bytes = Bytes::from(pattern(5000));
    let (daemon, checkpoint) = given_up_while_composing(&bytes).await;
    let route = through(&daemon, tcp());
    let mut json = serde_json::to_value(&checkpoint).expect("JSON");
    let parts = json["parts"].as_array_mut().expect("the parts");
    let names = names(&daemon).await;
    let part = |number: usize| {
        let end = format!("-{number}{PART_SUFFIX}");
        names.iter().find(|name| name.ends_with(&end)).expect("a part")
    };
    // Part 1: another object of the same size, under the same name.
    daemon.connect().await.put(1, part(1), &pattern(1000)).await;
    // Part 2: that object is even of the generation that the checkpoint names.
    daemon.connect().await.put(1, part(2), &pattern(1000)).await;
    let other = daemon.devgcs.object(daemon::BUCKET, part(2)).expect("the part");
    assert_eq!(other.size, 1000);
    parts[2]["done"]["generation"] = other.generation.into();
    // Part 3: the same bytes, and yet another generation, which the object would not be composed of.
    daemon.connect().await.put(1, part(3), &bytes[3000..4000]).await;
    let checkpoint: StripedCheckpoint = serde_json::from_value(json).expect("a checkpoint");
    let resumed = StripedUpload::resume(
        route,
        new_object("object"),
        bytes.clone(),
        checkpoint,
        &options(1),
        (),
    );
    let striped = soon(resumed.expect("it fits").wait()).await;
    let striped = striped.expect("the parts are uploaded again");
    check(&daemon, "object", &bytes, 5, &striped).await;
    // The objects of this test, five parts, and three of them again.
    assert_eq!(daemon.devgcs.inspect().count(CallKind::StartUpload), 3 + 5 + 3);
}

#[tokio::test]
async fn whoever_goes_on_takes_the_parts_from_who_is_still_at_it() {
    let daemon = daemon_with("stall-always-after-all on write call 0..4").await;
    let bytes = Bytes::from(pattern(4 * 600_000));
    let kept = MemoryStore::all();
    let route = through(&daemon, tcp());
    let options = options(600_000);
    let start = StripedUpload::start(
        route.clone(),
        new_object("object"),
        bytes.clone(),
        &options,
        kept.clone(),
    );
    let mut first = start.expect("good options");
    let stalled = daemon
        .devgcs
        .wait_for(PATIENCE, |inspect| inspect.count(CallKind::WriteUpload) == 4);
    assert!(stalled.await);
    let checkpoint = loop {
        let checkpoint = kept.last().expect("a checkpoint");
        // Every part is open.
        let text = serde_json::to_string(&checkpoint).expect("JSON");
        if text.matches("token").count() == 4 {
            break checkpoint;
        }
        tokio::task::yield_now().await;
    };
    let second = StripedUpload::resume(
        route,
        new_object("object"),
        bytes.clone(),
        checkpoint,
        &options,
        (),
    );
    let mut second = second.expect("it fits");
    let error = soon(first.wait()).await.expect_err("taken over");
    assert!(matches!(error.part(), Some(UploadError::TakenOver(_))), "{error}");
    let aborted = soon(first.abort()).await;
    assert!(
        matches!(aborted.object, Aborted::Unknown { error: Some(_) }),
        "{aborted:?}"
    );
    let striped = soon(second.wait()).await.expect("the owner is unharmed");
    check(&daemon, "object", &bytes, 4, &striped).await;
}
