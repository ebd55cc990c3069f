//! How much is held, who waits for whom, and which clock runs.

use tokio::time::Instant;

use super::sim::{Call, Fault, Persisted};
use super::*;
use crate::Seen;
use gcsd_wire::Retry;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_producer_waits_when_there_is_no_room() {
    let sim = Sim::default();
    sim.lock().broken = Some(Fault::Stalled);
    let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    // As much as may be held goes in although nothing goes out.
    within(writer.write_bytes(bytes(4 * K))).await.expect("room");
    let more = tokio::time::timeout(HOUR, writer.write_bytes(bytes(1))).await;
    assert!(more.is_err(), "one byte more than max_held");
    drop(writer);

    let sim = Sim::default();
    let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    for _ in 0..100 {
        within(writer.write_bytes(bytes(K)))
            .await
            .expect("room comes back");
    }
    let object = within(writer.complete()).await.expect("no faults");
    assert_eq!(object.size, 100 * K as u64);
}

#[tokio::test(start_paused = true)]
async fn neither_side_waits_for_the_other_for_ever() {
    // The least room that is allowed, odd pieces, and parts that leave odd rests.
    let tight = WriterOptions {
        min_chunk: 256 << 10,
        max_chunk: 256 << 10,
        max_held: 3 * K,
        retries: retries(),
    };
    for piece in [1000, K - 1, K, K + 1, 2 * K - 1, 5 * K] {
        let all = bytes(9 * K + 11);
        let odd = (1..30)
            .step_by(2)
            .map(|at| (at, Fault::Incomplete(Persisted::Odd)));
        let sim = Sim::with(odd);
        let mut writer = ReliableWriter::start(sim.clone(), &tight).expect("good options");
        let mut rest = all.clone();
        while !rest.is_empty() {
            let next = rest.split_to(piece.min(rest.len()));
            within(writer.write_bytes(next)).await.expect("room");
        }
        let result = within(writer.complete()).await;
        check(&sim, &all, result, &format!("{piece}"));
    }
}

#[tokio::test(start_paused = true)]
async fn requests_grow_while_the_one_before_is_under_way() {
    let sim = Sim::with([(1, Fault::Late(HOUR))]);
    let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    for _ in 0..3 {
        within(writer.write_bytes(bytes(K))).await.expect("room");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    within(writer.complete()).await.expect("no faults");
    let k = K as u64;
    let calls = sim.lock().calls.clone();
    let write = |offset, len, last| Call::Write { offset, len, last };
    assert_eq!(calls, [Call::Start, write(0, k, false), write(k, 2 * k, true)]);
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_spent_on_failures_only() {
    let all = bytes(3 * K);
    // Nothing goes through any more from this call on.
    for at in 0..3 {
        let sim = Sim::with((at..10_000).map(|at| (at, Fault::Unsent(Retry::Same))));
        let start = Instant::now();
        let error = within(upload(&sim, &all, Producer::Pieces(K)))
            .await
            .expect_err("given up");
        match &error {
            UploadError::GivenUp(GivenUp::Exhausted { tries, spent, .. }) => {
                assert!(*tries > 10, "{tries}");
                // To its end: the last wait is cut to what is left.
                assert!(*spent >= Duration::from_secs(600) && *spent < Duration::from_secs(601));
            }
            // The end may have got there, and nobody can look.
            UploadError::Unknown { seen, .. } if at > 0 => assert!(matches!(**seen, Seen::Unseen(_))),
            other => panic!("{other}"),
        }
        // There is a little more time for a last look.
        let bound = Duration::from_secs(601) + retries().abort_budget;
        assert!(start.elapsed() >= Duration::from_secs(600) && start.elapsed() < bound);
        assert!(error.is_resumable());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_may_take_longer_than_the_budget() {
    let all = bytes(K);
    let faults = [
        (1, Fault::Late(HOUR * 5)),
        (2, Fault::Unsent(Retry::Query)),
        (3, Fault::Late(HOUR)),
    ];
    // It fails after it has taken long, too.
    for first in [
        Fault::Late(HOUR * 5),
        Fault::Lost(Retry::Query, Persisted::Nothing),
    ] {
        let mut faults = faults;
        faults[0].1 = first;
        let sim = Sim::with(faults);
        let result = within(upload(&sim, &all, Producer::Source)).await;
        check(&sim, &all, result, &format!("{first:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_clock_stands_while_the_producer_is_slow() {
    let all = bytes(3 * K);
    // The start fails, and so does a write an age later.
    let faults = [
        (0, Fault::Unsent(Retry::Same)),
        (3, Fault::Unsent(Retry::Same)),
        (4, Fault::Unsent(Retry::Query)),
    ];
    let sim = Sim::with(faults);
    let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    for at in 0..3 {
        tokio::time::sleep(HOUR * 100).await;
        within(writer.write_bytes(all.slice(at * K..(at + 1) * K)))
            .await
            .expect("room");
    }
    tokio::time::sleep(HOUR * 100).await;
    let result = tokio::time::timeout(HOUR, writer.complete())
        .await
        .expect("in time");
    check(&sim, &all, result, "slow");
}

#[tokio::test(start_paused = true)]
async fn progress_renews_the_budget() {
    // Each write fails, and each failure lets one chunk through: it takes far longer than one budget.
    let all = bytes(40 * K);
    let slow = RetryPolicy {
        first: Duration::from_secs(100),
        cap: Duration::from_secs(100),
        budget: Duration::from_secs(300),
        ..retries()
    };
    let sim = Sim::with(
        (1..24)
            .step_by(2)
            .map(|at| (at, Fault::Lost(Retry::Query, Persisted::Odd))),
    );
    let start = Instant::now();
    let upload = ReliableUpload::start(sim.clone(), all.clone(), slow);
    let result = within(upload.complete()).await;
    check(&sim, &all, result, "slow progress");
    assert!(
        start.elapsed() > Duration::from_secs(300),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_declared_size_finishes_with_the_end_and_not_before() {
    let all = bytes(4 * K);
    let sim = Sim::default().declared(4 * K as u64);
    let mut writer = ReliableWriter::start(sim.clone(), &options()).expect("good options");
    within(writer.write_bytes(all.clone())).await.expect("room");
    tokio::time::sleep(HOUR).await;
    assert!(
        sim.lock().sessions[0].bytes.len() < all.len(),
        "the last bytes wait for the end"
    );
    let result = within(writer.complete()).await;
    check(&sim, &all, result, "declared");

    for size in [4 * K - 1, 4 * K + 1] {
        let sim = Sim::default().declared(4 * K as u64);
        let error = within(upload(&sim, &bytes(size), Producer::Pieces(K)))
            .await
            .expect_err("another size");
        assert!(matches!(error, UploadError::Size { .. }), "{error}");
        assert_eq!(sim.object(), None);
    }
}
