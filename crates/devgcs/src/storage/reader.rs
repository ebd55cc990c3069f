//! Reading a range of an object's bytes, chunk by chunk.

use std::fs::File;
use std::future::Future as _;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{Content, Store};

/// Bytes read from a file at once.
const READ_SIZE: u64 = 256 * 1024;

/// The bytes of a range, in order.
#[derive(Debug)]
pub(crate) struct Reader {
    source: Source,
    remaining: u64,
}

#[derive(Debug)]
enum Source {
    Memory {
        chunks: Arc<[Bytes]>,
        index: usize,
        /// Bytes of the chunk at `index` that were read or skipped.
        skip: usize,
    },
    File {
        file: Arc<File>,
        offset: u64,
        pending: Option<JoinHandle<io::Result<Bytes>>>,
    },
}

impl Reader {
    /// Reads `range` of `content`; an error if the bytes are not kept.
    pub(crate) fn open(store: &Store, content: &Content, range: Range<u64>) -> io::Result<Self> {
        let source = match (content, store.directory()) {
            (Content::Memory(chunks), _) => {
                let (mut index, mut before) = (0, range.start);
                while let Some(chunk) = chunks.get(index)
                    && before >= chunk.len() as u64
                {
                    before -= chunk.len() as u64;
                    index += 1;
                }
                Source::Memory {
                    chunks: Arc::clone(chunks),
                    index,
                    skip: usize::try_from(before).map_err(io::Error::other)?,
                }
            }
            (Content::File(blob), Some(directory)) => Source::File {
                file: Arc::new(directory.open_blob(blob)?),
                offset: range.start,
                pending: None,
            },
            (Content::File(_) | Content::Discarded, _) => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "the bytes are not kept",
                ));
            }
        };
        Ok(Self {
            source,
            remaining: range.end.saturating_sub(range.start),
        })
    }

    /// Whether the bytes to come, at most a few, are these. Reads a file at once, without waiting beside the runtime.
    pub(crate) fn begins_with(mut self, wanted: &[u8]) -> bool {
        if self.remaining < wanted.len() as u64 {
            return false;
        }
        let mut found = Vec::new();
        if let Source::File { file, offset, .. } = &self.source {
            let read = read_at(file, *offset, wanted.len() as u64);
            return read.is_ok_and(|bytes| bytes == wanted);
        }
        let mut context = Context::from_waker(std::task::Waker::noop());
        while found.len() < wanted.len() {
            match self.poll_next(&mut context) {
                Poll::Ready(Some(Ok(bytes))) => found.extend_from_slice(&bytes),
                _ => return false,
            }
        }
        found.starts_with(wanted)
    }

    /// Bytes still to come.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The next bytes, `None` at the end.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let next = match &mut self.source {
            Source::Memory { chunks, index, skip } => match chunks.get(*index) {
                Some(chunk) => {
                    let left = chunk.len() - *skip;
                    let len = usize::try_from(self.remaining).map_or(left, |wanted| left.min(wanted));
                    let bytes = chunk.slice(*skip..*skip + len);
                    (*index, *skip) = (*index + 1, 0);
                    Ok(bytes)
                }
                None => Err(io::ErrorKind::UnexpectedEof.into()),
            },
            Source::File {
                file,
                offset,
                pending,
            } => {
                let job = pending.get_or_insert_with(|| {
                    let (file, at, len) = (Arc::clone(file), *offset, self.remaining.min(READ_SIZE));
                    tokio::task::spawn_blocking(move || read_at(&file, at, len))
                });
                let read = ready!(Pin::new(job).poll(context));
                *pending = None;
                let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
                if let Ok(bytes) = &read {
                    *offset += bytes.len() as u64;
                }
                read
            }
        };
        match &next {
            Ok(bytes) => self.remaining -= bytes.len() as u64,
            Err(_) => self.remaining = 0,
        }
        Poll::Ready(Some(next))
    }

    /// The next bytes, `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }
}

fn read_at(file: &File, offset: u64, len: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut buffer, offset)?;
    Ok(buffer.into())
}
