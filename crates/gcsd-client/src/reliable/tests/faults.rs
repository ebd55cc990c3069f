//! Every fault at every call, and every pair of them.

use super::sim::{Call, Fault, Persisted, align};
use super::*;
use gcsd_wire::Retry;

/// Faults that may strike any call; what makes no sense for one leaves it as it is.
pub(super) const ANYWHERE: [Fault; 16] = [
    Fault::Unsent(Retry::Same),
    Fault::Unsent(Retry::Query),
    Fault::Unsent(Retry::Reconnect),
    Fault::Lost(Retry::Query, Persisted::Nothing),
    Fault::Lost(Retry::Query, Persisted::Middle),
    Fault::Lost(Retry::Query, Persisted::Odd),
    Fault::Lost(Retry::Query, Persisted::All),
    Fault::Lost(Retry::Reconnect, Persisted::Nothing),
    Fault::Lost(Retry::Reconnect, Persisted::Odd),
    Fault::Lost(Retry::Reconnect, Persisted::All),
    Fault::Growing(Persisted::Middle),
    Fault::Growing(Persisted::Nothing),
    Fault::Incomplete(Persisted::Nothing),
    Fault::Incomplete(Persisted::Middle),
    Fault::Incomplete(Persisted::All),
    Fault::WrongReply,
];

/// Faults after which only a new start helps.
pub(super) const RESTARTS: [Fault; 3] = [Fault::Gone, Fault::Damaged, Fault::DamagedUnseen];

/// A fault with which `call` cannot be hit: the scripted server would answer what it should.
pub(super) fn fits(call: Call, fault: Fault) -> bool {
    match (call, fault) {
        // An attach has no other class than these.
        (Call::Start | Call::Attach | Call::Query | Call::Cancel | Call::Look, Fault::Lost(_, part)) => {
            part == Persisted::All
        }
        (Call::Start | Call::Attach | Call::Query | Call::Cancel | Call::Look, fault) => {
            matches!(fault, Fault::Unsent(_))
        }
        (Call::Finish, Fault::Lost(_, part)) => matches!(part, Persisted::Nothing | Persisted::All),
        (Call::Finish, Fault::Growing(_)) => false,
        _ => true,
    }
}

const SIZES: [usize; 8] = [0, 1, K - 1, K, K + 1, 2 * K, 3 * K + 7, 5 * K];

#[tokio::test(start_paused = true)]
async fn without_faults_each_size_takes_the_fewest_calls() {
    for size in SIZES {
        let all = bytes(size);
        for way in [
            Producer::Source,
            Producer::Pieces(100_000),
            Producer::Pieces(10 * K),
            Producer::Copied(70_001),
        ] {
            let sim = Sim::default();
            let result = within(upload(&sim, &all, way)).await;
            check(&sim, &all, result, &format!("{size} {way:?}"));
            let calls = sim.lock().calls.clone();
            assert_eq!(calls[0], Call::Start);
            if size == 0 {
                assert_eq!(calls, [Call::Start, Call::Finish]);
            } else {
                let last = calls.last().expect("some call");
                assert!(
                    matches!(last, Call::Write { last: true, .. }),
                    "{size} {way:?}: {calls:?}"
                );
            }
            if way == Producer::Source {
                let requests = if size > 4 * K { 3 } else { 2 };
                assert_eq!(calls.len(), requests, "{size}: {calls:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_at_every_call_is_recovered_from() {
    for size in SIZES {
        let all = bytes(size);
        for way in [Producer::Source, Producer::Pieces(100_000), Producer::Copied(K)] {
            let clean = Sim::default();
            within(upload(&clean, &all, way)).await.expect("no faults");
            let calls = clean.lock().calls.clone();
            for (at, call) in calls.into_iter().enumerate() {
                for fault in ANYWHERE {
                    if !fits(call, fault) {
                        continue;
                    }
                    let sim = Sim::with([(at, fault)]);
                    let result = within(upload(&sim, &all, way)).await;
                    check(
                        &sim,
                        &all,
                        result,
                        &format!("{size} {way:?} {fault:?} at {at} ({call:?})"),
                    );
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_pair_of_faults_is_recovered_from() {
    // A restart from byte 0 is possible as long as nothing was let go.
    let all = bytes(2 * K + 5);
    for way in [Producer::Source, Producer::Pieces(K)] {
        for first_at in 0..5 {
            for first in ANYWHERE {
                for second_at in first_at + 1..first_at + 4 {
                    for second in ANYWHERE {
                        if (first, second) == (Fault::WrongReply, Fault::WrongReply) {
                            // Told twice, it is believed.
                            continue;
                        }
                        let faults = [(first_at, first), (second_at, second)];
                        let sim = Sim::with(faults);
                        let result = within(upload(&sim, &all, way)).await;
                        check(&sim, &all, result, &format!("{way:?} {faults:?}"));
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_begins_again_by_itself() {
    for size in SIZES {
        let all = bytes(size);
        let clean = Sim::default();
        within(upload(&clean, &all, Producer::Source))
            .await
            .expect("no faults");
        let calls = clean.lock().calls.clone();
        for (at, call) in calls.into_iter().enumerate() {
            for fault in RESTARTS {
                let sim = Sim::with([(at, fault)]);
                let result = within(upload(&sim, &all, Producer::Source)).await;
                check(
                    &sim,
                    &all,
                    result,
                    &format!("{size} {fault:?} at {at} ({call:?})"),
                );
                if matches!(call, Call::Write { .. }) {
                    assert_eq!(sim.lock().sessions.len(), 2);
                    assert_eq!(sim.open_sessions(), 0, "{size} {fault:?} at {at}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_producer_begins_again_only_while_everything_is_held() {
    for fault in RESTARTS {
        // The first write is hit: nothing was let go.
        let all = bytes(3 * K);
        let sim = Sim::with([(1, fault)]);
        let result = within(upload(&sim, &all, Producer::Pieces(K))).await;
        // What is damaged unseen is found at the end, when the start is gone.
        if fault == Fault::DamagedUnseen {
            let error = result.expect_err("the object cannot be made");
            assert!(matches!(error, UploadError::CannotRestart { .. }), "{error}");
        } else {
            check(&sim, &all, result, &format!("{fault:?}"));
        }
        // The second one is hit: the first is gone.
        let sim = Sim::with([(2, fault)]);
        let error = within(upload(&sim, &all, Producer::Pieces(K)))
            .await
            .expect_err("byte 0 is gone");
        match &error {
            UploadError::CannotRestart { released, .. } => assert!(*released > 0),
            other => panic!("{fault:?}: {other}"),
        }
        let text = error.to_string();
        assert!(text.contains("write it again from its first byte"), "{text}");
        assert!(!error.is_resumable());
        assert_eq!(sim.object(), None, "{fault:?}");
    }
}

/// The cancel of an upload that holds damaged bytes fails, too: it is made again once the object is there.
#[tokio::test(start_paused = true)]
async fn an_upload_that_was_given_up_is_cancelled_in_the_end() {
    let all = bytes(3 * K);
    for way in [Producer::Source, Producer::Pieces(K)] {
        let sim = Sim::with([(1, Fault::Damaged), (2, Fault::Unsent(Retry::Same))]);
        let result = within(upload(&sim, &all, way)).await;
        check(&sim, &all, result, &format!("{way:?}"));
        assert_eq!(sim.lock().sessions.len(), 2, "{way:?}");
        assert_eq!(sim.open_sessions(), 0, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_byte_that_was_there_already_does_no_harm() {
    // All of it arrives after the query, and is sent again in vain.
    let all = bytes(K);
    for way in [Producer::Source, Producer::Pieces(K)] {
        let sim = Sim::with([(1, Fault::Growing(Persisted::Nothing)), (3, Fault::Damaged)]);
        let result = within(upload(&sim, &all, way)).await;
        check(&sim, &all, result, &format!("{way:?}"));
        assert_eq!(
            sim.lock().sessions.len(),
            1,
            "{way:?}: a second object over the first"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_at_every_call_is_the_end() {
    let all = bytes(3 * K + 7);
    for way in [Producer::Source, Producer::Pieces(100_000), Producer::Copied(K)] {
        let clean = Sim::default();
        within(upload(&clean, &all, way)).await.expect("no faults");
        let calls = clean.lock().calls.len();
        for at in 0..calls {
            let sim = Sim::with([(at, Fault::Unsent(Retry::Never))]);
            let error = within(upload(&sim, &all, way)).await.expect_err("refused");
            assert!(
                matches!(error, UploadError::GivenUp(GivenUp::Refused(_))),
                "{error}"
            );
            assert_eq!(sim.lock().calls.len(), at + 1);
            assert_eq!(sim.object(), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_ahead_or_taking_back_is_the_end() {
    let all = bytes(5 * K);
    for way in [Producer::Pieces(K), Producer::Source] {
        let sim = Sim::with([(1, Fault::Ahead)]);
        let error = within(upload(&sim, &all, way)).await.expect_err("ahead");
        assert!(matches!(error, UploadError::Ahead { .. }), "{error}");
        assert_eq!(sim.object(), None);
    }
    let faults = [
        (2, Fault::Lost(Retry::Query, Persisted::Nothing)),
        (3, Fault::Regress),
    ];
    let sim = Sim::with(faults);
    let error = within(upload(&sim, &all, Producer::Pieces(K)))
        .await
        .expect_err("a regress");
    assert!(matches!(error, UploadError::Regress { .. }), "{error}");
    assert_eq!(sim.object(), None);
}

#[tokio::test(start_paused = true)]
async fn no_object_is_returned_that_does_not_verify() {
    let all = bytes(K);
    for way in [Producer::Pieces(K), Producer::Source] {
        let sim = Sim::default();
        sim.lock().no_crc32c = true;
        let error = within(upload(&sim, &all, way)).await.expect_err("no checksum");
        assert!(matches!(error, UploadError::Unverified { .. }), "{error}");
        assert!(error.to_string().contains("generation 100"), "{error}");

        // A server that makes an object of damaged bytes, whatever checksum it was given.
        let sim = Sim::with([(1, Fault::DamagedUnseen)]);
        sim.lock().no_check = true;
        let error = within(upload(&sim, &all, way)).await.expect_err("another object");
        assert!(matches!(error, UploadError::Mismatch { .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn partial_commits_at_every_offset() {
    // The odd parts add up to offsets that are multiples of nothing.
    let all = bytes(2 * K + 5);
    let odd = |n: usize| (1..=n).map(|at| (at, Fault::Incomplete(Persisted::Odd)));
    for n in 1..20 {
        for way in [Producer::Pieces(3 * K), Producer::Source] {
            let sim = Sim::with(odd(n));
            let result = within(upload(&sim, &all, way)).await;
            check(&sim, &all, result, &format!("{n} {way:?}"));
        }
    }
    assert_eq!(align(), K);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_sent_from_where_they_lie() {
    let all = bytes(5 * K + 3);
    let within_input = |addresses: &[(usize, usize)]| {
        let (start, end) = (all.as_ptr() as usize, all.as_ptr() as usize + all.len());
        addresses.iter().all(|(at, len)| *at >= start && at + len <= end)
    };
    for way in [
        Producer::Pieces(100_000),
        Producer::Pieces(10 * K),
        Producer::Source,
    ] {
        let sim = Sim::with([
            (2, Fault::Incomplete(Persisted::Odd)),
            (3, Fault::Lost(Retry::Query, Persisted::Odd)),
        ]);
        let result = within(upload(&sim, &all, way)).await;
        check(&sim, &all, result, "pieces");
        assert!(within_input(&sim.lock().addresses), "{way:?}: a byte was copied");
    }
    let sim = Sim::default();
    within(upload(&sim, &all, Producer::Copied(K)))
        .await
        .expect("no faults");
    assert!(
        !within_input(&sim.lock().addresses),
        "the test would not see a copy"
    );
}
