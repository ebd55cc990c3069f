//! Requests on objects that are made again.

use devgcs::CallKind;
use gcsd_client::{Deleted, GivenUp, ReliableRequests, Report};
use gcsd_types::ObjectRef;
use gcsd_wire::Kind;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::daemon::{self, BUCKET, Daemon, PATIENCE, object_ref};
use crate::support::uploads::{daemons, retries, tcp};

async fn daemon_with(faults: &str) -> Daemon {
    Daemon::with(daemon::Options::failing(faults)).await
}

/// Deletes an object reliably. Returns how many failures that took, too.
async fn delete(daemon: &Daemon, of: ObjectRef) -> (Result<Deleted, GivenUp>, u64) {
    let reports = watch::Sender::<Report>::default();
    let requests = ReliableRequests::new(daemons(&[daemon.address], tcp()), retries());
    let requests = requests.reporting(reports.clone());
    let deleted = timeout(PATIENCE, requests.delete(&of)).await.expect("in time");
    let recovered = reports.borrow().recovered();
    (deleted, recovered)
}

#[tokio::test]
async fn a_delete_whose_success_was_not_told_is_done() {
    for pinned in [true, false] {
        for fault in [
            // Safe to repeat, and carried out: the class alone does not say so.
            "return-503-after-all on delete call 0",
            "close-connection-after-all on delete call 0",
            "return-503 on delete call 0",
        ] {
            let daemon = daemon_with(fault).await;
            daemon.connect().await.put(1, "object", b"hello").await;
            let mut of = object_ref("object");
            let stored = daemon.devgcs.object(BUCKET, "object").expect("it is there");
            of.generation = pinned.then_some(stored.generation);
            let (deleted, recovered) = delete(&daemon, of).await;
            let there = daemon.has_object("object");
            if pinned {
                let known = match fault.contains("after-all") {
                    true => Deleted::Gone,
                    false => Deleted::Done,
                };
                assert_eq!((deleted, recovered), (Ok(known), 1), "{fault}");
                assert!(!there, "{fault}");
            } else if fault.contains("after-all") {
                assert_eq!((deleted, recovered), (Ok(Deleted::Gone), 0), "{fault}: looked at");
                assert!(!there, "{fault}");
            } else {
                // It can be another object by now, and is not deleted for it.
                assert!(deleted.expect_err("nothing tells").is_unknown());
                assert!(there, "{fault}");
            }
            let deletions = daemon.devgcs.inspect().count(CallKind::DeleteObject);
            assert_eq!(deletions, if pinned { 2 } else { 1 }, "{fault}");
        }
    }
}

#[tokio::test]
async fn a_delete_that_was_never_carried_out_tells_that_there_is_no_object() {
    let daemon = daemon_with("return-429 on delete call 0").await;
    let (deleted, recovered) = delete(&daemon, object_ref("missing")).await;
    let error = deleted.expect_err("there is no such object");
    assert!(error.error().is(Kind::NotFound), "{error}");
    assert_eq!(recovered, 1);
}
