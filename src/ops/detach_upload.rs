//! DetachUpload: no call to GCS (proto-spec.md, "DetachUpload").

use super::uploads::Bound;
use super::{Answer, Failure, Turn};
use gcsd_wire::Reply;
use gcsd_wire::args::Done;

pub(super) fn run(turn: &Turn) -> Result<Answer, Failure> {
    turn.check_bound()?;
    turn.bind(Bound::Free);
    Ok(Answer::local(Reply::DetachUpload(Done)))
}
