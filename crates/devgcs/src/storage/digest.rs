//! The two checksums that GCS keeps of an object.

use bytes::Bytes;
use md5::{Digest as _, Md5};

use gcsd_types::Crc32c;

/// Checksums of bytes that are still coming.
#[derive(Debug, Clone)]
pub(crate) struct Digest {
    crc32c: Crc32c,
    md5: Option<Md5>,
    len: u64,
}

/// Checksums of all the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digests {
    pub(crate) size: u64,
    pub(crate) crc32c: Crc32c,
    /// `None` if the server does not compute it.
    pub(crate) md5: Option<[u8; 16]>,
}

impl Digest {
    pub(crate) fn new(md5: bool) -> Self {
        Self {
            crc32c: Crc32c::default(),
            md5: md5.then(Md5::new),
            len: 0,
        }
    }

    /// Bytes covered.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.crc32c = self.crc32c.append(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.len += bytes.len() as u64;
    }

    pub(crate) fn finish(mut self, tail: &[Bytes]) -> Digests {
        for piece in tail {
            self.update(piece);
        }
        Digests {
            size: self.len,
            crc32c: self.crc32c,
            md5: self.md5.map(|md5| md5.finalize().into()),
        }
    }
}
