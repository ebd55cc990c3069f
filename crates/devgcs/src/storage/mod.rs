//! Where bodies are kept: in memory, in a directory, or nowhere.
//!
//! A [`Writer`] takes an upload's bytes in order and knows their checksums; [`Writer::complete`] turns
//! them into [`Content`], which never changes again, and which a [`Reader`] reads.

mod digest;
mod directory;
mod file;
mod reader;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::error::Error;
pub(crate) use digest::{Digest, Digests};
pub(crate) use directory::{BlobId, Directory};
use file::FileWriter;
pub(crate) use reader::Reader;

/// Where a server keeps the bytes of objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Storage {
    /// In memory, until the server ends.
    #[default]
    Memory,
    /// In this directory, which is created if it is missing. Objects and unfinished uploads survive the process,
    /// even one that is killed. A directory serves one server at a time.
    Directory(PathBuf),
    /// Nowhere: the server keeps sizes and checksums only, and refuses to read an object's bytes.
    Discard,
}

/// The storage of a running server.
#[derive(Debug)]
pub(crate) struct Store {
    medium: Medium,
    /// Compute MD5.
    md5: bool,
}

#[derive(Debug)]
enum Medium {
    /// Chunks on the heap.
    Memory,
    /// Nothing but sizes and checksums.
    Discard,
    /// Files, which outlive the process.
    Directory(Arc<Directory>),
}

impl Store {
    /// Opens the storage that a server is set up with. May block.
    pub(crate) fn open(storage: &Storage, md5: bool) -> io::Result<Self> {
        let medium = match storage {
            Storage::Memory => Medium::Memory,
            Storage::Discard => Medium::Discard,
            Storage::Directory(root) => Medium::Directory(Arc::new(Directory::open(root)?)),
        };
        Ok(Self { medium, md5 })
    }

    /// Whether MD5 is computed.
    pub(crate) fn has_md5(&self) -> bool {
        self.md5
    }

    /// Runs a piece of work that writes to the storage: beside the runtime if it may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self.medium {
            Medium::Memory | Medium::Discard => work(),
            Medium::Directory(_) => match tokio::task::spawn_blocking(work).await {
                Ok(result) => result,
                Err(error) => Err(io::Error::other(error).into()),
            },
        }
    }

    /// The directory, if bodies are kept in one.
    pub(crate) fn directory(&self) -> Option<&Arc<Directory>> {
        match &self.medium {
            Medium::Directory(directory) => Some(directory),
            Medium::Memory | Medium::Discard => None,
        }
    }

    /// The same bytes as an independent content; nothing is copied. May block.
    pub(crate) fn duplicate(&self, content: &Content) -> io::Result<Content> {
        match (content, self.directory()) {
            (Content::File(blob), Some(directory)) => Ok(Content::File(directory.link_blob(blob)?)),
            (content, _) => Ok(content.clone()),
        }
    }

    /// The bytes of `contents`, one after the other. May block.
    pub(crate) fn join<'a>(&self, contents: impl Iterator<Item = &'a Content>) -> io::Result<Content> {
        match &self.medium {
            Medium::Memory => {
                let chunks = contents.flat_map(|content| match content {
                    Content::Memory(chunks) => &chunks[..],
                    Content::Discarded | Content::File(_) => &[],
                });
                Ok(Content::Memory(chunks.cloned().collect()))
            }
            Medium::Discard => Ok(Content::Discarded),
            Medium::Directory(directory) => {
                let blobs = contents.filter_map(|content| match content {
                    Content::File(blob) => Some(blob),
                    Content::Memory(_) | Content::Discarded => None,
                });
                Ok(Content::File(FileWriter::join(directory, blobs)?))
            }
        }
    }

    /// Removes bytes that no object has any more. May block.
    pub(crate) fn remove(&self, content: &Content) {
        if let (Content::File(blob), Some(directory)) = (content, self.directory()) {
            directory.remove_blob(blob);
        }
    }

    /// A place for the bytes of a new upload.
    pub(crate) fn writer(&self) -> io::Result<Writer> {
        let sink = match &self.medium {
            Medium::Memory => Sink::Memory(Vec::new()),
            Medium::Discard => Sink::Discard,
            Medium::Directory(directory) => Sink::File(FileWriter::create(directory)?),
        };
        Ok(Writer {
            sink,
            digest: Digest::new(self.md5),
        })
    }

    /// Continues after the `len` bytes that an earlier process left in `blob`. May block.
    pub(crate) fn reopen(&self, blob: BlobId, len: u64) -> io::Result<Writer> {
        let directory = self.directory().ok_or(io::ErrorKind::Unsupported)?;
        let mut digest = Digest::new(self.md5);
        let file = FileWriter::reopen(directory, blob, len, |bytes| digest.update(bytes))?;
        Ok(Writer {
            sink: Sink::File(file),
            digest,
        })
    }
}

#[derive(Debug)]
enum Sink {
    Memory(Vec<Bytes>),
    Discard,
    File(FileWriter),
}

/// The bytes of an upload so far, and their checksums.
#[derive(Debug)]
pub(crate) struct Writer {
    sink: Sink,
    digest: Digest,
}

impl Writer {
    /// Bytes taken so far.
    pub(crate) fn len(&self) -> u64 {
        self.digest.len()
    }

    /// The file behind it, if any.
    pub(crate) fn blob(&self) -> Option<&BlobId> {
        match &self.sink {
            Sink::File(file) => Some(file.id()),
            Sink::Memory(_) | Sink::Discard => None,
        }
    }

    /// Appends `pieces`; on an error none of them counts.
    pub(crate) fn append(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Memory(chunks) => chunks.extend(gather(pieces)),
            Sink::Discard => {}
            Sink::File(file) => file.write_at(self.digest.len(), pieces)?,
        }
        for piece in pieces {
            self.digest.update(piece);
        }
        Ok(())
    }

    /// The content of the bytes so far and `tail`.
    ///
    /// The tail does not count in [`Self::len`], so that an upload whose checksum is wrong can continue.
    pub(crate) fn complete(&mut self, tail: &[Bytes]) -> io::Result<(Content, Digests)> {
        let content = match &mut self.sink {
            Sink::Memory(chunks) => {
                let whole: Vec<Bytes> = chunks.iter().cloned().chain(gather(tail)).collect();
                Content::Memory(whole.into())
            }
            Sink::Discard => Content::Discarded,
            Sink::File(file) => {
                file.write_at(self.digest.len(), tail)?;
                let tail_len: u64 = tail.iter().map(|piece| piece.len() as u64).sum();
                file.seal(self.digest.len() + tail_len)?;
                Content::File(file.id().clone())
            }
        };
        Ok((content, self.digest.clone().finish(tail)))
    }

    /// Keeps the file when this is dropped.
    pub(crate) fn keep(&mut self) {
        self.set_kept(true);
    }

    /// Removes the bytes.
    pub(crate) fn discard(mut self) {
        self.set_kept(false);
    }

    fn set_kept(&mut self, kept: bool) {
        if let Sink::File(file) = &mut self.sink {
            file.set_kept(kept);
        }
    }
}

/// Copies `pieces` into one allocation of their exact size: a piece is a slice of the connection's
/// read buffer, and would keep all of that alive.
fn gather(pieces: &[Bytes]) -> Option<Bytes> {
    let len = pieces.iter().map(Bytes::len).sum();
    let mut chunk = BytesMut::with_capacity(len);
    for piece in pieces {
        chunk.extend_from_slice(piece);
    }
    (len > 0).then(|| chunk.freeze())
}

/// The bytes of an object: they never change, and clones share them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Content {
    /// Chunks of any size.
    #[serde(skip)]
    Memory(Arc<[Bytes]>),
    /// Not kept.
    #[serde(skip)]
    Discarded,
    /// A file.
    File(BlobId),
}
