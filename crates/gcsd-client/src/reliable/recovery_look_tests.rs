//! Whether the object may exist although its answer was lost, and what a look at it decides.

use bytes::Bytes;

use super::*;
use crate::{Seen, StoredObject};
use gcsd_types::CHUNK_ALIGNMENT;

const K: u64 = CHUNK_ALIGNMENT;
const SIZES: Sizes = Sizes {
    min: K,
    max: 4 * K,
    last: 4 * K,
};

fn view(end: u64, ended: bool) -> View {
    View {
        from: 0,
        end,
        ended,
        declared: None,
    }
}

fn refusal() -> Error {
    Error::of(Kind::PreconditionFailed, Retry::Never, "a test")
}

fn lost() -> Error {
    Error::of(Kind::SessionLost, Retry::Restart, "a test")
}

fn object() -> ObjectInfo {
    ObjectInfo {
        size: K,
        ..ObjectInfo::default()
    }
}

fn ours() -> Whose {
    Whose::Ours(StoredObject {
        info: object(),
        json: Bytes::new(),
    })
}

/// An upload of K bytes whose end was sent.
fn ended() -> Recovery {
    let mut recovery = Recovery::new(3);
    recovery.started();
    recovery.sending(K);
    recovery.ending();
    recovery
}

/// One that another process started, and of which GCS has been asked.
fn resumed() -> Recovery {
    let mut recovery = Recovery::resumed(0, 3);
    recovery.attached();
    recovery.succeeded(&Progress::of(0)).expect("a query");
    recovery
}

#[test]
fn a_refusal_is_doubted_only_where_the_object_may_be_there() {
    let unsure = || {
        let mut recovery = ended();
        recovery.end_unanswered();
        recovery
    };
    let whole = view(K, true);
    for (case, mut recovery, stage, view, error, looks) in [
        (
            "a first refusal",
            ended(),
            Stage::Attached,
            whole,
            refusal(),
            false,
        ),
        ("of a repeat", unsure(), Stage::Attached, whole, refusal(), true),
        (
            "after another process",
            resumed(),
            Stage::Attached,
            whole,
            refusal(),
            true,
        ),
        ("of a new start", ended(), Stage::Nothing, whole, refusal(), true),
        (
            "before the end is known",
            resumed(),
            Stage::Attached,
            view(K, false),
            refusal(),
            false,
        ),
        (
            "nothing was ended",
            Recovery::new(3),
            Stage::Nothing,
            whole,
            refusal(),
            false,
        ),
        (
            "by the daemon",
            unsure(),
            Stage::Attached,
            whole,
            Error::of(Kind::BadArgs, Retry::Never, "a test"),
            false,
        ),
    ] {
        let expected = match looks {
            true => Ok(Reaction::Look),
            false => Err(UploadError::refused(error.clone())),
        };
        assert_eq!(recovery.failed(stage, &error, &view), expected, "{case}");
        if looks {
            assert_eq!(recovery.next(stage, &view, SIZES), Ok(Step::Look), "{case}");
        }
    }
}

#[test]
fn what_gcs_says_of_the_upload_ends_the_doubt() {
    let whole = view(K, true);
    let unsure = || {
        let mut recovery = ended();
        assert!(!recovery.is_end_unsure());
        recovery.end_unanswered();
        assert!(recovery.is_end_unsure());
        recovery
    };
    let mut asked = unsure();
    asked.succeeded(&Progress::of(K)).expect("a query");
    assert!(!asked.is_end_unsure());
    for (kind, committed, doubted) in [
        (Kind::Incomplete, Some(K), false),
        (Kind::Incomplete, None, true),
        (Kind::Unavailable, Some(K), true),
    ] {
        let mut recovery = unsure();
        let mut error = Error::of(kind, Retry::Query, "a test");
        if let Some(committed) = committed {
            error = error.with_committed(committed);
        }
        let reaction = recovery.failed(Stage::Attached, &error, &whole);
        assert_eq!(reaction, Ok(Reaction::Again));
        assert_eq!(recovery.is_end_unsure(), doubted, "{kind:?} {committed:?}");
        assert_eq!(recovery.is_settled(), !doubted, "{kind:?} {committed:?}");
    }
}

#[test]
fn a_writer_that_attaches_asks_first() {
    let mut recovery = resumed();
    let write = recovery.next(Stage::Attached, &view(K, true), SIZES);
    assert!(matches!(write, Ok(Step::Write { .. })), "{write:?}");
    recovery.attached();
    let step = recovery.next(Stage::Attached, &view(K, true), SIZES);
    assert_eq!(step, Ok(Step::Query));
}

#[test]
fn an_object_that_a_look_found_is_verified_without_an_upload() {
    let whole = view(K, true);
    let mut recovery = ended();
    let reaction = recovery.failed(Stage::Attached, &lost(), &whole);
    assert_eq!(reaction, Ok(Reaction::Look));
    assert_eq!(recovery.looked(ours(), &lost(), &whole), Ok(None));
    let mut given_up = Recovery::new(3);
    given_up.found(object());
    for recovery in [recovery, given_up] {
        for stage in [Stage::Nothing, Stage::Detached, Stage::Attached] {
            let step = recovery.next(stage, &whole, SIZES);
            assert_eq!(step, Ok(Step::Verify(object())), "{stage:?}");
        }
    }
}

#[test]
fn without_an_object_the_failure_counts() {
    let whole = view(K, true);
    let looking = |error: &Error| {
        let mut recovery = ended();
        recovery.end_unanswered();
        let reaction = recovery.failed(Stage::Attached, error, &whole);
        assert_eq!(reaction, Ok(Reaction::Look));
        recovery
    };
    let mut restarts = looking(&lost());
    let reaction = restarts.looked(Whose::NotMade, &lost(), &whole);
    assert_eq!(reaction, Ok(Some(Reaction::Restart)));
    let step = restarts.next(Stage::Nothing, &whole, SIZES);
    assert_eq!(step, Ok(Step::Start), "one look is enough");
    let found = looking(&refusal()).looked(Whose::NotMade, &refusal(), &whole);
    assert_eq!(found, Err(UploadError::refused(refusal())));
    let other = Seen::Object(object());
    let found = looking(&refusal()).looked(Whose::Unknown(other), &refusal(), &whole);
    assert!(matches!(found, Err(UploadError::Unknown { .. })), "{found:?}");
}

#[test]
fn a_look_that_is_owed_waits_for_the_end_and_changes_nothing_but_the_doubt() {
    let (begun, whole) = (view(K, false), view(K, true));
    let mut recovery = resumed();
    let reaction = recovery.failed(Stage::Attached, &lost(), &begun);
    assert_eq!(reaction, Ok(Reaction::Restart));
    assert_eq!(recovery.next(Stage::Nothing, &begun, SIZES), Ok(Step::Start));
    assert_eq!(recovery.next(Stage::Nothing, &whole, SIZES), Ok(Step::Look));
    assert!(recovery.may_have_ended());
    assert_eq!(recovery.looked(Whose::NotMade, &lost(), &whole), Ok(None));
    assert!(!recovery.may_have_ended());
    assert_eq!(recovery.next(Stage::Nothing, &whole, SIZES), Ok(Step::Start));
    // Of an upload of its own whose end was never sent, nobody can have made an object.
    let mut own = Recovery::new(3);
    own.started();
    let reaction = own.failed(Stage::Attached, &lost(), &begun);
    assert_eq!(reaction, Ok(Reaction::Restart));
    assert_eq!(own.next(Stage::Nothing, &whole, SIZES), Ok(Step::Start));
}

#[test]
fn an_object_that_does_not_verify_is_asked_for_once_more_and_never_returned() {
    let crc32c = Crc32c(7);
    let good = ObjectInfo {
        crc32c: Some(crc32c),
        ..object()
    };
    assert_eq!(ended().verify(good, K, crc32c), Ok(Some(good)));
    for (found, size, expected) in [
        (good, K + 1, crc32c),
        (good, K, Crc32c(8)),
        (object(), K, crc32c),
        (object(), K + 1, crc32c),
    ] {
        let mut recovery = ended();
        recovery.found(found);
        assert_eq!(recovery.verify(found, size, expected), Ok(None));
        let step = recovery.next(Stage::Attached, &view(size, true), SIZES);
        assert_eq!(step, Ok(Step::Query));
        let unverified = found.crc32c.is_none() && size == K;
        match recovery.verify(found, size, expected) {
            Err(UploadError::Unverified { object }) => assert!(unverified && object == found),
            Err(UploadError::Mismatch { object, .. }) => assert!(!unverified && object == found),
            other => panic!("{other:?}"),
        }
    }
}
