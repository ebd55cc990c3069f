//! Ping: is anybody there? (proto-spec.md, "Ping")

use bytes::{Bytes, BytesMut};

use super::args::{ArgsError, WireArgs};

/// Any bytes, which come back as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Args {
    /// The bytes to echo.
    pub echo: Bytes,
}

/// The bytes of the request.
pub type Reply = Args;

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.echo);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        Ok(Self { echo: bytes })
    }
}
