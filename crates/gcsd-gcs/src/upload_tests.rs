//! What an upload permits, and what it learns.

use super::*;
use bytes::Bytes;

const MIB: u64 = 1 << 20;

fn range(offset: u64, len: u64, total: Option<u64>) -> WriteRange {
    WriteRange {
        offset,
        len: Some(len),
        total,
        object_crc32c: None,
    }
}

fn object(size: u64) -> ObjectInfo {
    ObjectInfo {
        size,
        generation: 1,
        ..ObjectInfo::default()
    }
}

fn active(committed: impl Into<Option<u64>>) -> SessionStatus {
    SessionStatus::Active {
        committed: committed.into(),
    }
}

fn finished(size: u64) -> SessionStatus {
    SessionStatus::Finished(whole(size))
}

fn whole(size: u64) -> Object {
    Object {
        info: object(size),
        json: Bytes::new(),
    }
}

#[test]
fn a_range_must_fit_what_gcs_takes() {
    let mut upload = Upload::started();
    assert_eq!(upload.check_write(&range(0, MIB, None)), Ok(()));
    assert_eq!(
        upload.check_write(&range(0, 1, None)),
        Err(Refusal::Alignment { end: 1 })
    );
    assert_eq!(upload.check_write(&range(0, 0, None)), Err(Refusal::Empty));
    assert_eq!(upload.check_write(&range(0, 0, Some(0))), Ok(()));
    assert_eq!(
        upload.check_write(&range(0, 1, Some(2))),
        Err(Refusal::Total { end: 1, total: 2 })
    );
    assert_eq!(
        upload.check_write(&range(MIB, MIB, None)),
        Err(Refusal::Gap {
            offset: MIB,
            committed: 0
        })
    );
    assert_eq!(
        upload.check_write(&range(u64::MAX, 1, None)),
        Err(Refusal::TooLong)
    );
    assert_eq!(
        upload.check_write(&range(1, i64::MAX as u64, None)),
        Err(Refusal::TooLong)
    );
    upload
        .after_write(&range(0, MIB, None), MIB, &active(MIB))
        .expect("all committed");
    assert_eq!(
        upload.check_write(&range(MIB - 7, MIB + 7, None)),
        Ok(()),
        "an overlap is allowed"
    );
    // Aligned at its end, and yet GCS takes none of it.
    assert_eq!(
        upload.check_write(&range(MIB - 7, 7, None)),
        Err(Refusal::Short { len: 7 })
    );
    assert_eq!(upload.check_write(&range(MIB, CHUNK_ALIGNMENT, None)), Ok(()));
    // The largest end that there can be is refused for nothing but the gap before it.
    let gap = |offset| Refusal::Gap {
        offset,
        committed: MIB,
    };
    assert_eq!(
        upload.check_write(&range(MAX_END - 7, 7, Some(MAX_END))),
        Err(gap(MAX_END - 7))
    );
}

#[test]
fn less_than_asked_is_incomplete_and_stays_settled() {
    let mut upload = Upload::started();
    let all = range(0, MIB, None);
    for reported in [None, Some(0)] {
        let answer = upload.after_write(&all, MIB, &active(reported));
        assert_eq!(answer, Err(Anomaly::Incomplete { committed: 0 }));
    }
    let answer = upload.after_write(&all, MIB, &active(MIB / 2));
    assert_eq!(answer, Err(Anomaly::Incomplete { committed: MIB / 2 }));
    assert_eq!(upload.check_write(&range(MIB / 2, MIB / 2, None)), Ok(()));
    let last = range(MIB / 2, MIB / 2, Some(MIB));
    let answer = upload.after_write(&last, MIB, &active(MIB));
    assert_eq!(
        answer,
        Err(Anomaly::Incomplete { committed: MIB }),
        "the last range should have finished it"
    );
    assert_eq!(upload.after_finish(MIB, &finished(MIB)), Ok(()));
    assert!(upload.has_ended());
    assert_eq!(upload.check_finish(), Err(Refusal::Ended));
}

#[test]
fn confirmed_bytes_never_vanish_silently() {
    let mut upload = Upload::started();
    upload
        .after_write(&range(0, MIB, None), MIB, &active(MIB))
        .expect("all committed");
    let answer = upload.after_write(&range(MIB, MIB, None), MIB, &active(None));
    assert_eq!(answer, Err(Anomaly::NoRange { before: MIB }));
    assert_eq!(upload.check_finish(), Err(Refusal::Unsettled));
    // Nor does a query that says nothing end the upload: the next one may say more.
    let answer = upload.after_query(&active(None));
    assert_eq!(answer, Err(Anomaly::NoRange { before: MIB }));
    assert_eq!(upload.committed(), MIB);
    assert_eq!(upload.check_finish(), Err(Refusal::Unsettled));
    assert_eq!(upload.after_query(&active(MIB)), Ok(()));
    let answer = upload.after_query(&active(MIB - 1));
    assert_eq!(
        answer,
        Err(Anomaly::Regress {
            before: MIB,
            now: MIB - 1
        })
    );
    assert_eq!(upload.check_finish(), Err(Refusal::Unsettled));
}

#[test]
fn a_query_settles_and_may_find_growth_or_the_end() {
    let mut upload = Upload::attached();
    assert_eq!(upload.check_write(&range(0, MIB, None)), Err(Refusal::Unsettled));
    assert_eq!(
        upload.after_query(&active(None)),
        Ok(()),
        "nothing was known to be there"
    );
    assert_eq!(upload.check_write(&range(0, MIB, None)), Ok(()));
    assert_eq!(upload.after_query(&active(MIB)), Ok(()));
    assert_eq!(upload.check_write(&range(MIB, MIB, None)), Ok(()));
    upload.unsettle();
    assert_eq!(upload.after_query(&finished(2 * MIB)), Ok(()));
    assert_eq!(upload.object(), Some(object(2 * MIB)));
    upload.unsettle();
    upload
        .after_query(&active(0))
        .expect("no regress of what has ended");
    assert!(upload.has_ended(), "an ended upload stays so");
}

#[test]
fn a_finished_object_of_another_size_is_told() {
    let mut upload = Upload::started();
    let answer = upload.after_finish(5, &finished(4));
    assert_eq!(answer, Err(Anomaly::Size { size: 4, total: 5 }));
}

#[test]
fn a_body_without_a_length_ends_the_object() {
    let rest = |offset, total| WriteRange {
        len: None,
        ..range(offset, 0, total)
    };
    let mut upload = Upload::started();
    assert_eq!(upload.check_write(&rest(0, None)), Ok(()));
    assert_eq!(upload.check_write(&rest(0, Some(7))), Ok(()));
    let gap = Refusal::Gap {
        offset: 1,
        committed: 0,
    };
    assert_eq!(upload.check_write(&rest(1, None)), Err(gap));
    assert_eq!(
        upload.check_write(&rest(2, Some(1))),
        Err(Refusal::Total { end: 2, total: 1 })
    );
    for (offset, total) in [(MAX_END + 1, None), (0, Some(MAX_END + 1))] {
        assert_eq!(upload.check_write(&rest(offset, total)), Err(Refusal::TooLong));
    }
    assert_eq!(upload.check_write(&rest(0, Some(MAX_END))), Ok(()));
    assert_eq!(
        upload.check_write(&rest(0, Some(0))),
        Ok(()),
        "nothing, and the object is empty"
    );
    assert_eq!(
        upload.after_write(&rest(0, None), 7, &active(7)),
        Err(Anomaly::Incomplete { committed: 7 }),
        "the end of the body should have finished the object"
    );
    assert_eq!(
        upload.after_write(&rest(7, None), 3, &finished(9)),
        Err(Anomaly::Size { size: 9, total: 10 })
    );
    let mut upload = Upload::started();
    assert_eq!(upload.after_write(&rest(0, None), 7, &finished(7)), Ok(()));
    assert_eq!(upload.object(), Some(object(7)));
}

#[test]
fn a_cancel_ends_the_upload_whatever_it_finds() {
    let after = |outcome| {
        let mut upload = Upload::started();
        upload.after_cancel(&outcome);
        assert_eq!(upload.check_finish(), Err(Refusal::Ended));
        upload.object()
    };
    assert_eq!(after(CancelOutcome::Cancelled), None);
    assert_eq!(after(CancelOutcome::Unknown), None);
    assert_eq!(after(CancelOutcome::Finished(whole(5))), Some(object(5)));
}

#[test]
fn a_finished_upload_stays_finished() {
    let finished_and = |then: &dyn Fn(&mut Upload)| {
        let mut upload = Upload::started();
        upload.after_finish(5, &finished(5)).expect("as it should be");
        then(&mut upload);
        (upload.object(), upload.committed())
    };
    let kept = (Some(object(5)), 5);
    for kind in [
        ErrorKind::SessionLost,
        ErrorKind::SessionCancelled,
        ErrorKind::ChecksumMismatch,
    ] {
        let error = Error::new(kind, "x").during(Call::Query).sent(true);
        assert_eq!(
            finished_and(&|upload| upload.after_error(&error)),
            kept,
            "{kind:?}"
        );
    }
    for outcome in [CancelOutcome::Cancelled, CancelOutcome::Unknown] {
        assert_eq!(
            finished_and(&|upload| upload.after_cancel(&outcome)),
            kept,
            "{outcome:?}"
        );
    }
}

#[test]
fn a_failed_call_settles_nothing_or_unsettles_or_loses_the_upload() {
    let after = |kind, call, sent| {
        let mut upload = Upload::started();
        upload.after_error(&Error::new(kind, "x").during(call).sent(sent));
        upload.check_finish()
    };
    use ErrorKind as Kind;
    for (kind, call, sent, expected) in [
        (Kind::Reset, Call::Write, false, Ok(())),
        (Kind::Reset, Call::Write, true, Err(Refusal::Unsettled)),
        (Kind::Reset, Call::Finish, true, Err(Refusal::Unsettled)),
        (Kind::Reset, Call::Query, true, Ok(())),
        (Kind::Reset, Call::Cancel, true, Ok(())),
        (Kind::Gap, Call::Write, true, Err(Refusal::Unsettled)),
        (Kind::SourceFailed, Call::Write, true, Err(Refusal::Unsettled)),
        (Kind::SourceDamaged, Call::Write, false, Ok(())),
        (Kind::SourceDamaged, Call::Write, true, Err(Refusal::Ended)),
        (Kind::ChecksumMismatch, Call::Finish, true, Err(Refusal::Ended)),
        (Kind::SessionLost, Call::Query, true, Err(Refusal::Ended)),
        (Kind::SessionCancelled, Call::Write, true, Err(Refusal::Ended)),
        (Kind::CredentialsRefused, Call::Write, false, Ok(())),
    ] {
        assert_eq!(
            after(kind, call, sent),
            expected,
            "{kind:?} of {call:?}, sent: {sent}"
        );
    }
}
