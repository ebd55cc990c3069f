//! Decompressing objects that are stored as gzip
//! (<https://cloud.google.com/storage/docs/transcoding>).

use std::io::{self, BufRead, Read};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use flate2::bufread::MultiGzDecoder;

use super::storage::Reader;

/// Bytes inflated at once: a chunk can inflate to a thousand times its size.
const OUTPUT: usize = 64 * 1024;

/// The content of a compressed object, inflated as it is sent.
#[derive(Debug)]
pub(crate) struct Gunzip {
    stored: Reader,
    decoder: MultiGzDecoder<Feed>,
    ended: bool,
    /// What is wrong with the object, which is said when the bytes before it are on their way: there is an answer then, and it
    /// is seen to be incomplete.
    broken: Option<io::Error>,
}

/// The compressed bytes at hand.
#[derive(Debug, Default)]
struct Feed {
    chunk: Bytes,
    ended: bool,
}

impl Gunzip {
    pub(crate) fn new(stored: Reader) -> Self {
        Self {
            stored,
            decoder: MultiGzDecoder::new(Feed::default()),
            ended: false,
            broken: None,
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// The next bytes, `None` at the end; an error if the object is not gzip.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(error) = self.broken.take() {
            self.ended = true;
            return Poll::Ready(Some(Err(error)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let mut output = vec![0; OUTPUT];
        loop {
            match self.decoder.read(&mut output) {
                Ok(0) => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                Ok(len) => {
                    output.truncate(len);
                    return Poll::Ready(Some(Ok(output.into())));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.broken = Some(error);
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            let feed = self.decoder.get_mut();
            match ready!(self.stored.poll_next(context)) {
                Some(Ok(chunk)) => feed.chunk = chunk,
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => feed.ended = true,
            }
        }
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buffer)?;
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, len: usize) {
        self.chunk.advance(len);
    }
}
