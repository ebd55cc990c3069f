//! The words every layer shares: names, checksums, preconditions.
//!
//! Nothing here does I/O, and nothing here knows the wire or HTTP.

mod bucket;
mod key;
mod listing;
mod multipart;
mod object;
mod range;
mod rewrite;

use std::fmt;

pub use bucket::{BucketInfo, BucketQuery, BucketRef};
pub use key::EncryptionKey;
pub use listing::{ObjectQuery, Page};
pub use multipart::{MAX_PARTS, MultipartRef, Part, PartsPage, StoredPart};
pub use object::{ComposeSource, Destination, ObjectRef};
pub use range::ByteRange;
pub use rewrite::{Rewrite, Rewritten};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The granularity in which GCS persists an upload: 256 KiB.
///
/// A range that is not the last of its upload must end on a multiple of it
/// (<https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload>).
pub const CHUNK_ALIGNMENT: u64 = 256 * 1024;

/// The largest object that GCS stores: 5 TiB (<https://cloud.google.com/storage/quotas#objects>).
pub const MAX_OBJECT_SIZE: u64 = 5 << 40;

/// Why a name was refused before any request was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A bucket's name must have 3 to 222 bytes.
    #[error("a bucket name has 3 to 222 characters")]
    BucketLength,
    /// A bucket's name holds a character outside `a-z 0-9 . _ -`.
    #[error(
        "a bucket name holds only lower-case letters, digits, '.', '_' and '-', and starts and ends with a letter or digit"
    )]
    BucketCharacter,
    /// An object's name must have 1 to 1,024 bytes.
    #[error("an object name has 1 to 1024 bytes of UTF-8")]
    ObjectLength,
    /// An object's name holds a carriage return or a line feed.
    #[error("an object name holds no carriage return and no line feed")]
    ObjectLineBreak,
    /// An object cannot be called `.` or `..`, or lie below `.well-known/acme-challenge/`.
    #[error("an object is not called '.' or '..' and does not start with '.well-known/acme-challenge/'")]
    ObjectReserved,
}

/// A bucket's name, checked against GCS's rules
/// (<https://cloud.google.com/storage/docs/buckets#naming>).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(String);

impl BucketName {
    /// Checks `name`.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let bytes = name.as_bytes();
        if !(3..=222).contains(&bytes.len()) {
            return Err(NameError::BucketLength);
        }
        let outer = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let inner = |b: &u8| outer(*b) || matches!(b, b'.' | b'_' | b'-');
        if !bytes.iter().all(inner) || !outer(bytes[0]) || !outer(bytes[bytes.len() - 1]) {
            return Err(NameError::BucketCharacter);
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An object's name, checked against GCS's rules
/// (<https://cloud.google.com/storage/docs/objects#naming>).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(String);

impl ObjectName {
    /// Checks `name`.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if !(1..=1024).contains(&name.len()) {
            return Err(NameError::ObjectLength);
        }
        if name.contains(['\r', '\n']) {
            return Err(NameError::ObjectLineBreak);
        }
        if name == "." || name == ".." || name.starts_with(".well-known/acme-challenge/") {
            return Err(NameError::ObjectReserved);
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! name_traits {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(s: &str) -> Result<Self, NameError> {
                Self::new(s)
            }
        }
    };
}
name_traits!(BucketName);
name_traits!(ObjectName);

/// A CRC32C (Castagnoli) of some bytes, the checksum that GCS keeps for every object.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Crc32c(pub u32);

impl Crc32c {
    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(crc32c::crc32c(bytes))
    }

    /// The checksum of what this one covers, followed by `bytes`.
    #[must_use]
    pub fn append(self, bytes: &[u8]) -> Self {
        Self(crc32c::crc32c_append(self.0, bytes))
    }

    /// The checksum of what this one covers, followed by `len` bytes whose checksum is `next`.
    ///
    /// `None` only where `len` cannot be counted in memory units of this machine.
    pub fn combine(self, next: Self, len: u64) -> Option<Self> {
        Some(Self(crc32c::crc32c_combine(
            self.0,
            next.0,
            usize::try_from(len).ok()?,
        )))
    }

    /// The checksum of the last `len` of the bytes that this one covers, where `before` is that of those
    /// in front of them: what [`combine`](Self::combine) would have had to be given.
    ///
    /// `None` only where `len` cannot be counted in memory units of this machine.
    pub fn since(self, before: Self, len: u64) -> Option<Self> {
        if len == 0 {
            return Some(Self::default());
        }
        Some(Self(self.0 ^ before.combine(Self::default(), len)?.0))
    }

    /// GCS's notation: base64 of the four bytes, most significant first.
    pub fn to_base64(self) -> String {
        BASE64.encode(self.0.to_be_bytes())
    }

    /// Reads GCS's notation.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        Some(Self(u32::from_be_bytes(bytes.try_into().ok()?)))
    }
}

impl fmt::Display for Crc32c {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Crc32c {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crc32c({self})")
    }
}

/// What must hold of an object for a request on it to be carried out
/// (<https://cloud.google.com/storage/docs/request-preconditions>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preconditions {
    /// The live generation is this one; 0 means that no live object exists.
    pub if_generation_match: Option<u64>,
    /// The live generation is not this one.
    pub if_generation_not_match: Option<u64>,
    /// The metageneration is this one.
    pub if_metageneration_match: Option<u64>,
    /// The metageneration is not this one.
    pub if_metageneration_not_match: Option<u64>,
}

impl Preconditions {
    /// Whether they name the one generation that may be there. A request that replaces it can then succeed
    /// only once: what it leaves has another generation.
    pub fn pins_generation(&self) -> bool {
        self.if_generation_match.is_some()
    }

    /// Whether they name the one version of the metadata that may be there, as above.
    pub fn pins_metageneration(&self) -> bool {
        self.if_metageneration_match.is_some()
    }
}

/// What GCS says of a finished object, in the fields that a program needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ObjectInfo {
    /// The version of the object's bytes.
    pub generation: u64,
    /// The version of the object's metadata within the generation.
    pub metageneration: u64,
    /// Bytes stored.
    pub size: u64,
    /// The checksum of the stored bytes, where GCS gave one.
    pub crc32c: Option<Crc32c>,
    /// The MD5 of the stored bytes; composed objects and XML multipart uploads have none.
    pub md5: Option<[u8; 16]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_gcs_rules() {
        assert!(BucketName::new("my-bucket_1.example").is_ok());
        assert_eq!(BucketName::new("ab"), Err(NameError::BucketLength));
        assert_eq!(BucketName::new("a/../b"), Err(NameError::BucketCharacter));
        assert_eq!(BucketName::new("Upper"), Err(NameError::BucketCharacter));
        for good in ["a", "a/b#c?d e", "../x", "ünï/☃", " "] {
            assert!(ObjectName::new(good).is_ok(), "{good:?}");
        }
        assert_eq!(ObjectName::new(""), Err(NameError::ObjectLength));
        assert_eq!(ObjectName::new("x".repeat(1025)), Err(NameError::ObjectLength));
        assert_eq!(ObjectName::new("a\nb"), Err(NameError::ObjectLineBreak));
        assert_eq!(ObjectName::new(".."), Err(NameError::ObjectReserved));
    }

    #[test]
    fn crc32c_is_gcs_notation() {
        // The value of `gsutil hash` for "hello world".
        let crc = Crc32c::of(b"hello world");
        assert_eq!(crc.to_base64(), "yZRlqg==");
        assert_eq!(Crc32c::from_base64("yZRlqg=="), Some(crc));
        assert_eq!(Crc32c::from_base64("yZRlqg"), None);
        assert_eq!(Crc32c::of(b"hello ").combine(Crc32c::of(b"world"), 5), Some(crc));
        assert_eq!(crc.since(Crc32c::of(b"hello "), 5), Some(Crc32c::of(b"world")));
        assert_eq!(crc.since(Crc32c::default(), 11), Some(crc));
        assert_eq!(crc.since(crc, 0), Some(Crc32c::default()));
    }
}
