//! The supply of an upload whose source can be read again.

use std::io;

use super::super::Body;
use super::error::UploadError;
use super::plan::{Sizes, View};
use super::source::{ReplaySource, SourceChanged};
use super::supply::Supply;
use super::tally::{Tallied, Tally};
use gcsd_types::{CHUNK_ALIGNMENT, Crc32c};

/// The most bytes of the last request, which are read twice: once for the checksum that goes with them.
const LAST: u64 = 4 * CHUNK_ALIGNMENT;

/// A source that can be read again, and what is known of its checksum.
#[derive(Debug)]
pub(super) struct Replay<R> {
    source: R,
    declared: Option<u64>,
    /// The most bytes of the last request.
    last: u64,
    /// The checksum of the first `hashed` bytes. It only grows: what is read again is the same.
    hashed: u64,
    crc32c: Crc32c,
    /// The body that is being sent, or was.
    tally: Tally,
    /// The object's checksum up to the tally's mark.
    marked: Crc32c,
    /// Where `committed` last was at `hashed`.
    point: (u64, Crc32c),
    /// The checksum that the body's bytes up to the tally's mark must have, if they were read before.
    expected: Option<Crc32c>,
    changed: Option<SourceChanged>,
}

impl<R: ReplaySource> Replay<R> {
    /// All of `source`, of which the first `from` bytes are known to have the checksum `crc32c`.
    pub(super) fn new(source: R, from: u64, crc32c: Crc32c, declared: Option<u64>) -> Self {
        Self {
            source,
            declared,
            last: LAST,
            hashed: from,
            crc32c,
            tally: Tally::new(from, from),
            marked: crc32c,
            point: (from, crc32c),
            expected: None,
            changed: None,
        }
    }

    /// With `true`, all bytes go in one request, so all of them are read for its checksum before.
    pub(super) fn single_request(self, single_request: bool) -> Self {
        let last = if single_request { u64::MAX } else { LAST };
        Self { last, ..self }
    }

    /// The checksum that the bytes from `offset` to what is hashed had when they were read before.
    fn known_from(&self, offset: u64) -> Option<Crc32c> {
        let before = match offset {
            0 => Crc32c::default(),
            _ if offset == self.point.0 => self.point.1,
            _ => return None,
        };
        self.crc32c.since(before, self.hashed.checked_sub(offset)?)
    }

    /// Fails if the source is known to give other bytes than before.
    fn unchanged(&self) -> Result<(), SourceChanged> {
        match &self.changed {
            Some(changed) => Err(changed.clone()),
            None => self.source.check(),
        }
    }

    /// Takes over the checksums of the bytes that were read to be sent.
    fn collect(&mut self) {
        let read = self.tally.sums();
        if let (Some(expected), Some(found)) = (self.expected, read.at_mark)
            && expected != found
        {
            self.changed = Some(SourceChanged::new(
                "bytes that were read again are not those that were read before",
            ));
        }
        if read.at <= self.hashed {
            return;
        }
        // Everything from the mark on: a body that failed can still be read ahead, and grow between two calls.
        let fresh = read.at - read.mark;
        // `None` only for more bytes than a machine of this kind can have; they are then read again.
        let fresh_crc32c = read.at_mark.and_then(|before| read.crc32c.since(before, fresh));
        if let Some(sum) = fresh_crc32c.and_then(|crc32c| self.marked.combine(crc32c, fresh)) {
            (self.hashed, self.crc32c) = (read.at, sum);
        }
    }

    /// Reads on until the checksum of everything before `to` is known.
    async fn hash_up_to(&mut self, to: u64) -> io::Result<()> {
        self.collect();
        if self.hashed >= to {
            return Ok(());
        }
        let mut reading = self.source.read(self.hashed, to - self.hashed);
        while self.hashed < to {
            let mut piece = reading.next().await?;
            if piece.is_empty() {
                let text = "the source ended before its size";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            piece.truncate(usize::try_from(to - self.hashed).unwrap_or(usize::MAX));
            self.crc32c = self.crc32c.append(&piece);
            self.hashed += piece.len() as u64;
        }
        Ok(())
    }
}

impl<R: ReplaySource + Sync> Supply for Replay<R> {
    fn view(&self) -> View {
        View {
            from: 0,
            end: self.source.size(),
            ended: true,
            declared: self.declared,
        }
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            min: CHUNK_ALIGNMENT,
            max: u64::MAX,
            last: self.last,
        }
    }

    async fn more(&mut self) -> bool {
        false
    }

    fn absorb(&mut self) {}

    fn release(&mut self, committed: u64) {
        self.collect();
        if self.hashed == committed {
            self.point = (committed, self.crc32c);
        }
    }

    async fn body(&mut self, offset: u64, len: u64) -> Result<Body, UploadError> {
        self.hash_up_to(offset)
            .await
            .map_err(UploadError::source_failed)?;
        self.unchanged()?;
        self.expected = self.known_from(offset);
        self.tally = Tally::new(offset, self.hashed);
        self.marked = self.crc32c;
        let tallied = Tallied {
            source: self.source.read(offset, len),
            rest: len,
            tally: self.tally.clone(),
        };
        let body = Body::source(len, tallied);
        // Where all of it was read before, as for the last range.
        Ok(match self.expected.filter(|_| self.hashed == offset + len) {
            Some(crc32c) => body.with_crc32c(crc32c),
            None => body,
        })
    }

    fn sum(&mut self, offset: u64, len: u64) -> Option<Crc32c> {
        let read = self.tally.sums();
        (read.at == offset + len).then_some(read.crc32c)
    }

    async fn whole(&mut self) -> Result<Crc32c, UploadError> {
        let hashed = self.hash_up_to(self.source.size()).await;
        hashed.map_err(UploadError::source_failed)?;
        Ok(self.crc32c)
    }

    fn check(&mut self) -> Result<(), SourceChanged> {
        self.collect();
        self.unchanged()
    }

    fn resume_point(&self, _committed: u64) -> (u64, Crc32c) {
        self.point
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::BodySource;
    use super::*;

    fn bytes(len: usize) -> Bytes {
        (0..=250).cycle().take(len).collect()
    }

    /// Reads `len` of what `body` gives, in the pieces that come.
    async fn read(supply: &mut Replay<Bytes>, offset: u64, len: u64, read: u64) {
        let _sent_elsewhere = supply.body(offset, len).await.expect("in memory");
        let mut tallied = Tallied {
            source: supply.source.read(offset, len),
            rest: read,
            tally: supply.tally.clone(),
        };
        if read > 0 {
            tallied.next().await.expect("in memory");
        }
    }

    #[tokio::test]
    async fn the_checksum_of_everything_is_kept_whatever_is_read_again() {
        let all = bytes(1000);
        for cut in [0, 1, 300, 499, 500] {
            for committed in [0, 1, 250, 499, 500] {
                if committed > cut {
                    continue;
                }
                let mut supply = Replay::new(all.clone(), 0, Crc32c::default(), None);
                read(&mut supply, 0, 500, cut).await;
                supply.release(committed);
                assert_eq!(supply.hashed, cut);
                let sum = supply.sum(0, 500);
                assert_eq!(sum, (cut == 500).then(|| Crc32c::of(&all[..500])));
                // The rest of it, over what was read before.
                let len = 700 - committed;
                read(&mut supply, committed, len, len).await;
                let from = usize::try_from(committed).expect("small");
                assert_eq!(supply.sum(committed, len), Some(Crc32c::of(&all[from..700])));
                supply.release(700);
                assert_eq!(supply.resume_point(700), (700, Crc32c::of(&all[..700])));
                assert_eq!(supply.whole().await.expect("in memory"), Crc32c::of(&all));
            }
        }
    }

    #[tokio::test]
    async fn what_another_process_sent_is_read_for_its_checksum_only() {
        let all = bytes(1000);
        let mut supply = Replay::new(all.clone(), 100, Crc32c::of(&all[..100]), None);
        assert_eq!(supply.resume_point(500), (100, Crc32c::of(&all[..100])));
        read(&mut supply, 500, 200, 200).await;
        supply.release(700);
        assert_eq!(supply.resume_point(700), (700, Crc32c::of(&all[..700])));
        assert_eq!(supply.whole().await.expect("in memory"), Crc32c::of(&all));
    }

    #[tokio::test]
    async fn a_body_that_is_still_read_after_it_failed_does_no_harm() {
        let all = bytes(1000);
        let mut supply = Replay::new(all.clone(), 0, Crc32c::default(), None);
        read(&mut supply, 0, 100, 100).await;
        let _sent_elsewhere = supply.body(50, 900).await.expect("in memory");
        let tally = supply.tally.clone();
        for (from, to) in [(50, 90), (90, 200), (200, 201), (201, 500), (500, 900)] {
            tally.append(&all[from..to]);
            supply.release(0);
        }
        assert_eq!((supply.hashed, supply.crc32c), (900, Crc32c::of(&all[..900])));
        assert_eq!(supply.whole().await.expect("in memory"), Crc32c::of(&all));
        // Beside what is read elsewhere meanwhile.
        tally.append(&all[900..950]);
        assert_eq!(supply.whole().await.expect("in memory"), Crc32c::of(&all));
    }

    #[tokio::test]
    async fn bytes_that_changed_are_seen_when_they_are_read_again() {
        let (before, after) = (bytes(1000), Bytes::from(vec![7; 1000]));
        for from in [0, 500] {
            let mut supply = Replay::new(before.clone(), 0, Crc32c::default(), None);
            read(&mut supply, 0, 500, 500).await;
            supply.release(from);
            supply.check().expect("the same");
            // Where it is known what was read from there on.
            read(&mut supply, from, 1000 - from, 1000 - from).await;
            supply.check().expect("the same");
            supply.source = after.clone();
            read(&mut supply, 0, 1000, 1000).await;
            supply.check().expect_err("other bytes");
            let body = supply.body(0, 1000).await;
            assert!(matches!(body, Err(UploadError::Changed(_))), "{body:?}");
        }
    }

    #[tokio::test]
    async fn a_source_that_is_shorter_than_it_said_is_an_error() {
        struct Short;
        impl ReplaySource for Short {
            fn size(&self) -> u64 {
                10
            }
            fn read(&self, _offset: u64, _len: u64) -> Box<dyn BodySource> {
                Bytes::from_static(b"short").read(0, 5)
            }
        }
        let mut supply = Replay::new(Short, 0, Crc32c::default(), None);
        let error = supply.whole().await.expect_err("five bytes are missing");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::UnexpectedEof);
    }
}
