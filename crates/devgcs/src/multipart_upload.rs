//! A multipart upload of the XML API: parts in any order
//! (<https://cloud.google.com/storage/docs/multipart-uploads>).

use std::collections::BTreeMap;
use std::sync::Mutex;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::acl::Grants;
use super::encoding::hex;
use super::error::Error;
use super::lock::locked;
use super::metadata::Metadata;
use super::storage::Content;
use super::time::Time;
use gcsd_types::Crc32c;

/// The highest number of a part.
pub(crate) const MAX_PARTS: u32 = 10_000;

/// What a multipart upload was started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MultipartRecord {
    pub(crate) bucket: String,
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
    pub(crate) created: Time,
    /// The SHA-256 of the key to encrypt the object with; each part needs that key.
    #[serde(default)]
    pub(crate) key_sha256: Option<String>,
    /// Its access control list, if it is not the bucket's default.
    #[serde(default)]
    pub(crate) acl: Option<Grants>,
}

/// A part that was stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) size: u64,
    pub(crate) crc32c: u32,
    pub(crate) md5: Option<[u8; 16]>,
    pub(crate) updated: Time,
    pub(crate) content: Content,
}

/// A multipart upload.
#[derive(Debug)]
pub(crate) struct MultipartUpload {
    pub(crate) id: String,
    pub(crate) record: MultipartRecord,
    /// `None` once it was completed or aborted. Held while bytes go to the disk.
    pub(crate) parts: Mutex<Option<BTreeMap<u32, Part>>>,
}

impl Part {
    /// The entity tag in quotes: the MD5, or else the CRC32C.
    pub(crate) fn etag(&self) -> String {
        match &self.md5 {
            Some(md5) => format!("\"{}\"", hex(md5)),
            None => format!("\"{}\"", Crc32c(self.crc32c)),
        }
    }
}

impl MultipartUpload {
    /// An upload with these parts.
    pub(crate) fn new(id: String, record: MultipartRecord, parts: BTreeMap<u32, Part>) -> Self {
        Self {
            id,
            record,
            parts: Mutex::new(Some(parts)),
        }
    }

    /// The parts so far. May wait for a disk.
    pub(crate) fn parts(&self) -> Result<BTreeMap<u32, Part>, Error> {
        locked(&self.parts).clone().ok_or_else(no_upload)
    }
}

/// 404 of a multipart upload.
pub(crate) fn no_upload() -> Error {
    Error::new(
        StatusCode::NOT_FOUND,
        "noUpload",
        "The requested upload was not found.",
    )
}
