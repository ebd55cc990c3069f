//! Names of buckets and objects, checked against GCS's rules.

use std::fmt;

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
}
