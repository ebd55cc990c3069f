//! Headers that several calls send or read: encryption keys and checksums
//! (<https://cloud.google.com/storage/docs/xml-api/reference-headers>).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use gcsd_types::{Crc32c, EncryptionKey};

/// The content type of a JSON resource.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");

pub(super) const X_GOOG_GENERATION: HeaderName = HeaderName::from_static("x-goog-generation");
const X_GOOG_HASH: HeaderName = HeaderName::from_static("x-goog-hash");

/// Adds the three headers of a customer-supplied key
/// (<https://cloud.google.com/storage/docs/encryption/customer-supplied-keys#headers>).
pub(super) fn insert_key(headers: &mut HeaderMap, key: Option<&EncryptionKey>) {
    const ALGORITHM: HeaderName = HeaderName::from_static("x-goog-encryption-algorithm");
    const KEY: HeaderName = HeaderName::from_static("x-goog-encryption-key");
    const HASH: HeaderName = HeaderName::from_static("x-goog-encryption-key-sha256");
    insert_key_as(headers, key, [ALGORITHM, KEY, HASH]);
}

/// The same for the key of the object that a call copies from.
pub(super) fn insert_source_key(headers: &mut HeaderMap, key: Option<&EncryptionKey>) {
    const ALGORITHM: HeaderName = HeaderName::from_static("x-goog-copy-source-encryption-algorithm");
    const KEY: HeaderName = HeaderName::from_static("x-goog-copy-source-encryption-key");
    const HASH: HeaderName = HeaderName::from_static("x-goog-copy-source-encryption-key-sha256");
    insert_key_as(headers, key, [ALGORITHM, KEY, HASH]);
}

fn insert_key_as(headers: &mut HeaderMap, key: Option<&EncryptionKey>, names: [HeaderName; 3]) {
    let Some(key) = key else {
        return;
    };
    let [algorithm, name, hash] = names;
    let sha256 = BASE64.encode(digest(&SHA256, key.expose()));
    headers.insert(algorithm, HeaderValue::from_static("AES256"));
    for (name, text) in [(name, BASE64.encode(key.expose())), (hash, sha256)] {
        // Base64 is always a valid header value.
        if let Ok(mut value) = HeaderValue::try_from(text) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
}

/// Adds the checksum that the uploaded object or part must have (google-cloud-rust#5655).
pub(super) fn insert_crc32c(headers: &mut HeaderMap, crc32c: Option<Crc32c>) {
    let value = crc32c.map(|crc| HeaderValue::try_from(format!("crc32c={}", crc.to_base64())));
    if let Some(Ok(value)) = value {
        headers.insert(X_GOOG_HASH, value);
    }
}

/// The checksums in `x-goog-hash`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hashes {
    pub(super) crc32c: Option<Crc32c>,
    pub(super) md5: Option<[u8; 16]>,
}

impl Hashes {
    /// Reads them from one header with both, or from a header for each.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut hashes = Self::default();
        let values = headers.get_all(&X_GOOG_HASH).iter();
        for hash in values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
        {
            match hash.trim().split_once('=') {
                Some(("crc32c", value)) => hashes.crc32c = hashes.crc32c.or(Crc32c::from_base64(value)),
                Some(("md5", value)) => hashes.md5 = hashes.md5.or(md5_from_base64(value)),
                _ => {}
            }
        }
        hashes
    }
}

/// Reads GCS's notation of an MD5.
pub(super) fn md5_from_base64(text: &str) -> Option<[u8; 16]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_three_headers_that_are_not_shown() {
        let mut headers = HeaderMap::new();
        insert_key(&mut headers, None);
        assert!(headers.is_empty());
        insert_key(&mut headers, Some(&EncryptionKey::new([0; 32])));
        assert_eq!(headers["x-goog-encryption-algorithm"], "AES256");
        assert_eq!(
            headers["x-goog-encryption-key"],
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        );
        // SHA-256 of 32 zeros.
        assert_eq!(
            headers["x-goog-encryption-key-sha256"],
            "Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU="
        );
        assert!(!format!("{headers:?}").contains("AAAA"));
    }

    #[test]
    fn hashes_come_in_one_header_or_in_several() {
        let mut headers = HeaderMap::new();
        headers.append(X_GOOG_HASH, HeaderValue::from_static("md5=AAAA"));
        assert_eq!(Hashes::of(&headers), Hashes::default());
        let crc32c = Some(Crc32c::of(b"hello world"));
        headers.append(X_GOOG_HASH, HeaderValue::from_static("crc32c=yZRlqg=="));
        assert_eq!(Hashes::of(&headers), Hashes { crc32c, md5: None });
        headers.insert(X_GOOG_HASH, HeaderValue::from_static("md5=AAAA, crc32c=yZRlqg=="));
        assert_eq!(Hashes::of(&headers), Hashes { crc32c, md5: None });
        headers.append(
            X_GOOG_HASH,
            HeaderValue::from_static("md5=XrY7u+Ae7tCTyyK7j1rNww=="),
        );
        assert_eq!(Hashes::of(&headers).md5.map(|md5| md5[0]), Some(0x5e));
    }
}
