//! Ping: no call to GCS (proto-spec.md, "Ping").

use super::Answer;
use gcsd_wire::Reply;
use gcsd_wire::ping::Args;

pub(super) fn run(args: Args) -> Answer {
    Answer::local(Reply::Ping(args))
}
