//! DetachUpload: no call to GCS (proto-spec.md, "DetachUpload").

use super::uploads::Bound;
use super::{Answer, Failure, Seat};
use gcsd_wire::Reply;
use gcsd_wire::args::Empty;

pub(super) fn run(seat: &Seat) -> Result<Answer, Failure> {
    seat.check_bound()?;
    seat.bind(Bound::Free);
    Ok(Answer::local(Reply::DetachUpload(Empty)))
}
