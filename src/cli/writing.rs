//! Writing on a thread of its own, a few pieces behind.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Pieces that wait to be written.
const WAITING: usize = 8;

/// Something that is being written to. Dropped, it writes what it has, and no more.
pub(super) struct Writing {
    pieces: mpsc::Sender<Bytes>,
    thread: JoinHandle<io::Result<()>>,
}

impl Writing {
    /// Begins to write.
    pub(super) fn begin(mut to: impl Write + Send + 'static) -> Self {
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(WAITING);
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(piece) = waiting.blocking_recv() {
                to.write_all(&piece)?;
            }
            to.flush()
        });
        Self { pieces, thread }
    }

    /// Writes `piece`, waiting while too many are ahead of it. `false` if writing has failed, which
    /// [`end`](Self::end) tells.
    pub(super) async fn write(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Waits until all is written.
    pub(super) async fn end(self) -> io::Result<()> {
        drop(self.pieces);
        self.thread.await.map_err(io::Error::other).flatten()
    }
}

/// A file, written from an offset on, whatever else is written elsewhere in it.
pub(super) struct Region {
    file: Arc<File>,
    offset: u64,
}

impl Region {
    pub(super) fn new(file: Arc<File>, offset: u64) -> Self {
        Self { file, offset }
    }
}

impl Write for Region {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write_at(bytes, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn regions_of_one_file_are_written_beside_each_other() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let shared = Arc::new(file.reopen().expect("the file"));
        let second = Writing::begin(Region::new(shared.clone(), 3));
        let first = Writing::begin(Region::new(shared, 0));
        for (region, pieces) in [(second, ["de", "f"]), (first, ["a", "bc"])] {
            for piece in pieces {
                assert!(region.write(Bytes::from_static(piece.as_bytes())).await);
            }
            region.end().await.expect("written");
        }
        assert_eq!(std::fs::read(file.path()).expect("the file"), b"abcdef");
    }

    #[tokio::test]
    async fn what_failed_is_told_at_the_end() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let writing = Writing::begin(full.expect("Linux has it"));
        // The first piece may be taken before it fails.
        while writing.write(Bytes::from_static(b"x")).await {}
        let error = writing.end().await.expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
