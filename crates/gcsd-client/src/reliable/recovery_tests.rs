//! Each answer and each class of failure, at each step.

use super::*;
use gcsd_types::CHUNK_ALIGNMENT;

const K: u64 = CHUNK_ALIGNMENT;
const SIZES: Sizes = Sizes {
    min: K,
    max: 4 * K,
    last: 4 * K,
};

fn view(from: u64, end: u64, ended: bool) -> View {
    View {
        from,
        end,
        ended,
        declared: None,
    }
}

fn failure(retry: Retry) -> Error {
    Error::of(Kind::Internal, retry, "a test")
}

fn object(size: u64) -> ObjectInfo {
    ObjectInfo {
        generation: 7,
        size,
        crc32c: Some(Crc32c::of(&size.to_le_bytes())),
        ..ObjectInfo::default()
    }
}

/// A fresh upload into which `sent` bytes went, and of which `committed` are there.
fn under_way(sent: u64, committed: u64) -> Recovery {
    let mut recovery = Recovery::new(3);
    recovery.started();
    recovery.sending(sent);
    recovery
        .succeeded(&Progress::of(committed))
        .expect("not ahead of what was sent");
    recovery
}

fn next(recovery: &Recovery, stage: Stage, view: &View) -> Step {
    recovery.next(stage, view, SIZES).expect("a step")
}

#[test]
fn the_first_request_follows_from_what_is_in_hand() {
    let whole = view(0, 2 * K, true);
    let write = Step::Write {
        offset: 0,
        len: 2 * K,
        last: true,
    };
    let mut fresh = Recovery::new(3);
    assert_eq!(next(&fresh, Stage::Nothing, &whole), Step::Start);
    fresh.started();
    assert_eq!(next(&fresh, Stage::Attached, &whole), write);
    assert_eq!(next(&fresh, Stage::Attached, &view(0, 0, true)), Step::Finish);
    assert_eq!(next(&fresh, Stage::Attached, &view(0, K - 1, false)), Step::Wait);

    let mut resumed = Recovery::resumed(0, 3);
    assert!(
        !resumed.is_settled(),
        "what GCS holds is not known before it is asked"
    );
    assert_eq!(next(&resumed, Stage::Detached, &whole), Step::Attach);
    resumed.attached();
    assert_eq!(next(&resumed, Stage::Attached, &whole), Step::Query);
    resumed.succeeded(&Progress::of(0)).expect("nothing wrong");
    assert!(resumed.is_settled());
    assert_eq!(next(&resumed, Stage::Attached, &whole), write);
}

#[test]
fn each_class_of_failure_at_each_step() {
    use Reaction::{Again, Reconnect, Restart};
    // Whether GCS must be asked before anything else is sent.
    const ASK: bool = true;
    const KNOWN: bool = false;
    let table = [
        (Stage::Detached, Retry::Same, Ok((Again, KNOWN))),
        (Stage::Detached, Retry::Query, Ok((Again, ASK))),
        (Stage::Detached, Retry::Restart, Ok((Restart, KNOWN))),
        (Stage::Detached, Retry::Reconnect, Ok((Reconnect, ASK))),
        (Stage::Detached, Retry::Never, Err(())),
        (Stage::Attached, Retry::Same, Ok((Again, KNOWN))),
        (Stage::Attached, Retry::Query, Ok((Again, ASK))),
        (Stage::Attached, Retry::Restart, Ok((Restart, KNOWN))),
        (Stage::Attached, Retry::Reconnect, Ok((Reconnect, ASK))),
        (Stage::Attached, Retry::Never, Err(())),
        (Stage::Nothing, Retry::Same, Ok((Again, KNOWN))),
        (Stage::Nothing, Retry::Query, Ok((Again, KNOWN))),
        (Stage::Nothing, Retry::Restart, Ok((Again, KNOWN))),
        (Stage::Nothing, Retry::Reconnect, Ok((Again, KNOWN))),
        (Stage::Nothing, Retry::Never, Err(())),
    ];
    for (stage, retry, expected) in table {
        let mut recovery = under_way(4 * K, K);
        let found = recovery.failed(stage, &failure(retry), &view(0, 4 * K, true));
        let found = found.map(|reaction| (reaction, !recovery.settled));
        let expected = expected.map_err(|()| UploadError::refused(failure(retry)));
        assert_eq!(found, expected, "{stage:?} {retry:?}");
        let kept = found != Ok((Restart, KNOWN));
        assert_eq!(
            recovery.committed(),
            if kept { K } else { 0 },
            "{stage:?} {retry:?}"
        );
    }
}

#[test]
fn who_is_fenced_leaves_the_upload_to_the_other() {
    let fenced = Error::of(Kind::Fenced, Retry::Never, "x").with_committed(2 * K);
    for stage in [Stage::Detached, Stage::Attached] {
        let found = under_way(4 * K, K).failed(stage, &fenced, &view(0, 4 * K, true));
        assert_eq!(found, Err(UploadError::TakenOver(fenced.clone())), "{stage:?}");
    }
}

#[test]
fn a_partial_commit_at_every_offset_goes_on_from_there() {
    let whole = view(0, 4 * K, true);
    for committed in (0..4 * K).step_by(1021) {
        let write = Step::Write {
            offset: committed,
            len: 4 * K - committed,
            last: true,
        };
        // Told by the failure itself.
        let mut told = under_way(4 * K, 0);
        let partial = Error::of(Kind::Incomplete, Retry::Query, "x").with_committed(committed);
        assert_eq!(
            told.failed(Stage::Attached, &partial, &whole),
            Ok(Reaction::Again)
        );
        assert_eq!(next(&told, Stage::Attached, &whole), write);
        // Found by a query.
        let mut asked = under_way(4 * K, 0);
        let unknown = failure(Retry::Query);
        assert_eq!(
            asked.failed(Stage::Attached, &unknown, &whole),
            Ok(Reaction::Again)
        );
        assert_eq!(next(&asked, Stage::Attached, &whole), Step::Query);
        assert_eq!(asked.succeeded(&Progress::of(committed)), Ok(committed > 0));
        assert_eq!(next(&asked, Stage::Attached, &whole), write);
    }
    // All of it is there, and the object is not.
    let mut all = under_way(4 * K, 0);
    let partial = Error::of(Kind::Incomplete, Retry::Query, "x").with_committed(4 * K);
    assert_eq!(all.failed(Stage::Attached, &partial, &whole), Ok(Reaction::Again));
    assert_eq!(next(&all, Stage::Attached, &whole), Step::Finish);
}

#[test]
fn what_a_failure_says_is_a_lower_bound_and_no_more() {
    let whole = view(0, 4 * K, true);
    for retry in [Retry::Same, Retry::Query, Retry::Reconnect] {
        let mut recovery = under_way(4 * K, 2 * K);
        let older = failure(retry).with_committed(K);
        assert!(
            recovery.failed(Stage::Attached, &older, &whole).is_ok(),
            "{retry:?}"
        );
        assert_eq!(recovery.committed(), 2 * K, "an older report is no regress");
        let newer = failure(retry).with_committed(3 * K);
        assert!(
            recovery.failed(Stage::Attached, &newer, &whole).is_ok(),
            "{retry:?}"
        );
        assert_eq!(recovery.committed(), 3 * K);
    }
    // Without saying how much, even `incomplete` leaves it unknown.
    let mut recovery = under_way(4 * K, K);
    let silent = Error::of(Kind::Incomplete, Retry::Query, "x");
    assert_eq!(
        recovery.failed(Stage::Attached, &silent, &whole),
        Ok(Reaction::Again)
    );
    assert_eq!(next(&recovery, Stage::Attached, &whole), Step::Query);
}

#[test]
fn growth_after_a_query_is_taken_as_it_comes() {
    // 4 chunks were sent and cut; the query saw nothing of them, then they turned up.
    let whole = view(0, 8 * K, false);
    let mut recovery = under_way(4 * K, 0);
    assert_eq!(
        recovery.failed(Stage::Attached, &failure(Retry::Query), &whole),
        Ok(Reaction::Again)
    );
    recovery.succeeded(&Progress::of(0)).expect("a query");
    recovery.sending(K);
    assert_eq!(recovery.succeeded(&Progress::of(4 * K)), Ok(true));
    let step = next(&recovery, Stage::Attached, &whole);
    assert_eq!(
        step,
        Step::Write {
            offset: 4 * K,
            len: 4 * K,
            last: false
        }
    );
}

#[test]
fn a_server_ahead_of_us_and_a_regress_are_the_end() {
    let whole = view(0, 8 * K, true);
    let ahead = UploadError::Ahead {
        committed: 4 * K + 1,
        sent: 4 * K,
    };
    let mut recovery = under_way(4 * K, K);
    assert_eq!(recovery.succeeded(&Progress::of(4 * K + 1)), Err(ahead.clone()));
    let told = failure(Retry::Same).with_committed(4 * K + 1);
    assert_eq!(recovery.failed(Stage::Attached, &told, &whole), Err(ahead));
    let mut recovery = under_way(4 * K, 2 * K);
    let regress = UploadError::Regress {
        before: 2 * K,
        now: K,
    };
    assert_eq!(recovery.succeeded(&Progress::of(K)), Err(regress));
    // Confirmed to the process before us.
    let mut resumed = Recovery::resumed(2 * K, 3);
    resumed.attached();
    let regress = UploadError::Regress {
        before: 2 * K,
        now: 0,
    };
    assert_eq!(resumed.succeeded(&Progress::of(0)), Err(regress));
}

#[test]
fn a_restart_needs_byte_0_and_is_not_tried_for_ever() {
    let held = view(0, 4 * K, true);
    let lost = failure(Retry::Restart);
    let mut recovery = under_way(4 * K, 2 * K);
    let released = 2 * K;
    assert_eq!(
        recovery
            .clone()
            .failed(Stage::Attached, &lost, &view(released, 4 * K, true)),
        Err(UploadError::CannotRestart {
            error: lost.clone(),
            released
        })
    );
    for _ in 0..3 {
        assert_eq!(
            recovery.failed(Stage::Attached, &lost, &held),
            Ok(Reaction::Restart)
        );
        assert_eq!(next(&recovery, Stage::Nothing, &held), Step::Start);
        recovery.started();
        assert_eq!(recovery.committed(), 0);
        let step = next(&recovery, Stage::Attached, &held);
        assert!(matches!(step, Step::Write { offset: 0, .. }));
        assert!(
            recovery.clone().succeeded(&Progress::of(K)).is_err(),
            "nothing was sent into the new upload"
        );
    }
    assert_eq!(
        recovery.failed(Stage::Attached, &lost, &held),
        Err(UploadError::TooManyRestarts {
            error: lost,
            restarts: 3
        })
    );
}

#[test]
fn a_lost_final_reply_is_found_and_verified() {
    let whole = view(0, K, true);
    let mut recovery = under_way(K, 0);
    let unknown = failure(Retry::Reconnect);
    assert_eq!(
        recovery.failed(Stage::Attached, &unknown, &whole),
        Ok(Reaction::Reconnect)
    );
    assert_eq!(next(&recovery, Stage::Detached, &whole), Step::Attach);
    recovery.attached();
    assert_eq!(next(&recovery, Stage::Attached, &whole), Step::Query);
    let finished = Progress {
        object: Some(object(K)),
        ..Progress::of(K)
    };
    assert_eq!(recovery.succeeded(&finished), Ok(true));
    assert_eq!(
        recovery.released(),
        0,
        "an object that does not verify may have to be written again"
    );
    for stage in [Stage::Attached, Stage::Detached] {
        assert_eq!(next(&recovery, stage, &whole), Step::Verify(object(K)));
    }
    let crc32c = object(K).crc32c.expect("given above");
    assert_eq!(recovery.verify(object(K), K, crc32c), Ok(Some(object(K))));
}

#[test]
fn an_object_that_somebody_else_finished_is_not_ours() {
    let finished = Progress {
        object: Some(object(2 * K)),
        ..Progress::of(2 * K)
    };
    let mut recovery = under_way(2 * K, 0);
    recovery.succeeded(&finished).expect("it is there");
    let error = recovery.next(Stage::Attached, &view(0, 4 * K, false), SIZES);
    assert_eq!(
        error,
        Err(UploadError::FinishedElsewhere {
            object: object(2 * K)
        })
    );
    // The process before us may have finished it: the producer decides.
    let mut resumed = Recovery::resumed(0, 3);
    resumed.attached();
    resumed.succeeded(&finished).expect("it is there");
    assert_eq!(
        resumed.released(),
        2 * K,
        "the producer's bytes are only compared"
    );
    assert_eq!(next(&resumed, Stage::Attached, &view(0, K, false)), Step::Wait);
    let all = view(0, 2 * K, true);
    assert_eq!(next(&resumed, Stage::Attached, &all), Step::Verify(object(2 * K)));
}

#[test]
fn a_resumed_producer_catches_up_with_what_is_committed() {
    let mut resumed = Recovery::resumed(0, 3);
    resumed.attached();
    resumed.succeeded(&Progress::of(3 * K)).expect("a query");
    assert_eq!(
        next(&resumed, Stage::Attached, &view(K, 2 * K, false)),
        Step::Wait
    );
    let step = next(&resumed, Stage::Attached, &view(3 * K, 4 * K, false));
    assert_eq!(
        step,
        Step::Write {
            offset: 3 * K,
            len: K,
            last: false
        }
    );
    // It is not the same object.
    let error = resumed.next(Stage::Attached, &view(0, 2 * K, true), SIZES);
    assert_eq!(
        error,
        Err(UploadError::Ahead {
            committed: 3 * K,
            sent: 2 * K
        })
    );
}

#[test]
fn a_declared_size_is_kept() {
    let declared = |end, ended| View {
        declared: Some(2 * K),
        ..view(0, end, ended)
    };
    let fresh = Recovery::new(3);
    for (end, ended, ok) in [
        (0, false, true),
        (2 * K, false, true),
        (2 * K, true, true),
        (2 * K + 1, false, false),
        (2 * K + 1, true, false),
        (2 * K - 1, true, false),
    ] {
        let found = fresh.next(Stage::Nothing, &declared(end, ended), SIZES);
        let wrong = UploadError::Size {
            size: end,
            declared: 2 * K,
        };
        let expected = if ok { Ok(Step::Start) } else { Err(wrong) };
        assert_eq!(found, expected, "{end} {ended}");
    }
}
