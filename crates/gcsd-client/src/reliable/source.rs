//! Sources that can be read again, so that nothing of them is held.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
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

/// What can be uploaded of a file.
#[derive(Debug)]
pub enum FileContent {
    /// It has the bytes that its size says, and can be read again.
    Sized(FileSource),
    /// It can be read once, from its position to its end: a pipe, a device, or a regular file whose size is a claim that
    /// its bytes do not keep. Files of `/proc` say 0 and have more, those of `/sys` say 4,096 and have less, and a network
    /// mount may learn a size late.
    Stream(File),
}

impl FileContent {
    /// Looks at what `file` is, and whether its last byte is where its size says. Nothing is read from its position.
    pub fn of(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "a directory"));
        }
        if !metadata.is_file() || ends_elsewhere(&file, metadata.len())?.is_some() {
            return Ok(Self::Stream(file));
        }
        Ok(Self::Sized(FileSource::with(file, &metadata)))
    }
}

/// A file, with the size that it had when it was opened. It counts as changed when its size or its modification time
/// changes, or when other bytes than its size says can be read.
#[derive(Debug, Clone)]
pub struct FileSource {
    file: Arc<File>,
    size: u64,
    modified: Modified,
}

/// When a file was last written to: seconds since 1970, and nanoseconds.
type Modified = (i64, i64);

impl FileSource {
    /// All of `file`, which must be a regular file that ends where its size says: others cannot be read at any position,
    /// again and again. [`FileContent::of`] takes any.
    pub fn new(file: File) -> io::Result<Self> {
        let unfit = |text| Err(io::Error::new(io::ErrorKind::NotSeekable, text));
        match FileContent::of(file)? {
            FileContent::Sized(source) => Ok(source),
            FileContent::Stream(file) => match file.metadata()?.is_file() {
                true => unfit("its size is not that of its bytes: it can be read once, as a stream"),
                false => unfit("not a regular file"),
            },
        }
    }

    fn with(file: File, metadata: &Metadata) -> Self {
        Self {
            file: Arc::new(file),
            size: metadata.len(),
            modified: modified(metadata),
        }
    }

    /// When the file was last written to, as of when it was opened: seconds since 1970, and nanoseconds.
    pub fn modified(&self) -> (i64, i64) {
        self.modified
    }
}

fn modified(metadata: &Metadata) -> Modified {
    (metadata.mtime(), metadata.mtime_nsec())
}

/// Where a file ends that should have `size` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    Before,
    Behind,
}

/// Looks whether the byte before `size` is the last one of `file`: `None` if so.
///
/// A file that is growing is not a case for this: its size has changed too, and the uploader sees that.
fn ends_elsewhere(file: &File, size: u64) -> io::Result<Option<Elsewhere>> {
    let last = u64::from(size > 0);
    let count = loop {
        match file.read_at(&mut [0; 2], size - last) {
            Ok(count) => break count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // It cannot be read at that position. Whoever reads it from its start will see what of it can be.
            Err(_) => return Ok(Some(Elsewhere::Before)),
        }
    };
    if count == last || file.metadata()?.len() != size {
        return Ok(None);
    }
    Ok(Some(match count < last {
        true => Elsewhere::Before,
        false => Elsewhere::Behind,
    }))
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
        let size = self.size;
        // What cannot be read is for the upload to say.
        match ends_elsewhere(&self.file, size).ok().flatten() {
            Some(Elsewhere::Behind) => Err(SourceChanged::new(format!(
                "it had {size} bytes, and more can be read now"
            ))),
            _ => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn content(path: &str) -> FileContent {
        FileContent::of(File::open(path).expect("it is there")).expect("a file")
    }

    #[test]
    fn a_size_is_believed_where_the_bytes_keep_it() {
        // One says 0, and one is a device.
        for path in ["/proc/cpuinfo", "/dev/zero"] {
            assert!(matches!(content(path), FileContent::Stream(_)), "{path}");
            let error = FileSource::new(File::open(path).expect("it is there")).expect_err("no size");
            assert_eq!(error.kind(), io::ErrorKind::NotSeekable);
        }
        assert!(FileContent::of(File::open(".").expect("it is there")).is_err());
        for len in [0, 1, 2, 5000] {
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            file.write_all(&vec![7; len]).expect("written");
            let source = FileSource::new(file.reopen().expect("a file")).expect("a size");
            assert_eq!(source.size(), len as u64);
            source.check().expect("the same");
            file.write_all(b"x").expect("written");
            let changed = source.check().expect_err("it grew").to_string();
            assert!(
                changed.ends_with(&format!("it had {len} bytes, and has {}", len + 1)),
                "{changed}"
            );
        }
    }

    #[tokio::test]
    async fn a_file_that_ends_early_says_where() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&[7; 1000]).expect("written");
        let source = FileSource::new(file.reopen().expect("a file")).expect("a size");
        file.as_file().set_len(600).expect("shorter");
        let error = source.read(100, 900).next().await.expect_err("it is shorter");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(
            error.to_string(),
            "the file ends after 600 bytes, and 1000 at least were expected"
        );
    }
}
