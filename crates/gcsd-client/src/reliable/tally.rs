//! The checksum of a body while it is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::{BodySource, NextPiece};
use gcsd_types::Crc32c;

/// What is known of a body that is being read. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Tally(Arc<Mutex<Sums>>);

/// The checksums of a body, as far as it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums {
    /// The object's next byte.
    pub(super) at: u64,
    /// The checksum of the body up to there.
    pub(super) crc32c: Crc32c,
    /// Up to where the object's checksum was known before.
    pub(super) mark: u64,
    /// The checksum of the body up to the mark, once it was read that far.
    pub(super) at_mark: Option<Crc32c>,
}

impl Tally {
    /// Of a body that begins at the object's byte `at`.
    pub(super) fn new(at: u64, mark: u64) -> Self {
        Self(Arc::new(Mutex::new(Sums {
            at,
            crc32c: Crc32c::default(),
            mark,
            at_mark: (at == mark).then(Crc32c::default),
        })))
    }

    /// What is known now.
    pub(super) fn sums(&self) -> Sums {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn append(&self, piece: &[u8]) {
        let mut sums = self.lock();
        let ahead = sums.mark.saturating_sub(sums.at);
        let known = usize::try_from(ahead).unwrap_or(usize::MAX).min(piece.len());
        sums.crc32c = sums.crc32c.append(&piece[..known]);
        if sums.at_mark.is_none() && known as u64 == ahead {
            sums.at_mark = Some(sums.crc32c);
        }
        sums.crc32c = sums.crc32c.append(&piece[known..]);
        sums.at += piece.len() as u64;
    }
}

/// `rest` bytes of a source, summed up in a tally as they are read.
pub(super) struct Tallied {
    pub(super) source: Box<dyn BodySource>,
    pub(super) rest: u64,
    pub(super) tally: Tally,
}

impl BodySource for Tallied {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(async move {
            let mut piece = self.source.next().await?;
            piece.truncate(usize::try_from(self.rest).unwrap_or(usize::MAX));
            self.rest -= piece.len() as u64;
            self.tally.append(&piece);
            Ok(piece)
        })
    }
}
