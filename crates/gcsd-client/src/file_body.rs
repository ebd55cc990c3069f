//! A part of a file as a body, read ahead.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::task::{JoinHandle, spawn_blocking};

use super::body::{BodySource, NextPiece};

/// How much is read at a time, in bytes. Two such pieces are in memory: one being sent, one being read.
const PIECE_LEN: usize = 512 * 1024;

/// Buffers kept for reuse: the piece being sent, and the one before it.
const SPARES: usize = 2;

/// `len` bytes of a file, from an offset.
///
/// It uses positioned reads: the file's own position stays as it is, and several bodies can read one
/// file at once. Reading happens on a thread of its own, one piece ahead of the socket.
#[derive(Debug)]
pub struct FileBody {
    file: Arc<File>,
    offset: u64,
    rest: u64,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
    spares: VecDeque<Bytes>,
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
        }
    }

    /// Starts reading the next piece, if there is one.
    fn read_ahead(&mut self) -> Option<JoinHandle<io::Result<Bytes>>> {
        let len = usize::try_from(self.rest).unwrap_or(usize::MAX).min(PIECE_LEN);
        if len == 0 {
            return None;
        }
        let buffer = self.buffer();
        let (file, offset) = (self.file.clone(), self.offset);
        self.offset = self.offset.saturating_add(len as u64);
        self.rest -= len as u64;
        Some(spawn_blocking(move || {
            let mut buffer = buffer;
            buffer.resize(len, 0);
            fill(&file, &mut buffer, offset)?;
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

/// Reads as many bytes as `buffer` has. A file that ends before them is an error that says where.
fn fill(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset.saturating_add(filled as u64)) {
            Ok(0) => {
                let (end, wanted) = (offset + filled as u64, offset + buffer.len() as u64);
                let text = format!("the file ends after {end} bytes, and {wanted} at least were expected");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
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
