//! One object over several connections: parts side by side, then composed.
//!
//! ```text
//!               part 1 --> ReliableUpload --> temporary object -+
//!   a source -- part 2 --> ReliableUpload --> temporary object -+-- compose --> the object, verified
//!               part 3 --> ReliableUpload --> temporary object -+        |
//!                                                    |                   v
//!                                                    +-----------> deleted
//! ```
//!
//! Each part is a [`ReliableUpload`](super::ReliableUpload) of a range of the source, on a connection of its own, to one
//! daemon or to several in turn: it recovers by itself. More than 32 parts are composed by way of further temporary
//! objects.
//!
//! By way of a multipart upload of the XML API ([`Via::Multipart`]) there are no temporary objects: each part goes in one
//! request, again as a reliable upload, and GCS makes the object of them in the end. Such an upload knows no preconditions.
//!
//! # What is verified
//!
//! Each part is compared with the bytes that were read, as every upload is. The checksum of the whole is that of the parts,
//! combined; the object is composed of exactly the generations that were verified, and is compared with size and checksum
//! when it is there. One that differs is deleted, that generation and no other. Nothing is composed before all parts are
//! verified, and the source is the same as before.
//!
//! # What is left behind
//!
//! Nothing, however it ends: temporary objects are deleted when the object is there and when the upload is
//! [aborted](StripedUpload::abort). Where the process is killed, the last [`StripedCheckpoint`] that it [saved](CheckpointStore) lets
//! another one [go on](StripedUpload::resume), which clears up in the end, or [clear up](StripedUpload::discard) at once.
//!
//! Composing is what can happen unseen: an answer can be lost. The generation that the object replaces is therefore always a
//! precondition, and is in the checkpoint before the request leaves.

mod assemble;
mod checkpoint;
mod cleanup;
mod complete;
mod compose;
mod concurrent;
mod content;
mod engine;
mod error;
mod layout;
mod multipart_part;
mod names;
mod options;
mod outcome;
mod part_upload;
mod reports;
mod requests;
mod route;
mod section;
mod temporary;
mod upload;
mod upload_parts;

pub use checkpoint::{CheckpointStore, StripedCheckpoint};
pub use error::StripedError;
pub use multipart_part::DaemonPart;
#[cfg(feature = "direct")]
pub(crate) use multipart_part::{NO_TOKEN, PartId, PartWriter, StoredPart, UploadPart};
pub use names::PART_SUFFIX;
pub use options::{StripedOptions, StripedOptionsError, Via};
pub use outcome::{Leftovers, Striped, StripedAborted};
pub use route::{DaemonRoute, Route, StoredObject};
pub use upload::StripedUpload;
