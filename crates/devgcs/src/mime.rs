//! MIME bodies of several parts, streamed: a part can have any size.
//!
//! Lines end as the first one does: most clients send CR LF, Python's generator sends LF.

use bytes::{Buf as _, Bytes, BytesMut};

use super::error::Error;
use super::request_body::RequestBody;

/// The largest head of a part.
const MAX_HEAD: usize = 16 * 1024;

/// The longest boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// The most bytes before the first boundary, which are ignored.
const MAX_PREAMBLE: usize = 4 * 1024;

/// The parts of a body.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    body: &'a mut RequestBody,
    buffer: BytesMut,
    /// What ends a part: a line end and the boundary.
    delimiter: Vec<u8>,
    place: Place,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Before the first boundary.
    Start,
    /// Right after a boundary.
    Boundary,
    /// In a part's bytes.
    Part,
    /// After the last boundary.
    End,
}

/// The head of a part: names in lower case.
pub(crate) type PartHead = Vec<(String, String)>;

/// The boundary that a `Content-Type` names, if it is one of `kind` ("multipart/related").
pub(crate) fn boundary(content_type: &str, kind: &str) -> Option<String> {
    let mut parameters = content_type.split(';');
    if !parameters.next()?.trim().eq_ignore_ascii_case(kind) {
        return None;
    }
    let boundary = parameters.find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    let boundary = boundary.trim_matches(['"', '\'']);
    (1..=MAX_BOUNDARY)
        .contains(&boundary.len())
        .then(|| boundary.to_owned())
}

impl<'a> Parts<'a> {
    /// Reads `body`, whose parts are separated by `boundary`.
    pub(crate) fn new(body: &'a mut RequestBody, boundary: &str) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            delimiter: format!("--{boundary}").into_bytes(),
            place: Place::Start,
        }
    }

    /// The head of the next part, `None` after the last. What is left of the part before is skipped.
    pub(crate) async fn next(&mut self) -> Result<Option<PartHead>, Error> {
        match self.place {
            Place::Start => self.first_boundary().await?,
            Place::Part => while self.bytes().await?.is_some() {},
            Place::Boundary => {}
            Place::End => return Ok(None),
        }
        if self.starts_with(b"--").await? {
            self.place = Place::End;
            return Ok(None);
        }
        let head = self.head().await?;
        self.place = Place::Part;
        Ok(Some(head))
    }

    /// The next bytes of this part, `None` at its end.
    pub(crate) async fn bytes(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match find(&self.buffer, &self.delimiter) {
                Found::At(0) => {
                    let len = self.delimiter.len();
                    while self.buffer.len() < len + 2 {
                        self.fill().await?;
                    }
                    if !ends_boundary(&self.buffer[len..]) {
                        return Ok(Some(self.buffer.split_to(len).freeze()));
                    }
                    self.buffer.advance(len);
                    self.place = Place::Boundary;
                    return Ok(None);
                }
                Found::At(end) | Found::Perhaps(end) if end > 0 => {
                    return Ok(Some(self.buffer.split_to(end).freeze()));
                }
                Found::At(_) | Found::Perhaps(_) => self.fill().await?,
            }
        }
    }

    /// All of this part, if it has at most `limit` bytes.
    pub(crate) async fn whole(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        while let Some(bytes) = self.bytes().await? {
            if all.len() + bytes.len() > limit {
                return Err(Error::invalid(format!(
                    "A part of metadata has at most {limit} bytes."
                )));
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    async fn first_boundary(&mut self) -> Result<(), Error> {
        let line_end = loop {
            let mut from = 0;
            let line = loop {
                let line = &self.buffer[from..];
                let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
                    break None;
                };
                let behind = line[..=end].strip_prefix(&self.delimiter[..]);
                if behind.is_some_and(ends_boundary) {
                    break Some(end > 0 && line[end - 1] == b'\r');
                }
                from += end + 1;
            };
            if let Some(crlf) = line {
                // The caller reads the rest of the boundary's line.
                self.buffer.advance(from + self.delimiter.len());
                break if crlf { &b"\r\n"[..] } else { &b"\n"[..] };
            }
            if self.buffer.len() > MAX_PREAMBLE {
                return Err(malformed());
            }
            self.fill().await?;
        };
        self.delimiter.splice(0..0, line_end.iter().copied());
        Ok(())
    }

    async fn starts_with(&mut self, wanted: &[u8]) -> Result<bool, Error> {
        while self.buffer.len() < wanted.len() {
            self.fill().await?;
        }
        Ok(self.buffer.starts_with(wanted))
    }

    async fn head(&mut self) -> Result<PartHead, Error> {
        let mut lines = Vec::new();
        let mut size = 0;
        // The first line is the rest of the boundary's.
        let _ = self.line(&mut size).await?;
        loop {
            let line = self.line(&mut size).await?;
            if line.is_empty() {
                return Ok(lines);
            }
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            lines.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    async fn line(&mut self, size: &mut usize) -> Result<String, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                *size += end + 1;
                if *size > MAX_HEAD {
                    return Err(malformed());
                }
                let line = self.buffer.split_to(end + 1);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if *size + self.buffer.len() > MAX_HEAD {
                return Err(malformed());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Error> {
        match self.body.next().await? {
            Some(bytes) => {
                self.buffer.extend_from_slice(&bytes);
                Ok(())
            }
            None => Err(malformed()),
        }
    }
}

/// Whether what follows a boundary's characters lets it be one: `--`, or blanks and the line's end (RFC 2046, section 5.1.1). Else they
/// only begin like it.
fn ends_boundary(behind: &[u8]) -> bool {
    let ends: [&[u8]; 5] = [b"--", b"\r\n", b"\n", b" ", b"\t"];
    ends.iter().any(|end| behind.starts_with(end))
}

fn malformed() -> Error {
    Error::invalid("The multipart body is malformed or ends early.")
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// The delimiter begins here.
    At(usize),
    /// It may begin here, depending on the next bytes, and not before.
    Perhaps(usize),
}

/// Looks for `delimiter`. Its first byte occurs nowhere else in it, except in boundaries that begin with
/// dashes, for which each start is tried.
fn find(buffer: &[u8], delimiter: &[u8]) -> Found {
    let mut from = 0;
    while let Some(at) = buffer[from..].iter().position(|byte| *byte == delimiter[0]) {
        let here = from + at;
        let seen = &buffer[here..buffer.len().min(here + delimiter.len())];
        if delimiter.starts_with(seen) {
            return if seen.len() == delimiter.len() {
                Found::At(here)
            } else {
                Found::Perhaps(here)
            };
        }
        from = here + 1;
    }
    Found::Perhaps(buffer.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &[u8], piece: usize) -> Result<Vec<(PartHead, Vec<u8>)>, Error> {
        let mut body = RequestBody::ready(text.chunks(piece).map(Bytes::copy_from_slice).collect());
        let mut parts = Parts::new(&mut body, "--x");
        let mut all = Vec::new();
        while let Some(head) = parts.next().await? {
            all.push((head, parts.whole(1000).await?));
        }
        Ok(all)
    }

    #[tokio::test]
    async fn parts_come_out_whatever_the_pieces() {
        for end in ["\r\n", "\n"] {
            let text = [
                "preamble",
                "----x",
                "Content-Type: a/b",
                "",
                "{}",
                "----x",
                "",
                "in\r\n--\r\n----\r\n--- --x",
                "----x--",
                "",
            ]
            .join(end);
            for piece in 1..text.len() {
                let parts = read(text.as_bytes(), piece).await.expect("well-formed");
                assert_eq!(parts.len(), 2, "{piece}");
                assert_eq!(parts[0].0, [("content-type".to_owned(), "a/b".to_owned())]);
                assert_eq!(parts[0].1, b"{}");
                assert_eq!(parts[1].1, b"in\r\n--\r\n----\r\n--- --x", "{piece} {end:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_only_begins_like_a_boundary_is_content() {
        let text =
            b"x ----x\r\n----xy\r\n----x\r\n\r\na\r\n----xy\r\n----x-\r\nb\r\n----x \r\n\r\nc\r\n----x--";
        for piece in 1..text.len() {
            let parts = read(text, piece).await.expect("well-formed");
            let contents: Vec<_> = parts.into_iter().map(|(_, content)| content).collect();
            let first = b"a\r\n----xy\r\n----x-\r\nb".to_vec();
            assert_eq!(contents, [first, b"c".to_vec()], "{piece}");
        }
    }

    #[tokio::test]
    async fn what_is_malformed_or_ends_early_is_refused() {
        let whole = "----x\r\nA: b\r\n\r\nbody\r\n----x--";
        for len in 0..whole.len() {
            assert!(read(&whole.as_bytes()[..len], 7).await.is_err(), "{len}");
        }
        assert!(
            read(
                format!("----x\r\nA: {}\r\n\r\n", "x".repeat(MAX_HEAD)).as_bytes(),
                999
            )
            .await
            .is_err()
        );
        assert!(read(&[b'x'; MAX_PREAMBLE + 2], 999).await.is_err());
    }

    #[test]
    fn boundaries_are_found() {
        let kind = "multipart/related";
        assert_eq!(
            boundary("multipart/related; boundary=abc", kind).as_deref(),
            Some("abc")
        );
        assert_eq!(
            boundary("Multipart/Related; a=b; boundary=\"a c\"", kind).as_deref(),
            Some("a c")
        );
        assert_eq!(boundary("multipart/mixed; boundary=abc", kind), None);
        assert_eq!(boundary("multipart/related", kind), None);
        assert_eq!(boundary("multipart/related; boundary=", kind), None);
    }
}
