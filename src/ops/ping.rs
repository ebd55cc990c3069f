//! Ping: no call to GCS (proto-spec.md, "Ping").

use super::Answer;
use crate::wire::Reply;
use crate::wire::ping::Args;

pub(super) fn run(args: Args) -> Answer {
    Answer::local(Reply::Ping(args))
}
