//! Striped uploads by way of multipart uploads: no temporary objects, and nothing left either.

use std::sync::Arc;

use bytes::Bytes;
use devgcs::CallKind;
use gcsd_client::striped::Route;
use gcsd_client::{Aborted, StripedError, StripedOptions, StripedOptionsError, StripedUpload, Via};
use gcsd_fault::FaultyConnector;
use gcsd_types::{Crc32c, Destination, Preconditions};
use tokio::time::timeout;

use crate::support::daemon::{self, BUCKET, Daemon, PATIENCE, pattern};
use crate::support::http::{Answer, request};
use crate::support::striped::{MemoryStore, begin, names, options, through};
use crate::support::uploads::{gcs, new_object, retries, tcp};

/// The least that a part may have.
const PART: usize = 5 << 20;

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

async fn daemon_with(faults: &str) -> Daemon {
    Daemon::with(daemon::Options::failing(faults)).await
}

fn multipart() -> StripedOptions {
    options(PART).with_via(Via::Multipart)
}

/// Three parts, the last of them small.
fn source() -> Bytes {
    Bytes::from(pattern(2 * PART + 1000))
}

/// A call of the XML API.
async fn call(daemon: &Daemon, method: &str, target: &str) -> Answer {
    request(daemon.devgcs.address(), method, target, &[], b"").await
}

/// Only these objects are there, and no multipart upload.
async fn clean(daemon: &Daemon, objects: &[&str]) {
    assert_eq!(names(daemon).await, objects);
    let listed = call(daemon, "GET", &format!("/{BUCKET}?uploads")).await;
    assert_eq!(listed.status, 200, "{}", listed.text());
    assert!(!listed.text().contains("<UploadId>"), "{}", listed.text());
}

/// Uploads it, and looks at what is there then. Returns how often it recovered.
async fn upload(daemon: &Daemon, route: impl Route, bytes: &Bytes) -> u64 {
    let object = Destination {
        metadata: Bytes::from_static(br#"{"contentType":"text/plain","metadata":{"a":"b"}}"#),
        ..new_object("object").destination
    };
    let mut upload = begin(route, object.into(), bytes, &multipart());
    let reports = upload.reports();
    let striped = soon(upload.wait())
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(striped.leftovers.is_empty(), "{:?}", striped.leftovers);
    let stored = daemon.devgcs.object(BUCKET, "object").expect("the object");
    assert_eq!(stored.generation, striped.object.generation);
    assert_eq!(striped.object.crc32c, Some(Crc32c::of(bytes)));
    assert_eq!(stored.resource["contentType"], "text/plain");
    assert_eq!(stored.resource["metadata"]["a"], "b");
    assert!(daemon.object("object").await == bytes[..], "other bytes");
    assert_eq!(reports.borrow().committed, bytes.len() as u64);
    clean(daemon, &["object"]).await;
    reports.borrow().recovered()
}

#[tokio::test]
async fn parts_become_an_object_both_ways() {
    let daemon = Daemon::start().await;
    for bytes in [source(), Bytes::from(pattern(PART)), Bytes::new()] {
        assert_eq!(upload(&daemon, through(&daemon, tcp()), &bytes).await, 0);
        assert_eq!(upload(&daemon, gcs(&daemon.devgcs, tcp()), &bytes).await, 0);
    }
    let inspect = daemon.devgcs.inspect();
    assert_eq!(inspect.count(CallKind::UploadPart), 2 * (3 + 1 + 1));
    assert_eq!(inspect.count(CallKind::StartUpload), 0);
}

#[tokio::test]
async fn faults_are_recovered_from() {
    for faults in [
        "return-503 on part call 1; return-503-after-all on part call 2",
        "close-connection-after-all on part call 0; return-429 on part call 3",
        "close-connection-after-all on complete call 0",
        "return-503-after-all on complete call 0..2; return-503 on stat call 1",
        "return-503 on complete call 0..2",
    ] {
        let daemon = daemon_with(faults).await;
        assert!(
            upload(&daemon, through(&daemon, tcp()), &source()).await > 0,
            "{faults}"
        );
        // Once more, with an object there that has the same bytes.
        let daemon = daemon_with(&faults.replace("complete call 0", "complete call 1")).await;
        upload(&daemon, through(&daemon, tcp()), &source()).await;
        upload(&daemon, gcs(&daemon.devgcs, tcp()), &source()).await;
    }
    for seed in 0..4 {
        let daemon = Daemon::start().await;
        let plan =
            format!("seed {seed}; refuse p 0.2; reset in write 0..4MiB p 0.5; close in read 0..700 p 0.3");
        let faulty = FaultyConnector::new(tcp(), plan.parse().expect("a plan"));
        upload(&daemon, through(&daemon, Arc::new(faulty)), &source()).await;
    }
}

#[tokio::test]
async fn a_part_that_gcs_holds_is_not_sent_again() {
    let lost = "close-connection-after-all on part call 0; return-503-after-all on part call 1";
    for direct in [false, true] {
        let daemon = daemon_with(lost).await;
        let recovered = match direct {
            false => upload(&daemon, through(&daemon, tcp()), &source()).await,
            true => upload(&daemon, gcs(&daemon.devgcs, tcp()), &source()).await,
        };
        assert_eq!(recovered, 2);
        let inspect = daemon.devgcs.inspect();
        assert_eq!(inspect.count(CallKind::UploadPart), 3, "each went up once");
        assert_eq!(inspect.count(CallKind::ListParts), 2);
    }
}

#[tokio::test]
async fn who_may_not_list_the_parts_sends_them_again() {
    let daemon = daemon_with("close-connection-after-all on part call 0; return-403 on parts").await;
    upload(&daemon, through(&daemon, tcp()), &source()).await;
    assert_eq!(daemon.devgcs.inspect().count(CallKind::UploadPart), 4);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let daemon = Daemon::start().await;
    let start = |options: &StripedOptions, conditions: Preconditions| {
        let object = Destination {
            preconditions: conditions,
            ..new_object("object").destination
        };
        StripedUpload::start(through(&daemon, tcp()), object.into(), source(), options, ())
            .expect_err("refused")
    };
    let only_if = Preconditions {
        if_generation_match: Some(0),
        ..Preconditions::default()
    };
    assert_eq!(start(&multipart(), only_if), StripedOptionsError::AnyPrecondition);
    let small = multipart().with_part_size(PART as u64 - 1);
    let refused = start(&small, Preconditions::default());
    assert!(
        matches!(refused, StripedOptionsError::Parts { least, .. } if least == PART as u64),
        "{refused}"
    );
}

#[tokio::test]
async fn an_abort_leaves_nothing() {
    for (faults, kind, calls) in [
        ("stall-always on part call 2", CallKind::UploadPart, 3),
        ("return-403 on part call 1", CallKind::UploadPart, 2),
        ("return-503 on complete", CallKind::CompleteMultipart, 2),
    ] {
        let daemon = daemon_with(faults).await;
        let mut options = multipart();
        if kind == CallKind::CompleteMultipart {
            // What nothing but this ends.
            options.retries.abort_budget = std::time::Duration::from_secs(10);
        }
        let upload = begin(through(&daemon, tcp()), new_object("object"), &source(), &options);
        assert!(
            daemon
                .devgcs
                .wait_for(PATIENCE, |inspect| inspect.count(kind) >= calls)
                .await
        );
        let aborted = soon(upload.abort()).await;
        assert!(aborted.leftovers.is_empty(), "{faults}: {aborted:?}");
        assert_eq!(aborted.object, Aborted::Cancelled, "{faults}");
        clean(&daemon, &[]).await;
    }
}

#[tokio::test]
async fn an_upload_that_is_gone_is_an_error() {
    let daemon = daemon_with("stall-for-1s on complete call 0").await;
    let mut upload = begin(
        through(&daemon, tcp()),
        new_object("object"),
        &source(),
        &multipart(),
    );
    let completing = daemon
        .devgcs
        .wait_for(PATIENCE, |inspect| inspect.count(CallKind::CompleteMultipart) > 0);
    assert!(completing.await);
    let listed = call(&daemon, "GET", &format!("/{BUCKET}?uploads")).await.text();
    let (_, id) = listed.split_once("<UploadId>").expect("an upload");
    let (id, _) = id.split_once('<').expect("its name");
    let gone = call(&daemon, "DELETE", &format!("/{BUCKET}/object?uploadId={id}")).await;
    assert_eq!(gone.status, 204);
    let error = soon(upload.wait()).await.expect_err("somebody aborted it");
    assert!(matches!(error, StripedError::Request { .. }), "{error}");
    assert!(soon(upload.abort()).await.leftovers.is_empty());
    clean(&daemon, &[]).await;
}

#[tokio::test]
async fn killed_at_any_checkpoint_it_goes_on_or_is_cleared_up() {
    let bytes = source();
    let mut kills = 0;
    for until in 1..100 {
        let go_on = until % 2 == 0;
        let daemon = Daemon::start().await;
        let kept = MemoryStore::until(until);
        let route = through(&daemon, tcp());
        let start = StripedUpload::start(
            route.clone(),
            new_object("object"),
            bytes.clone(),
            &multipart(),
            kept.clone(),
        );
        let mut upload = start.expect("good options");
        let held = tokio::select! {
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
            let again = StripedUpload::resume(
                route,
                new_object("object"),
                bytes.clone(),
                checkpoint,
                &options(1),
                (),
            );
            let striped = soon(again.expect("it fits").wait()).await;
            let striped = striped.unwrap_or_else(|error| panic!("{until}: {error}"));
            assert_eq!(striped.object.crc32c, Some(Crc32c::of(&bytes)));
            clean(&daemon, &["object"]).await;
        } else {
            let (object, retries) = (new_object("object"), retries());
            let discarded = soon(StripedUpload::discard(route, &object, checkpoint, &retries)).await;
            let discarded = discarded.expect("it fits");
            assert_eq!(discarded.object, Aborted::Cancelled, "{until}");
            assert!(discarded.leftovers.is_empty(), "{until}: {discarded:?}");
            // A multipart upload whose name was not kept yet has no parts.
            assert_eq!(names(&daemon).await, <[&str; 0]>::default());
        }
        kills += 1;
    }
    assert!(kills >= 6, "{kills}");
}
