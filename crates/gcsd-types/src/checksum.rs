//! CRC32C, in GCS's notation.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// A CRC32C (Castagnoli), the checksum that GCS keeps for every object.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Crc32c(pub u32);

impl Crc32c {
    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(crc32c::crc32c(bytes))
    }

    /// The checksum after `bytes` are appended to what this one covers.
    #[must_use]
    pub fn append(self, bytes: &[u8]) -> Self {
        Self(crc32c::crc32c_append(self.0, bytes))
    }

    /// The checksum after `len` bytes with the checksum `next` are appended to what this one covers.
    ///
    /// `None` only where `len` exceeds `usize`.
    pub fn combine(self, next: Self, len: u64) -> Option<Self> {
        Some(Self(crc32c::crc32c_combine(
            self.0,
            next.0,
            usize::try_from(len).ok()?,
        )))
    }

    /// The checksum of the last `len` bytes that this one covers, where `before` is that of the bytes
    /// before them: the inverse of [`combine`](Self::combine).
    ///
    /// `None` only where `len` exceeds `usize`.
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

#[cfg(test)]
mod tests {
    use super::*;

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
