//! Hello: versions, limits, authentication (proto-spec.md, "Hello").

use std::fmt;

use bytes::{Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::args::{ArgsError, Reader, WireArgs, fit, put};

/// What the client speaks, and its secret where one is required.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Args {
    /// The lowest version that the client speaks.
    pub min_version: u8,
    /// The highest version that the client speaks.
    pub max_version: u8,
    /// Features that the client would use; bits that are not known here are ignored.
    pub features: u32,
    /// The secret of `--auth-file`; empty where none is required.
    pub secret: Bytes,
}

// The secret is a credential: it is never printed.
impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Args")
            .field("min_version", &self.min_version)
            .field("max_version", &self.max_version)
            .field("features", &self.features)
            .field("secret", &"[redacted]")
            .finish()
    }
}

/// What the daemon speaks, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The version that the connection goes on with.
    pub version: u8,
    /// Those of the client's features that the daemon has.
    pub features: u32,
    /// The largest `args_len`, in bytes.
    pub max_args: u32,
    /// Requests in flight on a connection, beyond which the daemon stops reading.
    pub max_in_flight: u32,
    /// Uploads that a connection may have open.
    pub max_uploads: u32,
    /// What the end of a range that is not the last must be a multiple of, in bytes.
    pub alignment: u32,
    /// How much of a refused body the daemon reads and throws away before it closes, in bytes.
    pub drain_cap: u64,
    /// How long a connection may be silent with nothing in flight, in milliseconds; 0 for ever.
    pub idle_timeout_ms: u32,
    /// How long a client may send nothing inside a body, in milliseconds.
    pub client_timeout_ms: u32,
    /// How long GCS may take or send nothing, in milliseconds.
    pub gcs_timeout_ms: u32,
    /// The daemon's name and version.
    pub server: String,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawArgs {
    min_version: u8,
    max_version: u8,
    secret_len: U16,
    features: U32,
}
const _: () = assert!(size_of::<RawArgs>() == 8);

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct RawReply {
    version: u8,
    reserved: [u8; 3],
    features: U32,
    max_args: U32,
    max_in_flight: U32,
    max_uploads: U32,
    alignment: U32,
    drain_cap: U64,
    idle_timeout_ms: U32,
    client_timeout_ms: U32,
    gcs_timeout_ms: U32,
    server_len: U16,
    reserved2: U16,
}
const _: () = assert!(size_of::<RawReply>() == 48);

impl WireArgs for Args {
    fn encode(&self, out: &mut BytesMut) {
        let len = u16::try_from(self.secret.len()).unwrap_or(u16::MAX);
        let raw = RawArgs {
            min_version: self.min_version,
            max_version: self.max_version,
            secret_len: len.into(),
            features: self.features.into(),
        };
        put(out, &raw);
        out.extend_from_slice(&self.secret[..usize::from(len)]);
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawArgs = reader.fixed()?;
        if raw.min_version > raw.max_version {
            return Err(ArgsError::Value {
                field: "min_version",
                why: "is greater than 'max_version'",
            });
        }
        let secret = reader.bytes(raw.secret_len.get().into())?;
        reader.end(Self {
            min_version: raw.min_version,
            max_version: raw.max_version,
            features: raw.features.get(),
            secret,
        })
    }
}

impl WireArgs for Reply {
    fn encode(&self, out: &mut BytesMut) {
        let (server, server_len) = fit(&self.server);
        put(
            out,
            &RawReply {
                version: self.version,
                reserved: [0; 3],
                features: self.features.into(),
                max_args: self.max_args.into(),
                max_in_flight: self.max_in_flight.into(),
                max_uploads: self.max_uploads.into(),
                alignment: self.alignment.into(),
                drain_cap: self.drain_cap.into(),
                idle_timeout_ms: self.idle_timeout_ms.into(),
                client_timeout_ms: self.client_timeout_ms.into(),
                gcs_timeout_ms: self.gcs_timeout_ms.into(),
                server_len: server_len.into(),
                reserved2: U16::ZERO,
            },
        );
        out.extend_from_slice(server.as_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, ArgsError> {
        let mut reader = Reader::new(bytes);
        let raw: RawReply = reader.fixed()?;
        let server = reader.text(raw.server_len.get().into(), "server")?;
        reader.end(Self {
            version: raw.version,
            features: raw.features.get(),
            max_args: raw.max_args.get(),
            max_in_flight: raw.max_in_flight.get(),
            max_uploads: raw.max_uploads.get(),
            alignment: raw.alignment.get(),
            drain_cap: raw.drain_cap.get(),
            idle_timeout_ms: raw.idle_timeout_ms.get(),
            client_timeout_ms: raw.client_timeout_ms.get(),
            gcs_timeout_ms: raw.gcs_timeout_ms.get(),
            server,
        })
    }
}
