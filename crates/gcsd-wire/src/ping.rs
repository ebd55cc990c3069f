//! Ping: is anybody there? (proto-spec.md, "Ping")

use bytes::Bytes;

use super::field_types::Rest;
use super::table::wire_struct;

wire_struct! {
    /// Any bytes, which come back as they are.
    #[derive(Clone, PartialEq, Eq, Default)]
    pub struct PingArgs: "Ping.args"[0], request {
        /// The bytes that come back: all of the args.
        echo: Bytes as Rest;
    }
}

/// The args of the request.
pub type Args = PingArgs;
/// The bytes of the request.
pub type Reply = PingArgs;
