//! A pipe: bytes that can be read once, on a thread of their own, into buffers that are handed over as they are.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};
use clap::Args;
use tokio::sync::mpsc;

use super::exit::Failure;
use super::units;
use gcsd_client::{RetryPolicy, WriterOptions};
use gcsd_types::CHUNK_ALIGNMENT;

/// How much is read before it is handed over, in bytes. Two such pieces wait at most.
const PIECE: usize = 256 * 1024;

/// How a pipe is cut and held.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "A pipe")]
pub(super) struct Chunks {
    /// The most bytes of one request: a multiple of 256 KiB.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = chunk)]
    chunk: u64,
    /// The most bytes that are held for sending them again; whoever writes to the pipe then waits.
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = units::size)]
    max_held: u64,
}

fn chunk(text: &str) -> Result<u64, String> {
    let size = units::size(text)?;
    if size == 0 || size % CHUNK_ALIGNMENT != 0 {
        return Err("it must be a multiple of 256 KiB".to_owned());
    }
    Ok(size)
}

impl Chunks {
    /// As the library has it.
    pub(super) fn options(&self, retries: RetryPolicy) -> Result<WriterOptions, Failure> {
        let defaults = WriterOptions::default();
        let options = defaults
            .clone()
            .with_chunks(defaults.min_chunk.min(self.chunk), self.chunk)
            .with_max_held(usize::try_from(self.max_held).unwrap_or(usize::MAX))
            .with_retries(retries);
        let least = options.min_chunk + 2 * CHUNK_ALIGNMENT;
        options.check().map_err(|_| {
            let least = units::show_size(least);
            Failure::usage(format!(
                "--max-held must hold what is on its way and what comes next: at least {least}, and what memory has"
            ))
        })?;
        Ok(options)
    }
}

/// A reader on a thread of its own, ahead of its consumer.
pub(super) struct Pipe {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
}

impl Pipe {
    /// Reads `input` to its end.
    pub(super) fn read(input: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, pieces) = mpsc::channel(1);
        let read = move || copy(input, &sender);
        // Nobody waits for this thread: what blocks in a read must not hold up the exit.
        let _reader = std::thread::Builder::new().name("input".into()).spawn(read)?;
        Ok(Self { pieces })
    }

    /// Takes nothing more: the reader ends with its next piece.
    pub(super) fn close(&mut self) {
        self.pieces.close();
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self.pieces.recv().await {
            Some(Ok(piece)) if piece.is_empty() => Ok(None),
            Some(piece) => piece.map(Some),
            // An end that was not said is none: the object would be too short.
            None => Err(io::Error::other("the input's reader is gone")),
        }
    }
}

/// Hands over full pieces, and at the end an empty one.
fn copy(mut input: impl Read, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let piece = fill(&mut input);
        let (short, failed) = (piece.as_ref().map_or(0, Bytes::len) < PIECE, piece.is_err());
        let empty = matches!(&piece, Ok(piece) if piece.is_empty());
        // Nobody takes them any more once the upload has ended.
        if pieces.blocking_send(piece).is_err() || failed || empty {
            return;
        }
        if short {
            let _ended = pieces.blocking_send(Ok(Bytes::new()));
            return;
        }
    }
}

/// Reads until a piece is full or the input ends.
fn fill(input: &mut impl Read) -> io::Result<Bytes> {
    let mut piece = BytesMut::zeroed(PIECE);
    let mut len = 0;
    while len < PIECE {
        match input.read(&mut piece[len..]) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(len);
    Ok(piece.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(input: impl Read + Send + 'static) -> io::Result<Vec<usize>> {
        let mut pipe = Pipe::read(input)?;
        let mut lens = Vec::new();
        while let Some(piece) = pipe.next().await? {
            lens.push(piece.len());
        }
        Ok(lens)
    }

    #[tokio::test]
    async fn a_pipe_comes_in_full_pieces_and_a_rest() {
        for (len, pieces) in [
            (0, vec![]),
            (1, vec![1]),
            (PIECE, vec![PIECE]),
            (2 * PIECE + 1, vec![PIECE, PIECE, 1]),
        ] {
            let read = all(io::Cursor::new(vec![7; len])).await;
            assert_eq!(read.expect("in memory"), pieces);
        }
    }

    #[tokio::test]
    async fn a_failing_input_does_not_look_like_its_end() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let read = all(io::Cursor::new(b"x").chain(Failing)).await;
        assert_eq!(read.expect_err("cut").kind(), io::ErrorKind::ConnectionReset);
    }
}
