//! The answer to the object's end was lost, and the upload with it: what is there decides.

use super::sim::{Call, Fault, Persisted};
use super::*;
use crate::Seen;
use gcsd_wire::{Kind, Retry};
use tokio::time::Instant;

const ALL: Fault = Fault::Lost(Retry::Query, Persisted::All);
const NOTHING: Fault = Fault::Lost(Retry::Query, Persisted::Nothing);

/// The end of `all` is hit by `last`, and the upload is gone at the query after it.
fn gone_after(last: Fault) -> Sim {
    Sim::with([(1, last), (2, Fault::Gone)])
}

fn starts(sim: &Sim) -> usize {
    let calls = &sim.lock().calls;
    calls.iter().filter(|call| **call == Call::Start).count()
}

fn looks(sim: &Sim) -> usize {
    let calls = &sim.lock().calls;
    calls.iter().filter(|call| **call == Call::Look).count()
}

fn other(all: &Bytes, crc32c: Crc32c) -> ObjectInfo {
    ObjectInfo {
        generation: 900,
        size: all.len() as u64,
        crc32c: Some(crc32c),
        ..ObjectInfo::default()
    }
}

const WAYS: [Producer; 3] = [Producer::Source, Producer::Pieces(100_000), Producer::Copied(K)];

#[tokio::test(start_paused = true)]
async fn its_own_object_is_found() {
    for all in [bytes(0), bytes(K + 7)] {
        for way in WAYS {
            let sim = gone_after(ALL);
            let result = within(upload(&sim, &all, way)).await;
            check(&sim, &all, result, &format!("{way:?}"));
            assert_eq!((starts(&sim), looks(&sim)), (1, 1), "{way:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_none_it_begins_again() {
    let all = bytes(K + 7);
    for way in WAYS {
        let sim = gone_after(NOTHING);
        let result = within(upload(&sim, &all, way)).await;
        check(&sim, &all, result, &format!("{way:?}"));
        assert_eq!((starts(&sim), looks(&sim)), (2, 1), "{way:?}");
        // That of the object that is to be replaced is none, either.
        let sim = gone_after(NOTHING);
        sim.lock().replaces = Some(900);
        sim.lock().elsewhere = Some(Some(other(&all, Crc32c::of(&all))));
        within(upload(&sim, &all, way)).await.expect("made");
        assert_eq!(starts(&sim), 2, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_object_leaves_it_unknown_and_is_not_replaced() {
    let all = bytes(K + 7);
    for way in WAYS {
        for last in [ALL, NOTHING] {
            let sim = gone_after(last);
            let other = other(&all, Crc32c(1));
            sim.lock().elsewhere = Some(Some(other));
            let error = within(upload(&sim, &all, way)).await.expect_err("nothing tells");
            let UploadError::Unknown { error: lost, seen } = &error else {
                panic!("{error:?}");
            };
            assert_eq!(**seen, Seen::Object(other));
            assert!(lost.is(Kind::SessionLost), "{lost}");
            assert!(!error.is_resumable());
            assert_eq!(starts(&sim), 1, "{way:?}: nothing is repeated");
            // With the same bytes it is as good as its own.
            let sim = gone_after(last);
            let same = ObjectInfo {
                crc32c: Some(Crc32c::of(&all)),
                ..other
            };
            sim.lock().elsewhere = Some(Some(same));
            assert_eq!(within(upload(&sim, &all, way)).await, Ok(same));
            assert_eq!(starts(&sim), 1, "{way:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_at_is_unknown() {
    let all = bytes(K);
    let sim = Sim::with([(1, ALL), (2, Fault::Gone), (3, Fault::Unsent(Retry::Never))]);
    let error = within(upload(&sim, &all, Producer::Source)).await;
    let error = error.expect_err("nothing tells");
    let UploadError::Unknown { seen, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**seen, Seen::Unseen(_)), "{seen}");
    // What fails for a while is tried again.
    let sim = Sim::with([(1, ALL), (2, Fault::Gone), (3, Fault::Unsent(Retry::Reconnect))]);
    let result = within(upload(&sim, &all, Producer::Source)).await;
    check(&sim, &all, result, "later");
    assert_eq!(looks(&sim), 2);
}

#[tokio::test(start_paused = true)]
async fn an_abort_says_what_it_has_seen_of_an_object_whose_end_was_sent() {
    let all = bytes(K);
    let objects = [
        (None, Aborted::Cancelled),
        (
            Some(other(&all, Crc32c::of(&all))),
            Aborted::AlreadyFinished { generation: 900 },
        ),
        (Some(other(&all, Crc32c(1))), Aborted::Unknown { error: None }),
    ];
    for (there, expected) in objects {
        let sim = Sim::with([(1, Fault::Stalled)]);
        sim.lock().elsewhere = Some(there);
        let mut upload = ReliableUpload::start(sim.clone(), all.clone(), retries());
        let waited = tokio::time::timeout(Duration::from_secs(9), upload.wait()).await;
        assert!(waited.is_err(), "the last request hangs");
        assert_eq!(within(upload.abort()).await, expected);
        assert_eq!(sim.open_sessions(), 0);
        assert_eq!(looks(&sim), 1);
    }
    // Nobody knows how an upload of another process ends.
    let sim = Sim::with([(1, Fault::Stalled)]);
    let mut upload = ReliableUpload::start(sim.clone(), all.clone(), retries());
    let token = within(upload.token()).await.expect("started");
    drop(upload);
    sim.lock().elsewhere = Some(Some(other(&all, Crc32c::of(&all))));
    let discarded = within(ReliableUpload::discard(sim.clone(), token, retries())).await;
    assert_eq!(discarded, Aborted::Unknown { error: None });
}

/// How an upload ends, and how long that took, its abort included.
async fn end(sim: &Sim, all: &Bytes) -> (UploadError, Duration) {
    let began = Instant::now();
    let mut upload = ReliableUpload::start(sim.clone(), all.clone(), retries());
    let error = within(upload.wait()).await.expect_err("nothing helps");
    within(upload.abort()).await;
    (error, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn looks_and_clearing_up_have_one_time_together() {
    let all = bytes(K);
    let retries = retries();
    let second = Duration::from_secs(1);
    // What fails at once, again and again, and what is never answered.
    let failing = [
        Fault::Unsent(Retry::Same),
        Fault::Unsent(Retry::Reconnect),
        Fault::Stalled,
    ];
    for fault in failing {
        // The end is lost, and nothing that comes behind the budget is answered.
        let lasting = (2..5_000).map(|at| (at, Fault::Unsent(Retry::Same)));
        let sim = Sim::with(lasting.chain([(1, ALL)]));
        sim.lock().behind = Some(fault);
        let (error, took) = end(&sim, &all).await;
        let UploadError::Unknown { seen, .. } = &error else {
            panic!("{fault:?}: {error:?}");
        };
        assert!(matches!(**seen, Seen::Unseen(_)), "{fault:?}");
        let most = retries.budget + retries.abort_budget + second;
        assert!(took <= most, "{fault:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_takes_of_the_budget() {
    let all = bytes(K);
    let retries = retries();
    // Some failures behind the lost end the upload is gone, and nobody can look.
    let failing = (2..5_000).map(|at| (at, Fault::Unsent(Retry::Same)));
    let sim = Sim::with(failing.chain([(1, ALL), (12, Fault::Gone)]));
    let began = Instant::now();
    let error = within(upload(&sim, &all, Producer::Source)).await;
    assert!(matches!(error, Err(UploadError::Unknown { .. })), "{error:?}");
    let took = began.elapsed();
    let bounds = retries.budget..retries.budget + Duration::from_secs(1);
    assert!(bounds.contains(&took), "{took:?}");
    assert!(looks(&sim) > 5);
    // So does one that shows, after a while, that it has to begin again.
    let failing = (2..12)
        .chain(13..5_000)
        .map(|at| (at, Fault::Unsent(Retry::Same)));
    let sim = Sim::with(failing.chain([(1, Fault::Gone)]));
    let began = Instant::now();
    let error = within(upload(&sim, &all, Producer::Source)).await;
    assert!(error.is_err(), "{error:?}");
    // The lost end can still come late: there is a last look.
    assert!(looks(&sim) > 11);
    let took = began.elapsed();
    let bounds = retries.budget..retries.budget + retries.abort_budget + Duration::from_secs(1);
    assert!(bounds.contains(&took), "{took:?}");
}
