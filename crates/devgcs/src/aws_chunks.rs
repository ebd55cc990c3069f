//! Amazon's framing of a body within a body (`aws-chunked`): chunks with signatures, and trailers
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>). Signatures are not checked.

use bytes::{Buf as _, Bytes, BytesMut};

/// The longest line: a size and a signature, or a trailer.
const MAX_LINE: usize = 4096;

/// The body is malformed, or ends early.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Takes the framing off.
#[derive(Debug, Default)]
pub(crate) struct AwsChunks {
    buffer: BytesMut,
    place: Place,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the line with a chunk's size.
    #[default]
    Size,
    /// In a chunk, with this much of it to come.
    Data(u64),
    /// Before the line end that follows a chunk.
    DataEnd,
    /// In the trailers after the last chunk.
    Trailers,
    End,
}

impl AwsChunks {
    /// Takes bytes with framing.
    pub(crate) fn push(&mut self, bytes: &Bytes) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next bytes without framing; `None` until more are pushed.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Malformed> {
        loop {
            match self.place {
                Place::Size => {
                    let Some(line) = self.line()? else { return Ok(None) };
                    let size = line.split(';').next().unwrap_or_default().trim();
                    let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
                    let size = u64::from_str_radix(size, 16).ok().filter(|_| digits);
                    self.place = match size.ok_or(Malformed)? {
                        0 => Place::Trailers,
                        size => Place::Data(size),
                    };
                }
                Place::Data(left) => {
                    if self.buffer.is_empty() {
                        return Ok(None);
                    }
                    let here = self.buffer.len();
                    let len = usize::try_from(left).map_or(here, |left| left.min(here));
                    self.place = match left - len as u64 {
                        0 => Place::DataEnd,
                        left => Place::Data(left),
                    };
                    return Ok(Some(self.buffer.split_to(len).freeze()));
                }
                Place::DataEnd => match self.line()? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.place = Place::Size,
                    Some(_) => return Err(Malformed),
                },
                Place::Trailers => match self.line()? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.place = Place::End,
                    Some(_) => {}
                },
                Place::End if self.buffer.is_empty() => return Ok(None),
                Place::End => return Err(Malformed),
            }
        }
    }

    /// Whether the last chunk has come. Some clients leave out the empty line after it.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.place, Place::Trailers | Place::End) && self.buffer.is_empty()
    }

    fn line(&mut self) -> Result<Option<String>, Malformed> {
        let end = self.buffer.iter().take(MAX_LINE).position(|byte| *byte == b'\n');
        let Some(end) = end else {
            return match self.buffer.len() < MAX_LINE {
                true => Ok(None),
                false => Err(Malformed),
            };
        };
        let line = String::from_utf8_lossy(&self.buffer[..end]).trim_end().to_owned();
        self.buffer.advance(end + 1);
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], piece: usize) -> Result<(Vec<u8>, bool), Malformed> {
        let mut chunks = AwsChunks::default();
        let mut all = Vec::new();
        for piece in text.chunks(piece) {
            chunks.push(&Bytes::copy_from_slice(piece));
            while let Some(bytes) = chunks.next()? {
                all.extend_from_slice(&bytes);
            }
        }
        Ok((all, chunks.is_complete()))
    }

    #[test]
    fn the_framing_comes_off_whatever_the_pieces() {
        let text = b"5;chunk-signature=ab\r\nhello\r\nA\r\n\r\nworld\r\n!\r\n0;chunk-signature=cd\r\nx-amz-checksum-crc32:AA==\r\n\r\n";
        for piece in 1..text.len() {
            let (all, complete) = read(text, piece).expect("well-formed");
            assert_eq!(
                (&all[..], complete),
                (&b"hello\r\nworld\r\n!"[..], true),
                "{piece}"
            );
        }
        assert_eq!(read(b"0\r\n", 9), Ok((Vec::new(), true)));
        for len in 1..26 {
            assert_ne!(read(&text[..len], 99).map(|read| read.1), Ok(true), "{len}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let endless = "a".repeat(MAX_LINE);
        for text in [
            "x\r\n",
            "-1\r\n",
            "+5\r\nhello",
            "\r\n",
            "1\r\nabc\r\n",
            "0\r\n\r\nmore",
            &endless,
        ] {
            assert_eq!(read(text.as_bytes(), 9999), Err(Malformed), "{text:.20}");
        }
    }
}
