//! DetachUpload: no call to GCS (proto-spec.md, "DetachUpload").

use super::uploads::Bound;
use super::{Answer, Failure, Turn};
use gcsd_wire::Reply;
use gcsd_wire::args::Empty;

pub(super) fn run(turn: &Turn) -> Result<Answer, Failure> {
    turn.with(|_| ())?;
    turn.bind(Bound::Free);
    Ok(Answer::local(Reply::DetachUpload(Empty)))
}
