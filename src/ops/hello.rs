//! Hello: no call to GCS (proto-spec.md, "Hello").

use std::fmt;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{Answer, Caller, Context, Failure};
use gcsd_types::CHUNK_ALIGNMENT;
use gcsd_wire::hello::{Args, CHECKED, Reply as HelloReply};
use gcsd_wire::{Kind, Reply, Retry, VERSION};

/// What a client must know to be served. Never printed, and compared in constant time. It can be replaced.
pub struct Secret(ArcSwap<Vec<u8>>);

impl Secret {
    /// A secret of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(ArcSwap::from_pointee(bytes.into()))
    }

    /// Expects `other` from now on. Whoever has got in stays.
    pub fn replace(&self, other: Self) {
        self.0.store(other.0.into_inner());
    }

    /// Whether these are its bytes.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        verify_slices_are_equal(&self.0.load(), bytes).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

pub(super) fn run(context: &Context, caller: &mut Caller, args: &Args) -> Result<Answer, Failure> {
    if !(args.min_version..=args.max_version).contains(&VERSION) {
        let message = format!(
            "the client speaks versions {} to {}, and only version {VERSION} is spoken here",
            args.min_version, args.max_version
        );
        return Err(bad_version(Retry::Never, message));
    }
    caller.greeted(context, args)?;
    let limits = &context.limits;
    Ok(Answer::local(Reply::Hello(HelloReply {
        version: VERSION,
        features: args.features & CHECKED,
        max_args: limits.max_args,
        max_in_flight: limits.max_in_flight,
        max_uploads: limits.max_uploads,
        alignment: u32::try_from(CHUNK_ALIGNMENT).unwrap_or(u32::MAX),
        drain_cap: limits.drain_cap,
        idle_timeout_ms: millis(limits.idle_timeout),
        client_timeout_ms: millis(limits.client_timeout),
        gcs_timeout_ms: millis(limits.gcs_timeout),
        handshake_timeout_ms: millis(limits.handshake_timeout),
        server: concat!("gcsd/", env!("CARGO_PKG_VERSION")).to_owned(),
    })))
}

/// A version that is not spoken here, with those that are.
pub fn bad_version(retry: Retry, message: impl Into<String>) -> Failure {
    let mut failure = Failure::new(Kind::BadVersion, retry, message);
    failure.reply.versions = Box::new([VERSION]);
    failure
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
