//! Encryption keys that clients supply: the object keeps the key's hash, not the key
//! (<https://cloud.google.com/storage/docs/encryption/customer-supplied-keys>).
//!
//! The bytes are not encrypted: the hash decides who may read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};

use super::encoding::base64;
use super::error::Error;
use super::resource::Object;

/// The SHA-256 of the key in a request's `x-goog-encryption-*`, as the API writes it; `None` without one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    read(headers, "x-goog-encryption")
}

/// The same for the source of a copy.
pub(crate) fn source_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    read(headers, "x-goog-copy-source-encryption")
}

fn read(headers: &HeaderMap, prefix: &str) -> Result<Option<String>, Error> {
    let header = |name: &str| {
        let value = headers.get(format!("{prefix}-{name}"))?;
        Some(value.to_str().unwrap_or_default())
    };
    let (algorithm, key, hash) = (header("algorithm"), header("key"), header("key-sha256"));
    if algorithm.is_none() && key.is_none() && hash.is_none() {
        return Ok(None);
    }
    if algorithm != Some("AES256") {
        return Err(refused(
            "customerEncryptionAlgorithmIsInvalid",
            "The encryption algorithm is not AES256.",
        ));
    }
    let key = key
        .and_then(|key| STANDARD.decode(key).ok())
        .filter(|key| key.len() == 32);
    let key = key.ok_or_else(|| {
        refused(
            "customerEncryptionKeyFormatIsInvalid",
            "The encryption key is not 32 bytes in base64.",
        )
    })?;
    let computed = base64(&Sha256::digest(&key));
    if hash != Some(computed.as_str()) {
        return Err(refused(
            "customerEncryptionKeySha256IsInvalid",
            "The SHA-256 hash is not that of the encryption key.",
        ));
    }
    Ok(Some(computed))
}

/// Refuses a request that does not have the key of `object`.
pub(crate) fn unlock(object: &Object, key: Option<&str>) -> Result<(), Error> {
    match (object.key_sha256.as_deref(), key) {
        (None, None) => Ok(()),
        (Some(kept), Some(key)) if kept == key => Ok(()),
        (Some(_), Some(_)) => Err(refused(
            "customerEncryptionKeyIsIncorrect",
            "The provided encryption key is incorrect.",
        )),
        (Some(_), None) => Err(refused(
            "resourceIsEncryptedWithCustomerEncryptionKey",
            "The target object is encrypted by a customer-supplied encryption key.",
        )),
        (None, Some(_)) => Err(refused(
            "resourceNotEncryptedWithCustomerEncryptionKey",
            "The target object is not encrypted by a customer-supplied encryption key.",
        )),
    }
}

/// 400: the request's key is not the one that the upload was started with.
pub(crate) fn another_key() -> Error {
    Error::invalid("The encryption key is not the one that the upload was started with.")
}

fn refused(reason: &'static str, message: &str) -> Error {
    Error::new(StatusCode::BAD_REQUEST, reason, message)
}
