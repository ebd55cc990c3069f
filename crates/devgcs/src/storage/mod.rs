//! Where bodies are kept: in memory, in a directory, or nowhere.
//!
//! A [`Writer`] takes an upload's bytes in order and knows their checksums; [`Writer::complete`] turns
//! them into [`Content`], which never changes again, and which a [`Reader`] reads.

mod digest;
mod directory;
mod file;
mod reader;

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::error::Error;
pub(crate) use digest::{Digest, Digests};
pub(crate) use directory::{BlobId, Directory};
use file::FileWriter;
pub(crate) use reader::Reader;

/// The storage of a running server.
#[derive(Debug, Clone)]
pub(crate) enum Keep {
    /// Chunks on the heap.
    Memory,
    /// Nothing but sizes and checksums.
    Discard,
    /// Files, which outlive the process.
    Directory(Arc<Directory>),
}

impl Keep {
    /// Runs a piece of work that writes to the storage: beside the runtime where it may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self {
            Self::Memory | Self::Discard => work(),
            Self::Directory(_) => match tokio::task::spawn_blocking(work).await {
                Ok(result) => result,
                Err(error) => Err(io::Error::other(error).into()),
            },
        }
    }

    /// The directory, where that is what keeps the bodies.
    pub(crate) fn directory(&self) -> Option<&Arc<Directory>> {
        match self {
            Self::Directory(directory) => Some(directory),
            Self::Memory | Self::Discard => None,
        }
    }

    /// The same bytes once more, with a life of their own; nothing is copied. May block.
    pub(crate) fn duplicate(&self, content: &Content) -> io::Result<Content> {
        match (content, self) {
            (Content::File(blob), Self::Directory(directory)) => {
                Ok(Content::File(directory.link_blob(blob)?))
            }
            (content, _) => Ok(content.clone()),
        }
    }

    /// The bytes of `contents`, one after the other. May block.
    pub(crate) fn join<'a>(&self, contents: impl Iterator<Item = &'a Content>) -> io::Result<Content> {
        match self {
            Self::Memory => {
                let chunks = contents.flat_map(|content| match content {
                    Content::Memory(chunks) => &chunks[..],
                    Content::Discarded | Content::File(_) => &[],
                });
                Ok(Content::Memory(chunks.cloned().collect()))
            }
            Self::Discard => Ok(Content::Discarded),
            Self::Directory(directory) => {
                let blobs = contents.filter_map(|content| match content {
                    Content::File(blob) => Some(blob),
                    Content::Memory(_) | Content::Discarded => None,
                });
                Ok(Content::File(directory.join_blobs(blobs)?))
            }
        }
    }

    /// A place for the bytes of a new upload.
    pub(crate) fn writer(&self, md5: bool) -> io::Result<Writer> {
        let sink = match self {
            Self::Memory => Sink::Memory(Vec::new()),
            Self::Discard => Sink::Discard,
            Self::Directory(directory) => Sink::File(FileWriter::create(directory)?),
        };
        Ok(Writer {
            sink,
            digest: Digest::new(md5),
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
    /// Goes on with the `len` bytes that an earlier process left in `blob`.
    pub(crate) fn reopen(directory: &Arc<Directory>, blob: BlobId, len: u64, md5: bool) -> io::Result<Self> {
        let mut digest = Digest::new(md5);
        let file = FileWriter::reopen(directory, blob, len, |bytes| digest.update(bytes))?;
        Ok(Self {
            sink: Sink::File(file),
            digest,
        })
    }

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

    /// Takes `pieces`; on an error none of them counts.
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

    /// What the bytes so far and `tail` make together.
    ///
    /// The tail does not count in [`Self::len`], so that whoever finds the whole wanting can go on.
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

    /// Leaves the file behind when this is dropped: without it, what is not wanted any more goes.
    pub(crate) fn keep(&mut self) {
        self.set_kept(true);
    }

    /// Throws the bytes away.
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
