//! Cancel: end a request in flight on the same connection (proto-spec.md, "Cancel").

use super::field_types::choice;
use super::table::wire_struct;

wire_struct! {
    /// Which request to end.
    #[derive(Clone, Copy, PartialEq, Eq, Default)]
    pub struct CancelArgs: "Cancel.args"[16], request {
        /// The sequence of the request to end.
        target: u64;
        pad reserved 8;
    }
}

choice! {
    /// What became of the request.
    pub enum CancelOutcome {
        /// It was in flight, and its last frame stands before this reply.
        Ended = 1 "ended",
        /// No request of this sequence was in flight.
        NotInFlight = 2 "not_in_flight",
    }
}

wire_struct! {
    /// What became of the request.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct CancelReply: "Cancel.reply"[16], reply {
        /// 1 ended: it was in flight, and its last frame stands before this reply. 2 not_in_flight.
        outcome: CancelOutcome;
        pad reserved 4;
        pad reserved2 8;
    }
}

/// The args of the request.
pub type Args = CancelArgs;
/// The args of the reply.
pub type Reply = CancelReply;
