//! Striped uploads over real sockets: the object, and what went wrong on the way to it.

use std::sync::Arc;

use bytes::Bytes;
use devgcs::CallKind;
use gcsd_client::striped::Route;
use gcsd_client::{DaemonRoute, StripedError, StripedOptions, StripedOptionsError, StripedUpload};
use gcsd_fault::FaultyConnector;
use gcsd_net::SharedConnector;
use gcsd_types::{Destination, Preconditions};
use gcsd_wire::Kind;
use tokio::time::timeout;

use crate::support::daemon::{self, BUCKET, Daemon, PATIENCE, pattern};
use crate::support::striped::{begin, check, clean, options, through};
use crate::support::uploads::{daemons, gcs, new_object, tcp};

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

async fn daemon_with(faults: &str) -> Daemon {
    Daemon::with(daemon::Options::failing(faults)).await
}

/// Uploads parts of 1,000 bytes, the last of 7.
async fn upload(daemon: &Daemon, route: impl Route, parts: usize) {
    let bytes = Bytes::from(pattern((parts - 1) * 1000 + 7));
    let mut upload = begin(route, new_object("object"), &bytes, &options(1000));
    let reports = upload.reports();
    let striped = soon(upload.wait())
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    check(daemon, "object", &bytes, parts, &striped).await;
    let report = reports.borrow().clone();
    assert_eq!(report.committed, bytes.len() as u64);
    assert!(report.resource.is_some_and(|resource| !resource.is_empty()));
}

#[tokio::test]
async fn any_number_of_parts_both_ways() {
    let daemon = Daemon::start().await;
    for parts in [1, 2, 31, 32, 33, 70] {
        upload(&daemon, through(&daemon, tcp()), parts).await;
    }
    upload(&daemon, gcs(&daemon.devgcs, tcp()), 33).await;
    let inspect = daemon.devgcs.inspect();
    // In one step up to 32; 33 by way of 2 and 70 by way of 3.
    assert_eq!(inspect.count(CallKind::ComposeObject), 4 + 3 + 4 + 3);
    assert_eq!(
        inspect.count(CallKind::ListObjects),
        7,
        "only the test looks around"
    );
}

#[tokio::test]
async fn an_empty_source_is_an_empty_object() {
    let daemon = Daemon::start().await;
    let bytes = Bytes::new();
    let mut options = options(1);
    options.part_size = None;
    let mut upload = begin(through(&daemon, tcp()), new_object("empty"), &bytes, &options);
    let striped = soon(upload.wait()).await.expect("an object");
    check(&daemon, "empty", &bytes, 1, &striped).await;
}

#[tokio::test]
async fn what_the_object_shall_be_only_the_object_is() {
    let daemon = daemon_with("stall-always on delete").await;
    let object = Destination {
        metadata: Bytes::from_static(
            br#"{"contentType":"text/plain","metadata":{"a":"b"},"storageClass":"NEARLINE"}"#,
        ),
        predefined_acl: Some("private".into()),
        ..new_object("a/object").destination
    };
    let options = options(1000).with_part_prefix("tmp/");
    let _held_up = begin(
        through(&daemon, tcp()),
        object.into(),
        &Bytes::from(pattern(5000)),
        &options,
    );
    let deleting = daemon
        .devgcs
        .wait_for(PATIENCE, |inspect| inspect.count(CallKind::DeleteObject) > 0);
    assert!(deleting.await);
    let resource = daemon
        .devgcs
        .object(BUCKET, "a/object")
        .expect("the object")
        .resource;
    assert_eq!(resource["contentType"], "text/plain");
    assert_eq!(resource["metadata"]["a"], "b");
    assert_eq!(resource["storageClass"], "NEARLINE");
    for session in daemon.devgcs.inspect().sessions {
        assert!(session.object.starts_with("tmp/") && session.object.ends_with(".gcsd-part"));
        let part = daemon
            .devgcs
            .object(BUCKET, &session.object)
            .expect("a part")
            .resource;
        assert_eq!(part["storageClass"], "NEARLINE");
        assert_eq!(part["metadata"], serde_json::Value::Null);
    }
}

#[tokio::test]
async fn options_that_cannot_work_are_refused() {
    let daemon = Daemon::start().await;
    let start = |options: StripedOptions, conditions: Preconditions| {
        let object = Destination {
            preconditions: conditions,
            ..new_object("object").destination
        };
        let source = Bytes::from(pattern(5000));
        StripedUpload::start(through(&daemon, tcp()), object.into(), source, &options, ())
            .expect_err("refused")
    };
    let any = Preconditions::default();
    for connections in [0, 65] {
        let options = options(1000).with_connections(connections);
        assert_eq!(start(options, any), StripedOptionsError::Connections(connections));
    }
    let least = start(options(4), any);
    assert!(
        matches!(
            least,
            StripedOptionsError::Parts {
                parts: 1250,
                least: 5,
                ..
            }
        ),
        "{least}"
    );
    let not = Preconditions {
        if_generation_not_match: Some(1),
        ..any
    };
    assert_eq!(start(options(1000), not), StripedOptionsError::Precondition);
    let prefixed = options(1000).with_part_prefix("a\rb");
    assert!(matches!(start(prefixed, any), StripedOptionsError::Name(_)));
    assert!(daemon.devgcs.inspect().calls.is_empty());
}

#[tokio::test]
async fn preconditions_hold_for_the_object() {
    let daemon = Daemon::start().await;
    let bytes = Bytes::from(pattern(3000));
    let only_if = |generation| Destination {
        preconditions: Preconditions {
            if_generation_match: Some(generation),
            ..Preconditions::default()
        },
        ..new_object("object").destination
    };
    let put = |generation| {
        begin(
            through(&daemon, tcp()),
            only_if(generation).into(),
            &bytes,
            &options(1000),
        )
    };
    let first = soon(put(0).wait()).await.expect("there is none");
    let starts = daemon.devgcs.inspect().count(CallKind::StartUpload);
    for wrong in [0, first.object.generation + 1] {
        let error = soon(put(wrong).wait()).await.expect_err("it is there");
        assert!(
            error
                .request()
                .is_some_and(|error| error.is(Kind::PreconditionFailed)),
            "{error}"
        );
    }
    assert_eq!(
        daemon.devgcs.inspect().count(CallKind::StartUpload),
        starts,
        "nothing is uploaded in vain"
    );
    let second = soon(put(first.object.generation).wait())
        .await
        .expect("it is that one");
    check(&daemon, "object", &bytes, 3, &second).await;
}

/// Somebody else makes the object while the parts are on their way.
#[tokio::test]
async fn another_writer_is_overwritten_only_where_no_precondition_forbids_it() {
    for asked in [Some(0), None] {
        let daemon = daemon_with("stall-for-1s on compose call 0").await;
        let bytes = Bytes::from(pattern(3000));
        let mut object = new_object("object");
        object.destination.preconditions.if_generation_match = asked;
        let mut upload = begin(through(&daemon, tcp()), object, &bytes, &options(1000));
        let composing = daemon
            .devgcs
            .wait_for(PATIENCE, |inspect| inspect.count(CallKind::ComposeObject) > 0);
        assert!(composing.await);
        let theirs = Bytes::from_static(b"theirs");
        let other = crate::support::uploads::via_daemon(&[daemon.address], tcp(), new_object("object"));
        let other =
            gcsd_client::ReliableUpload::start(other, theirs.clone(), crate::support::uploads::retries());
        let other = soon(other.complete()).await.expect("theirs");
        let result = soon(upload.wait()).await;
        match asked {
            Some(_) => {
                let error = result.expect_err("it is there");
                assert!(
                    error
                        .request()
                        .is_some_and(|error| error.is(Kind::PreconditionFailed)),
                    "{error}"
                );
                let aborted = soon(upload.abort()).await;
                assert!(aborted.leftovers.is_empty(), "{aborted:?}");
                assert_eq!(aborted.object, gcsd_client::Aborted::Cancelled);
                assert!(daemon.object("object").await == theirs[..]);
                clean(&daemon, &["object"]).await;
            }
            None => {
                let striped = result.expect("the later one");
                assert!(striped.object.generation > other.generation);
                check(&daemon, "object", &bytes, 3, &striped).await;
            }
        }
    }
}

#[tokio::test]
async fn a_lost_answer_of_a_compose_never_makes_two_objects() {
    for faults in [
        "close-connection-after-all on compose call 0",
        "return-503-after-all on compose call 0..2",
        "return-503-after-all on compose call 0..3; return-503 on stat call 0..2",
        "return-503 on compose call 0..3",
        "return-reset-connection-after-all on compose call 2",
    ] {
        for (parts, there) in [(3, false), (3, true), (33, false)] {
            let daemon = daemon_with(faults).await;
            if there {
                let old = crate::support::uploads::via_daemon(&[daemon.address], tcp(), new_object("object"));
                let old = gcsd_client::ReliableUpload::start(
                    old,
                    Bytes::from_static(b"old"),
                    crate::support::uploads::retries(),
                );
                soon(old.complete()).await.expect("there");
            }
            upload(&daemon, through(&daemon, tcp()), parts).await;
            let made = daemon
                .devgcs
                .object(BUCKET, "object")
                .expect("the object")
                .generation;
            // Each change takes the next generation; had there been two, the first would be gone unseen otherwise.
            assert!(made > 0, "{faults}");
        }
    }
}

#[tokio::test]
async fn faults_at_both_hops_are_recovered_from() {
    let mut recovered = 0;
    for seed in 0..12 {
        let daemon = daemon_with(&format!(
            "seed {seed}; return-503-after-all on compose p 0.2; return-503 on delete p 0.2; return-503-after-all on delete p 0.2; \
             return-429 on any p 0.05; return-reset-connection-after-256K on write p 0.2; return-503-after-all on last p 0.2; \
             lose-session-410 on write p 0.05; return-reset-connection on any p 0.05"
        ))
        .await;
        let plan = format!(
            "seed {seed}; refuse p 0.1; reset in write 0..1MiB p 0.2; close in read 0..2KiB p 0.2; reset after write 0..700 p 0.1"
        );
        let connector: SharedConnector = Arc::new(FaultyConnector::new(tcp(), plan.parse().expect("a plan")));
        let bytes = Bytes::from(pattern(40 * 40_000 - 3));
        let mut upload = begin(
            through(&daemon, connector),
            new_object("object"),
            &bytes,
            &options(40_000),
        );
        let reports = upload.reports();
        let striped = soon(upload.wait())
            .await
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        check(&daemon, "object", &bytes, 40, &striped).await;
        recovered += reports.borrow().recovered();
    }
    assert!(recovered > 100, "{recovered}");
}

#[tokio::test]
async fn connections_are_spread_over_the_daemons() {
    let first = Daemon::start().await;
    let other = |key| {
        let endpoint = Some(first.devgcs.endpoint());
        Daemon::with(daemon::Options {
            endpoint,
            key,
            ..daemon::Options::default()
        })
    };
    let (second, third) = (other('a').await, other('a').await);
    let addresses = [first.address, second.address, third.address];
    let counting = Arc::new(FaultyConnector::new(tcp(), "off".parse().expect("a plan")));
    let route = DaemonRoute::new(daemons(&addresses, counting.clone()));
    let bytes = Bytes::from(pattern(6000));
    let options = options(1000).with_connections(6);
    // One of them is gone for good.
    second.stopped().await;
    let mut upload = begin(route, new_object("object"), &bytes, &options);
    let reports = upload.reports();
    let striped = soon(upload.wait()).await.expect("two are left");
    check(&first, "object", &bytes, 6, &striped).await;
    assert_eq!(
        reports.borrow().recovered(),
        0,
        "the next of the list is asked at once"
    );
    assert_eq!(
        counting.connections(),
        6 + 2 + 1,
        "two of six were refused, one is for the requests beside"
    );
}

#[tokio::test]
async fn a_part_that_is_refused_ends_the_upload() {
    let daemon = daemon_with("return-403 on start call 3").await;
    let bytes = Bytes::from(pattern(20_000));
    let mut upload = begin(
        through(&daemon, tcp()),
        new_object("object"),
        &bytes,
        &options(1000),
    );
    let error = soon(upload.wait()).await.expect_err("it may not");
    assert!(matches!(error, StripedError::Part { parts: 20, .. }), "{error}");
    assert!(error.to_string().starts_with("part "), "{error}");
    let aborted = soon(upload.abort()).await;
    assert_eq!(aborted.object, gcsd_client::Aborted::Cancelled);
    assert!(aborted.leftovers.is_empty(), "{aborted:?}");
    clean(&daemon, &[]).await;
}
