//! Secrets with names: the daemon knows their hashes only.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes of a hash, and of a secret that is made here.
const LEN: usize = 32;

/// The SHA-256 of a secret.
///
/// A secret is 256 random bits, which nobody finds by guessing: a slow hash, or one with salt, would add nothing. It is not
/// printed by `Debug`, though it leads back to no secret.
#[derive(Clone)]
pub struct SecretHash([u8; LEN]);

impl SecretHash {
    /// The hash of a secret, as clients send it.
    pub fn of(secret: &[u8]) -> Self {
        let mut hash = [0; LEN];
        hash.copy_from_slice(digest::digest(&digest::SHA256, secret).as_ref());
        Self(hash)
    }

    /// The hash in the notation of [`to_hex`](Self::to_hex); `None` if it is none.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 2 * LEN || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut hash = [0; LEN];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self(hash))
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether both are of the same secret, in a time that does not tell where they differ.
    pub fn is(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash([redacted])")
    }
}

/// A new secret: 256 random bits as 43 characters of `A-Z a-z 0-9 - _`. `None` if the system has no random numbers.
pub fn new_secret() -> Option<String> {
    let mut bytes = [0; LEN];
    rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_its_secret() {
        // The SHA-256 of "abc", from FIPS 180-2.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(SecretHash::of(b"abc").to_hex(), known);
        let read = SecretHash::from_hex(&known.to_uppercase()).expect("a hash");
        assert!(read.is(&SecretHash::of(b"abc")));
        assert!(!read.is(&SecretHash::of(b"abd")));
        for bad in [
            "",
            &known[1..],
            &format!("{known}0"),
            &known.replace('b', "g"),
            &"é".repeat(32),
        ] {
            assert!(SecretHash::from_hex(bad).is_none(), "{bad}");
        }
        assert!(!format!("{read:?}").contains("ba78"));
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let (one, two) = (new_secret().expect("random"), new_secret().expect("random"));
        assert_eq!(one.len(), 43);
        assert_ne!(one, two);
    }
}
