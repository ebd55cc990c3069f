//! The arithmetic of a session, without a server around it.

use bytes::Bytes;
use http::StatusCode;

use super::progress::{Batch, End, Intake, Plan, Progress};
use super::range::ContentRange;
use crate::error::Error;
use crate::metadata::Expected;

const Q: u64 = 256 * 1024;

fn session(persisted: u64, declared: Option<u64>) -> Progress {
    Progress::new(persisted, declared, Expected::default())
}

fn range(text: &str) -> ContentRange {
    ContentRange::parse(text).expect("well-formed")
}

fn receive(plan: Result<Plan, Error>) -> Intake {
    match plan {
        Ok(Plan::Receive(intake)) => intake,
        other => panic!("not received: {other:?}"),
    }
}

fn status(plan: Result<Plan, Error>) -> StatusCode {
    plan.expect_err("refused").status()
}

/// Bytes that show their offset.
fn bytes(first: u64, len: u64) -> Bytes {
    (first..first + len).map(|at| (at % 251) as u8).collect()
}

fn joined(batch: Batch, offset: u64) -> Option<Vec<u8>> {
    Some(batch.from(offset)?.concat())
}

#[test]
fn a_gap_is_503_and_an_overlap_is_not() {
    assert_eq!(
        status(session(Q, None).plan(range("bytes 524288-786431/*"), None)),
        503
    );
    receive(session(Q, None).plan(range("bytes 262144-524287/*"), Some(Q)));
    receive(session(Q, None).plan(range("bytes 0-524287/*"), Some(2 * Q)));
    receive(session(Q, None).plan(range("bytes 100-524287/*"), Some(2 * Q - 100)));
}

#[test]
fn only_the_last_may_be_short() {
    assert_eq!(
        status(session(0, None).plan(range("bytes 0-99/*"), Some(100))),
        400
    );
    assert_eq!(
        status(session(0, None).plan(range("bytes 0-99/1000"), Some(100))),
        400
    );
    receive(session(0, None).plan(range("bytes 0-99/100"), Some(100)));
    receive(session(0, Some(100)).plan(range("bytes 0-99/*"), Some(100)));
    receive(session(0, None).plan(range("bytes 0-*/*"), Some(100)));
}

#[test]
fn a_length_that_is_not_the_ranges_is_refused() {
    assert_eq!(
        status(session(0, None).plan(range("bytes 0-262143/*"), Some(Q - 1))),
        400
    );
    assert_eq!(status(session(0, None).plan(range("bytes */*"), Some(1))), 400);
    assert_eq!(status(session(0, None).plan(range("bytes */7"), Some(7))), 400);
}

#[test]
fn totals_do_not_change_and_are_not_passed() {
    let mut progress = session(0, None);
    receive(progress.plan(range("bytes 0-262143/524288"), Some(Q)));
    assert_eq!(progress.declared, Some(2 * Q));
    assert_eq!(
        status(progress.plan(range("bytes 0-262143/524289"), Some(Q))),
        400
    );
    assert_eq!(status(progress.plan(range("bytes 0-786431/*"), Some(3 * Q))), 400);
    assert_eq!(
        status(session(0, None).plan(range("bytes 0-99/50"), Some(100))),
        400
    );
    assert_eq!(
        status(session(0, None).plan(range("bytes 0-99/9999999999999999"), Some(100))),
        400
    );
    let mut chunked = receive(session(0, Some(10)).plan(range("bytes 0-*/*"), None));
    assert!(chunked.push(bytes(0, 11)).is_err());
}

#[test]
fn a_wrong_total_reports_and_a_right_one_finishes() {
    for total in [Q - 1, Q + 1, 0] {
        let plan = session(Q, None).plan(ContentRange::Finish { total }, Some(0));
        assert!(matches!(plan, Ok(Plan::Report)), "{total}");
    }
    let plan = session(Q, None).plan(ContentRange::Finish { total: Q }, Some(0));
    assert!(matches!(plan, Ok(Plan::Finish { total: Q })));
    let plan = session(0, None).plan(ContentRange::Finish { total: 0 }, Some(0));
    assert!(matches!(plan, Ok(Plan::Finish { total: 0 })));
    let plan = session(Q, None).plan(range("bytes 0-99/100"), Some(100));
    assert!(matches!(plan, Ok(Plan::Report)), "fewer than what is persisted");
}

#[test]
fn whole_multiples_come_out_whatever_the_pieces() {
    for piece in [1, 999, Q - 1, Q, Q + 1, 3 * Q] {
        let mut intake = receive(session(0, None).plan(range("bytes 0-*/*"), None));
        let total = 2 * Q + 77;
        let (mut at, mut out) = (0, Vec::new());
        while at < total {
            let len = piece.min(total - at);
            // Many single bytes are slow, and prove nothing more after a while.
            let len = if piece == 1 && at > 300 { total - at } else { len };
            intake.push(bytes(at, len)).expect("within bounds");
            at += len;
            if let Some(batch) = intake.take_whole() {
                let whole = joined(batch, out.len() as u64).expect("in order");
                assert_eq!(whole.len() as u64 % Q, 0);
                out.extend(whole);
            }
        }
        assert_eq!(out.len() as u64, 2 * Q, "pieces of {piece}");
        match intake.end().expect("whole") {
            End::Finish { total: size, tail } => {
                assert_eq!(size, total);
                out.extend(joined(tail, 2 * Q).expect("in order"));
            }
            End::Report => panic!("the end of the body is the end of the object"),
        }
        assert_eq!(out, bytes(0, total));
    }
}

#[test]
fn bytes_that_are_persisted_are_skipped() {
    let mut intake = receive(session(Q, None).plan(range("bytes 100-*/*"), None));
    intake.push(bytes(100, 2 * Q)).expect("within bounds");
    let batch = intake.take_whole().expect("one multiple");
    assert_eq!(joined(batch, Q).expect("in order"), bytes(Q, Q));
    assert!(intake.take_whole().is_none());
}

#[test]
fn a_batch_that_another_request_persisted_first_is_cut() {
    let mut intake = receive(session(0, None).plan(range("bytes 0-*/*"), None));
    intake.push(bytes(0, 3 * Q)).expect("within bounds");
    let batch = intake.take_whole().expect("three multiples");
    assert_eq!(joined(batch, 2 * Q).expect("in order"), bytes(2 * Q, Q));
    assert_eq!(joined(Batch::empty(Q), 5 * Q), Some(Vec::new()));
    assert_eq!(
        joined(Batch::empty(2 * Q), Q),
        None,
        "a batch beyond the end has no place"
    );
}

#[test]
fn a_chunked_body_that_ends_before_its_range_is_refused() {
    let mut intake = receive(session(0, None).plan(range("bytes 0-524287/524288"), None));
    intake.push(bytes(0, Q)).expect("within bounds");
    assert!(intake.take_whole().is_some(), "what is whole counts");
    assert_eq!(intake.end().expect_err("short").status(), 400);
}

#[test]
fn an_unaligned_part_that_is_not_the_last_finishes_nothing() {
    let mut intake = receive(session(0, None).plan(range("bytes 0-262244/*"), Some(Q + 101)));
    intake.push(bytes(0, Q + 101)).expect("within bounds");
    assert!(intake.take_whole().is_some());
    assert!(matches!(intake.end(), Ok(End::Report)));
    let mut rest = receive(session(0, None).plan(range("bytes 0-*/1000000"), Some(Q)));
    rest.push(bytes(0, Q)).expect("within bounds");
    assert!(
        matches!(rest.end(), Ok(End::Report)),
        "the total says that more is to come"
    );
}
