//! Hello: versions, limits, authentication (proto-spec.md, "Hello").

use bytes::Bytes;

use super::args::ArgsError;
use super::field_types::Secret;
use super::table::wire_struct;

/// Feature: every later frame of both directions is [checked](super::check).
pub const CHECKED: u32 = 1;

wire_struct! {
    /// What the client speaks, and its secret where one is required.
    #[derive(Clone, PartialEq, Eq, Default)]
    pub struct HelloArgs: "Hello.args"[32], request, checked by HelloArgs::check {
        /// The lowest version that the client speaks.
        min_version: u8;
        /// The highest; not below `min_version`, else `bad_args`.
        max_version: u8;
        /// How the client shows who it is. 0: by the secret, or not at all; no other way is defined, and others are
        /// `bad_args`.
        auth: u8;
        pad reserved 1;
        /// What the client would like to use. Bit 0 `checked`: all later frames of the connection are checked. The daemon
        /// ignores bits that it does not know.
        features: u32;
        /// Which secret it is, for daemons whose secrets have names.
        name: Option<String>;
        /// The secret, where the daemon requires one: any bytes.
        secret: Bytes as Secret;
        pad reserved2 4;
        pad reserved3 16;
    }
}

wire_struct! {
    /// What the daemon speaks, and its limits.
    #[derive(Clone, PartialEq, Eq)]
    pub struct HelloReply: "Hello.reply"[72], reply {
        /// The version that the connection goes on with.
        version: u8;
        pad reserved 3;
        /// Those of the client's features that the connection goes on with.
        features: u32;
        /// The largest `args_len` of a request, in bytes.
        max_args: u32;
        /// Requests in flight, beyond which the daemon stops reading.
        max_in_flight: u32;
        /// Upload ids that can be bound to open uploads.
        max_uploads: u32;
        /// The end of a range that is not the last is a multiple of this many bytes.
        alignment: u32;
        /// Bytes of a refused request that the daemon skips before it closes instead.
        drain_cap: u64;
        /// How long a connection may be silent with nothing in flight; 0: for ever.
        idle_timeout_ms: u32;
        /// How long the client may send nothing inside a request, or take nothing of a reply.
        client_timeout_ms: u32;
        /// How long GCS may take or send nothing.
        gcs_timeout_ms: u32;
        /// The daemon's name and version, for people.
        server: String;
        pad reserved2 2;
        /// How long the daemon waits for the first request; 0: as for any other.
        handshake_timeout_ms: u32;
        pad reserved3 4;
        pad reserved4 16;
    }
}

impl HelloArgs {
    fn check(&self) -> Result<(), ArgsError> {
        if self.min_version > self.max_version {
            return Err(ArgsError::value("min_version", "is greater than 'max_version'"));
        }
        match self.auth {
            0 => Ok(()),
            _ => Err(ArgsError::value("auth", "is not 0, the only way that is defined")),
        }
    }
}

/// The args of the request.
pub type Args = HelloArgs;
/// The args of the reply.
pub type Reply = HelloReply;
