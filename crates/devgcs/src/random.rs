//! Names that nobody can guess, and one-way hashes.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::encoding::hex;

fn filled<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A bearer credential: 256 random bits.
pub(crate) fn secret() -> io::Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(filled::<32>()?))
}

/// A unique name: 128 random bits.
pub(crate) fn hex_id() -> io::Result<String> {
    Ok(hex(&filled::<16>()?))
}

/// SHA-256 in hexadecimal.
pub(crate) fn hash_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
