//! One object over several connections: its parts go up side by side and are then composed.
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
//! daemon or to several in turn: it recovers by itself. More than 32 parts are composed in two steps, through further
//! temporary objects.
//!
//! With a multipart upload of the XML API ([`Via::Multipart`]) there are no temporary objects: each part goes in one
//! request, again as a reliable upload, and GCS makes the object of them in the end. Such an upload has no preconditions.
//!
//! # What is verified
//!
//! Each part is compared with the bytes that were read, as in every upload. The checksum of the whole is combined from
//! those of the parts. The object is composed of exactly the generations that were verified, and is then compared by size
//! and checksum; one that differs is deleted, that generation and no other. Nothing is composed before all parts are
//! verified and the source is known to be unchanged.
//!
//! # What is left behind
//!
//! Nothing, however it ends: temporary objects are deleted when the object exists, and when the upload is
//! [aborted](StripedUpload::abort). If the process is killed, the last [`StripedCheckpoint`] that it
//! [saved](CheckpointStore) lets another one [resume](StripedUpload::resume) the upload, which cleans up in the end, or
//! [clean up](StripedUpload::discard) at once.
//!
//! The answer to the composition can be lost, so that the object appears unnoticed. The generation that it replaces is
//! therefore always a precondition, and is in the checkpoint before the request is sent.

mod assemble;
mod checkpoint;
mod cleanup;
mod clearing;
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
pub(crate) use multipart_part::{NO_TOKEN, PartId, PartWriter, StoredPart, UploadPart, on_page};
pub use names::PART_SUFFIX;
pub use options::{StripedOptions, StripedOptionsError, Via};
pub use outcome::{Leftovers, Striped, StripedAborted};
pub use route::{DaemonRoute, Route, StoredObject};
pub use upload::StripedUpload;
