//! A writer that recovers from every failure that can be recovered from, over writers that recover from none.
//!
//! Bytes go in through [`write_bytes`](ReliableWriter::write_bytes) (never copied) or `AsyncWrite` (copied once), and the
//! upload ends with [`complete`](ReliableWriter::complete) or [`abort`](ReliableWriter::abort). A source that can be read
//! again, such as a file, goes up as a [`ReliableUpload`], which holds none of its bytes.
//!
//! [`ReliableReader`] resumes a read where it broke, and [`ReliableRequests`] repeats requests on objects.
//!
//! # Lifecycle of an upload
//!
//! ```text
//!               new                         resumed
//!                |                             |
//!                v                             v
//!   +--------> start                +------> attach <-------------+
//!   |            |                  |          |                  |
//!   |            v                  |          v                  | reconnect
//!   |  +----> settled <---------------------- query <--+          |
//!   |  |         |                  |                  |          |
//!   |  | same,   | write, finish    |                  | query    |
//!   |  | part    v                  |                  |          |
//!   |  +----- request ----------------------------------+---------+
//!   |            |  |
//!   +-- restart -+  +--> finished --> verified --> ObjectInfo
//!     (byte 0 is         |
//!      still held)       +--> does not verify: GCS is asked once more, then an error
//!
//!   any of them --> never, budget spent, ahead, regress  --> UploadError
//!   any of them --> abort --> cancelled / already finished / unknown
//!   any of them --> drop  --> nothing is finished; GCS keeps what it has for a week
//! ```
//!
//! # Who owns what
//!
//! ```text
//!   ReliableWriter --- chunks, each with its room ---> engine (one task)
//!     ^     ^                                            owns: Intake (bytes not committed)
//!     |     +---- report: committed, checkpoint ---------      Recovery (what GCS answered)
//!     +---------- the result, when it ends ---------------     the unreliable writer
//! ```
//!
//! The engine does one thing at a time, and only it touches the upload. `Recovery` decides what to do next, as a pure
//! function of what was answered; `Attempts` decides when, and when to give up. The task ends with a result, when it is
//! stopped, or when its [`ReliableWriter`] is dropped.
//!
//! # What is verified
//!
//! The checksum of each body as it was received is compared with that of the bytes that were written. The checksum of the
//! whole object goes with the request that finishes it, so that GCS makes no other object. And the finished object is
//! compared by size and checksum on every path, including after a lost last reply and in a resumed upload.

mod abort;
mod backoff;
mod changes;
mod checkpoint;
mod copies;
mod current;
mod engine;
mod error;
mod given_up;
mod intake;
mod jitter;
mod listing;
mod options;
mod plan;
mod read_attempts;
mod read_error;
mod reader;
mod recovery;
mod replay;
mod report;
mod requests;
mod retained;
pub(crate) mod retry;
mod source;
mod supply;
mod tally;
mod updates;
mod upload;
mod writer;

#[cfg(test)]
mod tests;

pub use abort::Aborted;
pub use checkpoint::Checkpoint;
pub use error::UploadError;
pub use given_up::GivenUp;
pub use jitter::Jitter;
pub use listing::{BucketPages, ListedObject, ObjectPage, ObjectPages};
pub use options::{OptionsError, RetryPolicy, WriterOptions};
pub use read_error::ReadError;
pub use reader::ReliableReader;
pub use report::Report;
pub use requests::ReliableRequests;
pub use source::{FileContent, FileSource, ReplaySource, SourceChanged};
pub use upload::ReliableUpload;
pub use writer::ReliableWriter;
