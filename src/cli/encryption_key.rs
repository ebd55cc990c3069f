//! Encryption keys that GCS does not keep, in files.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use super::exit::{Failure, failed};
use gcsd_types::EncryptionKey;

/// The key of one object.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Encryption")]
pub(super) struct KeyArgs {
    /// A file with the AES-256 key that the object is encrypted with and that GCS does not keep: its 32 bytes,
    /// or these in base64.
    #[arg(long, value_name = "FILE", env = "GCSD_ENCRYPTION_KEY_FILE")]
    encryption_key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// The key, where there is one.
    pub(super) fn read(&self) -> Result<Option<EncryptionKey>, Failure> {
        let file = self.encryption_key_file.as_deref();
        file.map(|file| read_key(file, "--encryption-key-file"))
            .transpose()
    }
}

/// The key of what objects are made of.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Encryption")]
pub(super) struct SourceKey {
    /// A file with the AES-256 key that the sources are encrypted with and that GCS does not keep: its 32 bytes, or these in
    /// base64. The new objects have the one of --encryption-key-file, or none.
    #[arg(long, value_name = "FILE")]
    decryption_key_file: Option<PathBuf>,
}

impl SourceKey {
    /// The key, where there is one.
    pub(super) fn read(&self) -> Result<Option<EncryptionKey>, Failure> {
        let file = self.decryption_key_file.as_deref();
        file.map(|file| read_key(file, "--decryption-key-file"))
            .transpose()
    }
}

/// Reads the key in `file`, which `flag` names.
pub(super) fn read_key(file: &Path, flag: &str) -> Result<EncryptionKey, Failure> {
    let place = format!("{flag} {}", file.display());
    let bytes = std::fs::read(file).map_err(|error| Failure::io(&place, &error))?;
    let decoded = STANDARD.decode(bytes.trim_ascii()).ok();
    let key = [Some(bytes), decoded]
        .into_iter()
        .flatten()
        .find_map(|bytes| bytes.try_into().ok());
    key.map(EncryptionKey::new).ok_or_else(|| {
        failed("it holds neither 32 bytes nor 32 bytes in base64")
            .at(place)
            .advise("make one: openssl rand -base64 32")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_or_their_base64() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let read = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).expect("a full file");
            read_key(file.path(), "--encryption-key-file").map(|key| *key.expose())
        };
        assert_eq!(read(&[b'\n'; 32]).expect("a key"), [b'\n'; 32]);
        assert_eq!(
            read(b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").expect("a key"),
            [0; 32]
        );
        for bad in [&b""[..], &[0; 31], &[0; 33], b"AAAA", &[b'A'; 44]] {
            let error = read(bad).expect_err("no key").to_string();
            assert!(!error.contains("AAAA"), "{error}");
        }
    }
}
