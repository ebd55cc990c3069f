//! The wire: gcsd's protocol as bytes, and nothing else. No I/O, no logging, no state.
//!
//! `proto-spec.md` is the normative text; each file here is one of its sections. [`opcode`] holds the table of opcodes, and
//! each opcode's file declares its structs, once: bytes, Rust types, and what [`layout`] says of them follow. From that
//! follow the [description](describe) and args by the names of their fields ([`dynamic`]).
//!
//! A request is a head of 32 bytes, its args, and a body. The [`codec`] frames the first two and never
//! the third: the socket's owner streams the body. One whose length is not known comes in
//! [pieces](piece).
//!
//! ```
//! use gcsd_wire::{Opcode, Request, WireArgs as _, start_upload};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let args = start_upload::Args::new("backups".parse()?, "greeting.txt".parse()?);
//! let bytes = args.to_bytes();
//! assert_eq!(Request::decode(Opcode::StartUpload, bytes)?, Request::StartUpload(args));
//! # Ok(())
//! # }
//! ```

pub mod abort_multipart;
pub mod args;
pub mod attach_upload;
pub mod cancel;
pub mod cancel_upload;
pub mod check;
#[cfg(feature = "codec")]
pub mod codec;
pub mod complete_multipart;
pub mod compose_objects;
pub mod delete_object;
pub mod describe;
mod destination;
pub mod detach_upload;
pub mod dynamic;
pub mod error;
mod field;
mod field_types;
pub mod finish_upload;
pub mod flags;
pub mod head;
pub mod hello;
pub mod layout;
pub mod limits;
pub mod list_buckets;
pub mod list_objects;
pub mod list_parts;
pub mod move_object;
pub mod multipart;
pub mod object;
pub mod opcode;
pub mod page;
pub mod patch_object;
pub mod piece;
pub mod ping;
pub mod progress;
pub mod put_object;
pub mod query_upload;
pub mod read_at;
pub mod rewrite_object;
pub mod start_multipart;
pub mod start_upload;
pub mod stat_bucket;
pub mod stat_object;
pub mod status;
mod table;
pub mod upload_part;
pub mod write_at;

pub use args::{ArgsError, WireArgs};
#[cfg(feature = "codec")]
pub use codec::{ReplyCodec, ReplyFrame, RequestCodec, RequestFrame};
pub use error::ErrorReply;
pub use head::{HEAD_LEN, HeadError, ReplyHead, RequestHead};
pub use opcode::{Opcode, Reply, Request};
pub use piece::{PIECE_HEAD_LEN, PieceError, PieceHead};
pub use status::{Kind, Layer, Retry, Status};

/// The version of the protocol that this crate speaks.
pub const VERSION: u8 = 1;

/// The largest `args_len` that a peer accepts unless Hello says otherwise.
pub const DEFAULT_MAX_ARGS: u32 = 64 * 1024;

/// The largest `body_len`: 2^63 - 1, so that a signed 64-bit integer holds every length and offset.
pub const MAX_BODY_LEN: u64 = i64::MAX as u64;
