//! Cancel: no call to GCS (proto-spec.md, "Cancel"). The connection knows what is in flight on it.

use super::Answer;
use gcsd_wire::Reply;
use gcsd_wire::cancel::{CancelOutcome, Reply as CancelReply};

/// What Cancel is answered, when a request with its target's sequence was in flight and has ended, or was not.
pub fn answer(was_in_flight: bool) -> Answer {
    let outcome = match was_in_flight {
        true => CancelOutcome::Ended,
        false => CancelOutcome::NotInFlight,
    };
    Answer::local(Reply::Cancel(CancelReply { outcome }))
}
