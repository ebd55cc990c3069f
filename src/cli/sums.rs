//! The checksums of what can be read to its end.

use std::io::{self, Read};

use md5::{Digest as _, Md5};

use gcsd_types::Crc32c;

/// How much is read at once.
const PIECE: usize = 256 * 1024;

/// What is known of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) size: u64,
    pub(super) crc32c: Option<Crc32c>,
    pub(super) md5: Option<[u8; 16]>,
}

impl Sums {
    /// Reads all bytes.
    pub(super) fn of(mut input: impl Read, with_md5: bool) -> io::Result<Self> {
        let mut piece = vec![0; PIECE];
        let (mut size, mut crc32c, mut md5) = (0, Crc32c::default(), with_md5.then(Md5::new));
        loop {
            let read = match input.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => &piece[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            size += read.len() as u64;
            crc32c = crc32c.append(read);
            if let Some(md5) = &mut md5 {
                md5.update(read);
            }
        }
        Ok(Self {
            size,
            crc32c: Some(crc32c),
            md5: md5.map(|md5| md5.finalize().into()),
        })
    }
}
