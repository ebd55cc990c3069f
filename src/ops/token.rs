//! Upload tokens: a session sealed so that only daemons with the key can use it (proto-spec.md, "Security").
//!
//! A session URI is a bearer credential and never leaves the daemons. What the client keeps instead is
//! `base64url(version | key id | nonce | AES-256-GCM-SIV(session, bucket, object, expiry, identity))`.
//!
//! A token that belongs to an identity has another version than one that belongs to nobody: a daemon that knew nothing of identities
//! would open it for everybody.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Failure;
use gcsd_gcs::SessionUri;
use gcsd_types::{BucketName, ObjectName};
use gcsd_wire::{Kind, Retry};

/// How long GCS keeps a session (<https://cloud.google.com/storage/docs/resumable-uploads#introduction>).
const SESSION_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The first byte of a token that belongs to nobody. In every version, the id of the key follows.
const TOKEN_VERSION: u8 = 1;
/// The first byte of one that belongs to an identity.
const OWNED_VERSION: u8 = 2;
/// Bytes that name the key a token was sealed with.
const KEY_ID_LEN: usize = 4;
/// The longest token that is looked at, in bytes; proto-spec.md names it. A name of 1,024 bytes takes up to six times
/// as many in JSON, and three times as many in the session's URI.
const MAX_TOKEN: usize = 16_384;
/// Digits of an upload's name, 5 bits each.
const NAME_LEN: usize = 12;
/// Bytes of a key.
const KEY_LEN: usize = 32;

/// Why a token key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenKeyError {
    /// There is no key.
    #[error(
        "it holds no key: a key is a line of 64 hexadecimal digits (make one with: openssl rand -hex 32)"
    )]
    Empty,
    /// A line is not a key.
    #[error(
        "line {0} is not a key: a key is a line of 64 hexadecimal digits (make one with: openssl rand -hex 32)"
    )]
    Line(usize),
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for a new key")]
    Random,
}

struct Key {
    id: [u8; KEY_ID_LEN],
    aead: RandomizedNonceKey,
    /// For the names of uploads.
    names: hmac::Key,
}

/// Seals and opens upload tokens.
pub struct Sealer {
    /// The first one seals, all of them open.
    keys: ArcSwap<Vec<Key>>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    session: String,
    bucket: String,
    object: String,
    expires: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
}

/// What a token was sealed over.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) session: SessionUri,
    pub(super) bucket: BucketName,
    pub(super) object: ObjectName,
    /// When GCS was to forget the session, in seconds since 1970, by the clock of the daemon that sealed it.
    pub(super) expires: u64,
    /// The upload's name in the log.
    pub(super) upload_name: String,
    /// Whose it is: the name of the rule by which it was begun.
    pub(super) identity: Option<String>,
}

impl Sealer {
    /// A sealer with the keys of a file's text: one key a line, 64 hexadecimal digits; `#` starts a comment.
    /// The first one seals and all of them open, so that keys can be rotated.
    pub fn from_text(text: &str) -> Result<Self, TokenKeyError> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            if line.is_empty() {
                continue;
            }
            let bad = TokenKeyError::Line(number + 1);
            let bytes = from_hex(line).ok_or(bad)?;
            keys.push(Key {
                id: key_id(&bytes),
                aead: RandomizedNonceKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| bad)?,
                names: hmac::Key::new(hmac::HMAC_SHA256, &derived(b"gcsd upload names", &bytes)),
            });
        }
        if keys.is_empty() {
            Err(TokenKeyError::Empty)
        } else {
            Ok(Self {
                keys: ArcSwap::from_pointee(keys),
            })
        }
    }

    /// Seals and opens by the keys of `other` from now on.
    pub fn replace(&self, other: Self) {
        self.keys.store(other.keys.into_inner());
    }

    /// A new key, in the notation that [`from_text`](Self::from_text) reads.
    pub fn generate_text() -> Result<String, TokenKeyError> {
        let mut bytes = [0; KEY_LEN];
        rand::fill(&mut bytes).map_err(|_| TokenKeyError::Random)?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(hex + "\n")
    }

    /// Seals a session, and says when GCS will forget it, in seconds since 1970.
    ///
    /// By this daemon's clock, which may be wrong: it is for people to read, and nothing is decided by it.
    pub(super) fn seal(
        &self,
        session: &SessionUri,
        bucket: &BucketName,
        object: &ObjectName,
        identity: Option<&str>,
    ) -> Option<(String, u64)> {
        self.seal_at(now(), session, bucket, object, identity)
    }

    /// Seals a session that GCS opened at `now`.
    fn seal_at(
        &self,
        now: u64,
        session: &SessionUri,
        bucket: &BucketName,
        object: &ObjectName,
        identity: Option<&str>,
    ) -> Option<(String, u64)> {
        let expires = now.saturating_add(SESSION_LIFE.as_secs());
        let sealed = Sealed {
            session: session.expose().to_owned(),
            bucket: bucket.as_str().to_owned(),
            object: object.as_str().to_owned(),
            expires,
            identity: identity.map(str::to_owned),
        };
        let mut text = serde_json::to_vec(&sealed).ok()?;
        let keys = self.keys.load();
        let key = keys.first()?;
        let version = identity.map_or(TOKEN_VERSION, |_| OWNED_VERSION);
        let front = front(version, key);
        let nonce = key
            .aead
            .seal_in_place_append_tag(Aad::from(front), &mut text)
            .ok()?;
        let token = [&front[..], nonce.as_ref(), &text].concat();
        Some((URL_SAFE_NO_PAD.encode(token), expires))
    }

    /// The name of the upload that is sealed with this session, for the log: the same wherever the token is opened. It follows
    /// from the session's URI by a secret key, so that nothing of the URI can be found out from it.
    pub(super) fn name_of(&self, session: &SessionUri) -> Option<String> {
        Some(name(self.keys.load().first()?, b"session", session.expose()))
    }

    /// The name of a multipart upload, in the same way.
    pub(super) fn name_of_parts(&self, multipart_id: &str) -> String {
        let keys = self.keys.load();
        let key = keys.first();
        key.map_or_else(String::new, |key| name(key, b"multipart", multipart_id))
    }

    /// Opens a token, however old it is: whether the session is still there, GCS says.
    pub(super) fn open(&self, token: &str) -> Result<Opened, Failure> {
        self.unseal(token)
            .ok_or_else(|| match self.is_of_another_version(token) {
                true => {
                    let message =
                        "the token is of a version that this daemon does not know: start a new upload";
                    Failure::new(Kind::TokenExpired, Retry::Restart, message)
                }
                false => {
                    let message = "the token was not sealed with this daemon's key, or was altered";
                    Failure::new(Kind::BadToken, Retry::Never, message)
                }
            })
    }

    /// Whether a token has another version, and the id of one of this daemon's keys behind it, as in every version: a daemon
    /// of the same fleet sealed it.
    fn is_of_another_version(&self, token: &str) -> bool {
        let token = Some(token).filter(|token| token.len() <= MAX_TOKEN);
        let token = token.and_then(|token| URL_SAFE_NO_PAD.decode(token).ok());
        let Some([version, id @ ..]) = token
            .as_ref()
            .and_then(|token| token.first_chunk::<{ 1 + KEY_ID_LEN }>())
        else {
            return false;
        };
        ![TOKEN_VERSION, OWNED_VERSION].contains(version) && self.keys.load().iter().any(|key| key.id == *id)
    }

    fn unseal(&self, token: &str) -> Option<Opened> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let mut token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (front_bytes, rest) = token.split_at_mut_checked(1 + KEY_ID_LEN)?;
        let (nonce, text) = rest.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let (&version, id) = front_bytes.split_first()?;
        if ![TOKEN_VERSION, OWNED_VERSION].contains(&version) {
            return None;
        }
        let keys = self.keys.load();
        let key = keys.iter().find(|key| key.id == *id)?;
        let text = key
            .aead
            .open_in_place(nonce, Aad::from(front(version, key)), text)
            .ok()?;
        let sealed: Sealed = serde_json::from_slice(text).ok()?;
        let session = SessionUri::parse(&sealed.session).ok()?;
        Some(Opened {
            upload_name: name(key, b"session", session.expose()),
            session,
            bucket: BucketName::new(sealed.bucket).ok()?,
            object: ObjectName::new(sealed.object).ok()?,
            expires: sealed.expires,
            identity: sealed.identity,
        })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("keys", &self.keys.load().len())
            .finish()
    }
}

/// What precedes the nonce, and is authenticated with the rest.
fn front(version: u8, key: &Key) -> [u8; 1 + KEY_ID_LEN] {
    let mut front = [version; 1 + KEY_ID_LEN];
    front[1..].copy_from_slice(&key.id);
    front
}

fn key_id(key: &[u8]) -> [u8; KEY_ID_LEN] {
    let mut id = [0; KEY_ID_LEN];
    id.copy_from_slice(&derived(b"gcsd token key id", key)[..KEY_ID_LEN]);
    id
}

/// What a key is for a purpose other than its own.
fn derived(purpose: &[u8], key: &[u8]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(purpose);
    context.update(key);
    context.finish().as_ref().to_vec()
}

/// The name of an upload: 60 bits of an HMAC over what GCS calls it.
fn name(key: &Key, kind: &[u8], id: &str) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut context = hmac::Context::with_key(&key.names);
    context.update(kind);
    context.update(b"\0");
    context.update(id.as_bytes());
    let tag = context.sign();
    let bits = tag
        .as_ref()
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    let bits: Vec<u8> = bits.take(5 * NAME_LEN).collect();
    let digit =
        |five: &[u8]| char::from(DIGITS[five.iter().fold(0, |digit, bit| 2 * digit + usize::from(*bit))]);
    bits.chunks(5).map(digit).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 2 * KEY_LEN || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
