//! A source that can be read again: nothing of it is held.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::super::{Body, BodySource, FileBody, NextPiece};
use super::plan::{Sizes, View};
use super::supply::Supply;
use gcsd_types::{CHUNK_ALIGNMENT, Crc32c};

/// The most bytes of the last request, which are read twice: once for the checksum that goes with them.
const LAST: u64 = 4 * CHUNK_ALIGNMENT;

/// Bytes that can be read again from any offset, and are the same each time.
pub trait ReplaySource: Send + 'static {
    /// How many there are.
    fn size(&self) -> u64;

    /// The `len` bytes from `offset` on, which lie within [`size`](Self::size).
    fn read(&self, offset: u64, len: u64) -> Box<dyn BodySource>;

    /// Says [`SourceChanged`] where the bytes are known to be others than before. Asked before bytes are read to be sent,
    /// and before the object is finished.
    fn check(&self) -> Result<(), SourceChanged> {
        Ok(())
    }
}

/// What was to be uploaded is not what it was: an object would have bytes of both.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the source changed while it was uploaded: {0}")]
pub struct SourceChanged(String);

impl SourceChanged {
    /// It is other than it was; `how` says what is seen of that.
    pub fn new(how: impl Into<String>) -> Self {
        Self(how.into())
    }
}

/// A file, as large as it was when it was opened. It counts as changed when its size or its modification time is
/// another one.
#[derive(Debug, Clone)]
pub struct FileSource {
    file: Arc<File>,
    size: u64,
    modified: Modified,
}

/// When a file was last written to: seconds since 1970, and nanoseconds.
type Modified = (i64, i64);

impl FileSource {
    /// All of `file`, which must be one that can be read at any position: a pipe cannot.
    pub fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::NotSeekable,
                "this is no regular file",
            ));
        }
        Ok(Self {
            file: Arc::new(file),
            size: metadata.len(),
            modified: modified(&metadata),
        })
    }

    /// When the file was last written to, as of when it was opened: seconds since 1970, and nanoseconds.
    pub fn modified(&self) -> (i64, i64) {
        self.modified
    }
}

fn modified(metadata: &Metadata) -> Modified {
    (metadata.mtime(), metadata.mtime_nsec())
}

impl ReplaySource for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, len: u64) -> Box<dyn BodySource> {
        Box::new(FileBody::new(self.file.clone(), offset, len))
    }

    fn check(&self) -> Result<(), SourceChanged> {
        let metadata = self
            .file
            .metadata()
            .map_err(|error| SourceChanged::new(error.to_string()))?;
        if metadata.len() != self.size {
            let (before, now) = (self.size, metadata.len());
            return Err(SourceChanged::new(format!(
                "it had {before} bytes, and has {now}"
            )));
        }
        if modified(&metadata) != self.modified {
            return Err(SourceChanged::new("it was written to"));
        }
        Ok(())
    }
}

/// Bytes in memory, given as they lie there.
impl ReplaySource for Bytes {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, len: u64) -> Box<dyn BodySource> {
        let within = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(self.len());
        let slice = self.slice(within(offset)..within(offset.saturating_add(len)));
        Box::new(Once(slice))
    }
}

struct Once(Bytes);

impl BodySource for Once {
    fn next(&mut self) -> NextPiece<'_> {
        let bytes = std::mem::take(&mut self.0);
        Box::pin(std::future::ready(Ok(bytes)))
    }
}

/// A source, and what is known of its checksum.
#[derive(Debug)]
pub(super) struct Reread<R> {
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
    /// Where committed and hashed last met.
    point: (u64, Crc32c),
    /// What the body's bytes up to the tally's mark must sum up to, where that is known: they were read before.
    expected: Option<Crc32c>,
    changed: Option<SourceChanged>,
}

impl<R: ReplaySource> Reread<R> {
    /// All of `source`, of which the first `from` bytes are known to sum up to `crc32c`.
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

    /// Whether all bytes go with one request, whose checksum is therefore read before.
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

    /// Whether the source is known to give other bytes than before.
    fn unchanged(&self) -> io::Result<()> {
        let changed = match &self.changed {
            Some(changed) => Err(changed.clone()),
            None => self.source.check(),
        };
        changed.map_err(io::Error::other)
    }

    /// Learns from the bytes that were read to be sent.
    fn collect(&mut self) {
        let read = *self.tally.lock();
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
        // All of it from the mark on: a body that failed can still be read ahead, and grows between two calls.
        let fresh = read.at - read.mark;
        // `None` only beyond the memory units of this machine; the bytes are then read again.
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

impl<R: ReplaySource + Sync> Supply for Reread<R> {
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

    fn let_go(&mut self, committed: u64) {
        self.collect();
        if self.hashed == committed {
            self.point = (committed, self.crc32c);
        }
    }

    async fn body(&mut self, offset: u64, len: u64) -> io::Result<Body> {
        self.hash_up_to(offset).await?;
        self.unchanged()?;
        self.expected = self.known_from(offset);
        self.tally = Tally::new(offset, self.hashed);
        self.marked = self.crc32c;
        let tallied = Tallied {
            source: self.source.read(offset, len),
            rest: len,
            tally: self.tally.clone(),
        };
        Ok(Body::source(len, tallied))
    }

    fn sum(&mut self, offset: u64, len: u64) -> Option<Crc32c> {
        let read = *self.tally.lock();
        (read.at == offset + len).then_some(read.crc32c)
    }

    async fn whole(&mut self) -> io::Result<Crc32c> {
        self.hash_up_to(self.source.size()).await?;
        Ok(self.crc32c)
    }

    fn check(&mut self) -> io::Result<()> {
        self.collect();
        self.unchanged()
    }

    fn resume_point(&self, _committed: u64) -> (u64, Crc32c) {
        self.point
    }
}

/// The checksum of a body while it is read. Clones show the same.
#[derive(Debug, Clone)]
struct Tally(Arc<Mutex<Read>>);

#[derive(Debug, Clone, Copy)]
struct Read {
    /// The object's byte that comes next.
    at: u64,
    /// The checksum of the body up to there.
    crc32c: Crc32c,
    /// Up to where the object's checksum was known before.
    mark: u64,
    /// The checksum of the body up to there, once it was read.
    at_mark: Option<Crc32c>,
}

impl Tally {
    fn new(at: u64, mark: u64) -> Self {
        Self(Arc::new(Mutex::new(Read {
            at,
            crc32c: Crc32c::default(),
            mark,
            at_mark: (at == mark).then(Crc32c::default),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Read> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, piece: &[u8]) {
        let mut read = self.lock();
        let ahead = read.mark.saturating_sub(read.at);
        let known = usize::try_from(ahead).unwrap_or(usize::MAX).min(piece.len());
        read.crc32c = read.crc32c.append(&piece[..known]);
        if read.at_mark.is_none() && known as u64 == ahead {
            read.at_mark = Some(read.crc32c);
        }
        read.crc32c = read.crc32c.append(&piece[known..]);
        read.at += piece.len() as u64;
    }
}

/// A body that tells what it gave.
struct Tallied {
    source: Box<dyn BodySource>,
    rest: u64,
    tally: Tally,
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

#[cfg(test)]
mod tests {
    use super::super::error::UploadError;
    use super::*;

    fn bytes(len: usize) -> Bytes {
        (0..=250).cycle().take(len).collect()
    }

    /// Reads `len` of what `body` gives, in the pieces that come.
    async fn read(supply: &mut Reread<Bytes>, offset: u64, len: u64, read: u64) {
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
                let mut supply = Reread::new(all.clone(), 0, Crc32c::default(), None);
                read(&mut supply, 0, 500, cut).await;
                supply.let_go(committed);
                assert_eq!(supply.hashed, cut);
                let sum = supply.sum(0, 500);
                assert_eq!(sum, (cut == 500).then(|| Crc32c::of(&all[..500])));
                // The rest of it, over what was read before.
                let len = 700 - committed;
                read(&mut supply, committed, len, len).await;
                let from = usize::try_from(committed).expect("small");
                assert_eq!(supply.sum(committed, len), Some(Crc32c::of(&all[from..700])));
                supply.let_go(700);
                assert_eq!(supply.resume_point(700), (700, Crc32c::of(&all[..700])));
                assert_eq!(supply.whole().await.expect("in memory"), Crc32c::of(&all));
            }
        }
    }

    #[tokio::test]
    async fn what_another_process_sent_is_read_for_its_checksum_only() {
        let all = bytes(1000);
        let mut supply = Reread::new(all.clone(), 100, Crc32c::of(&all[..100]), None);
        assert_eq!(supply.resume_point(500), (100, Crc32c::of(&all[..100])));
        read(&mut supply, 500, 200, 200).await;
        supply.let_go(700);
        assert_eq!(supply.resume_point(700), (700, Crc32c::of(&all[..700])));
        assert_eq!(supply.whole().await.expect("in memory"), Crc32c::of(&all));
    }

    #[tokio::test]
    async fn a_body_that_is_still_read_after_it_failed_does_no_harm() {
        let all = bytes(1000);
        let mut supply = Reread::new(all.clone(), 0, Crc32c::default(), None);
        read(&mut supply, 0, 100, 100).await;
        let _sent_elsewhere = supply.body(50, 900).await.expect("in memory");
        let tally = supply.tally.clone();
        for (from, to) in [(50, 90), (90, 200), (200, 201), (201, 500), (500, 900)] {
            tally.append(&all[from..to]);
            supply.let_go(0);
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
            let mut supply = Reread::new(before.clone(), 0, Crc32c::default(), None);
            read(&mut supply, 0, 500, 500).await;
            supply.let_go(from);
            supply.check().expect("the same");
            // Where it is known what was read from there on.
            read(&mut supply, from, 1000 - from, 1000 - from).await;
            supply.check().expect("the same");
            supply.source = after.clone();
            read(&mut supply, 0, 1000, 1000).await;
            let error = UploadError::source(&supply.check().expect_err("other bytes"));
            assert!(matches!(error, UploadError::Changed(_)), "{error}");
            assert!(supply.body(0, 1000).await.is_err());
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
                Box::new(Once(Bytes::from_static(b"short")))
            }
        }
        let mut supply = Reread::new(Short, 0, Crc32c::default(), None);
        let error = supply.whole().await.expect_err("five bytes are missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
