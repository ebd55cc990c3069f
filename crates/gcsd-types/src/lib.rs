//! The words that every layer of gcsd shares: names, checksums, preconditions, and what requests ask for.
//!
//! No I/O, no wire, no HTTP. Names are checked when they are made, so that nobody else has to:
//!
//! ```
//! use gcsd_types::{BucketName, Crc32c, Destination, NameError, ObjectName};
//!
//! let bucket = BucketName::new("backups")?;
//! let object = ObjectName::new("2026/november.tar")?;
//! let destination = Destination::new(bucket, object);
//! assert_eq!(destination.object.as_str(), "2026/november.tar");
//!
//! assert_eq!(BucketName::new("No-Capitals"), Err(NameError::BucketCharacter));
//! assert_eq!(Crc32c::of(b"hello world").to_base64(), "yZRlqg==");
//! # Ok::<(), NameError>(())
//! ```

mod bucket;
mod checksum;
mod digits;
mod key;
mod listing;
mod multipart;
mod name;
mod object;
mod preconditions;
mod range;
mod rewrite;
mod url;

pub use bucket::{BucketInfo, BucketQuery, BucketRef};
pub use checksum::Crc32c;
pub use digits::digits;
pub use key::EncryptionKey;
pub use listing::{ObjectQuery, Page};
pub use multipart::{MAX_PARTS, MultipartRef, Part, PartsPage, StoredPart};
pub use name::{BucketName, NameError, ObjectName};
pub use object::{ComposeSource, Destination, ObjectInfo, ObjectRef};
pub use preconditions::Preconditions;
pub use range::ByteRange;
pub use rewrite::{Rewrite, Rewritten};
pub use url::{BucketUrl, GsUrl, UrlError};

/// The granularity in which GCS persists an upload: 256 KiB.
///
/// A range that is not the last of its upload must end on a multiple of it
/// (<https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload>).
pub const CHUNK_ALIGNMENT: u64 = 256 * 1024;

/// The largest object that GCS stores: 5 TiB (<https://cloud.google.com/storage/quotas#objects>).
pub const MAX_OBJECT_SIZE: u64 = 5 << 40;
