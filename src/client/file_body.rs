//! A part of a file as a body: read ahead, and checksummed on the way.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::task::{JoinHandle, spawn_blocking};

use super::body::{BodySource, NextPiece};
use crate::types::Crc32c;

/// How much is read at a time, in bytes. Two such pieces are in memory, one being sent, one being read.
const PIECE_LEN: usize = 512 * 1024;

/// Buffers that are kept for reuse: the piece being sent, and the one before it.
const SPARES: usize = 2;

/// What has been read of a body, and its checksum. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Sum(Arc<Mutex<(u64, Crc32c)>>);

impl Sum {
    /// Bytes read from the start of the body, and their checksum.
    ///
    /// It runs ahead of what was sent by up to two pieces; once the reply to the whole body is there, it
    /// covers the whole body.
    pub fn get(&self) -> (u64, Crc32c) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `bytes` in; a source of another make has its own sum.
    pub fn append(&self, bytes: &[u8]) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sum.0 += bytes.len() as u64;
        sum.1 = sum.1.append(bytes);
    }
}

/// `len` bytes of a file, from an offset.
///
/// It uses positioned reads: the file's own position stays as it is, and several bodies can read one
/// file at once. Reading and checksumming happen on a thread of their own, one piece ahead of the socket.
#[derive(Debug)]
pub struct FileBody {
    file: Arc<File>,
    offset: u64,
    rest: u64,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
    spares: VecDeque<Bytes>,
    sum: Sum,
}

impl FileBody {
    /// `len` bytes of `file`, from `offset`.
    pub fn new(file: Arc<File>, offset: u64, len: u64) -> Self {
        Self {
            file,
            offset,
            rest: len,
            ahead: None,
            spares: VecDeque::with_capacity(SPARES),
            sum: Sum::default(),
        }
    }

    /// What has been read so far; the handle stays valid when the body has been handed over.
    pub fn sum(&self) -> Sum {
        self.sum.clone()
    }

    /// Starts reading the next piece, if there is one.
    fn read_ahead(&mut self) -> Option<JoinHandle<io::Result<Bytes>>> {
        let len = usize::try_from(self.rest).unwrap_or(usize::MAX).min(PIECE_LEN);
        if len == 0 {
            return None;
        }
        let buffer = self.buffer();
        let (file, offset, sum) = (self.file.clone(), self.offset, self.sum.clone());
        self.offset = self.offset.saturating_add(len as u64);
        self.rest -= len as u64;
        Some(spawn_blocking(move || {
            let mut buffer = buffer;
            buffer.resize(len, 0);
            file.read_exact_at(&mut buffer, offset)?;
            sum.append(&buffer);
            Ok(buffer.freeze())
        }))
    }

    /// A buffer that has been sent, or a new one.
    fn buffer(&mut self) -> BytesMut {
        if self.spares.len() < SPARES {
            return BytesMut::with_capacity(PIECE_LEN);
        }
        self.spares
            .pop_front()
            .and_then(|oldest| oldest.try_into_mut().ok())
            .unwrap_or_else(|| BytesMut::with_capacity(PIECE_LEN))
    }
}

impl BodySource for FileBody {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(async move {
            let Some(reading) = self.ahead.take().or_else(|| self.read_ahead()) else {
                return Ok(Bytes::new());
            };
            let piece = reading.await.map_err(io::Error::other)??;
            self.ahead = self.read_ahead();
            self.spares.push_back(piece.clone());
            Ok(piece)
        })
    }
}
