//! Sources that can be read again, so that nothing of them is held.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use bytes::Bytes;

use super::super::{BodySource, FileBody, NextPiece};

/// Bytes that can be read from any offset, again and again, and are the same each time.
pub trait ReplaySource: Send + 'static {
    /// How many there are.
    fn size(&self) -> u64;

    /// The `len` bytes from `offset` on, which lie within [`size`](Self::size).
    fn read(&self, offset: u64, len: u64) -> Box<dyn BodySource>;

    /// Fails if the bytes are known to have changed. Called before bytes are read to be sent, and before the object is
    /// finished.
    fn check(&self) -> Result<(), SourceChanged> {
        Ok(())
    }
}

/// The source changed during the upload, so that the object would have bytes of both versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the source changed during the upload: {0}")]
pub struct SourceChanged(String);

impl SourceChanged {
    /// `how` says what is seen of the change.
    pub fn new(how: impl Into<String>) -> Self {
        Self(how.into())
    }
}

/// A file, with the size that it had when it was opened. It counts as changed when its size or its modification time
/// changes.
#[derive(Debug, Clone)]
pub struct FileSource {
    file: Arc<File>,
    size: u64,
    modified: Modified,
}

/// When a file was last written to: seconds since 1970, and nanoseconds.
type Modified = (i64, i64);

impl FileSource {
    /// All of `file`, which must be a regular file: others cannot be read at any position.
    pub fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::NotSeekable, "not a regular file"));
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

/// Bytes in memory, which are not copied.
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
