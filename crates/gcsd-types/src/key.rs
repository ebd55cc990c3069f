//! Customer-supplied encryption keys.

use std::fmt;

/// An AES-256 key that GCS encrypts an object with and does not keep
/// (<https://cloud.google.com/storage/docs/encryption/customer-supplied-keys>).
///
/// It is a secret: it has no `Display`, and its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptionKey([u8; Self::LEN]);

impl EncryptionKey {
    /// How many bytes a key has.
    pub const LEN: usize = 32;

    /// A key of these bytes.
    pub fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be sent to GCS and nowhere else.
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(
            format!("{:?}", EncryptionKey::new([7; 32])),
            "EncryptionKey(redacted)"
        );
    }
}
