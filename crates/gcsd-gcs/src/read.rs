//! Reading objects, streamed
//! (<https://cloud.google.com/storage/docs/json_api/v1/objects/get>, `alt=media`).

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName, HeaderValue,
    RANGE, TRANSFER_ENCODING,
};
use http::{Method, Response};
use hyper::body::Incoming;

use super::answer::{Answer, request_id};
use super::client::Gcs;
use super::error::{Call, Error, ErrorKind};
use super::exchange::Exchange;
use super::headers::{Hashes, X_GOOG_GENERATION, insert_key};
use super::request::RequestBody;
use gcsd_types::digits;
use gcsd_types::{ByteRange, Crc32c, ObjectInfo, ObjectRef};

const X_GOOG_METAGENERATION: HeaderName = HeaderName::from_static("x-goog-metageneration");
const X_GOOG_STORED_LENGTH: HeaderName = HeaderName::from_static("x-goog-stored-content-length");
const X_GOOG_STORED_ENCODING: HeaderName = HeaderName::from_static("x-goog-stored-content-encoding");

/// An object's bytes, as they arrive.
///
/// Nothing is read from GCS but in [`next`](Self::next): a slow reader slows GCS down and costs no memory.
/// Dropped before the end, it closes the connection.
pub struct ObjectStream {
    http_status: u16,
    info: ObjectInfo,
    first: u64,
    len: Option<u64>,
    request_id: Option<String>,
    source: Option<(Incoming, Exchange)>,
    /// Bytes to skip, where GCS sends more than was asked for.
    skip: u64,
    /// Bytes that remain, where that is known.
    missing: Option<u64>,
    /// GCS sends more after the last byte asked for.
    cut_at_end: bool,
    /// Neither a length nor chunks tell where the body ends: only the connection's end does, which may be an early one. What
    /// has arrived: how many bytes, and their checksum.
    open_ended: Option<(u64, Crc32c)>,
}

impl Gcs {
    /// Starts reading an object.
    ///
    /// Objects stored with `Content-Encoding: gzip` are read as stored. With `gunzip` GCS decompresses them: then
    /// the range counts decompressed bytes, and the length is unknown
    /// (<https://cloud.google.com/storage/docs/transcoding>).
    pub async fn read_object(
        &self,
        object: &ObjectRef,
        range: impl Into<ByteRange>,
        gunzip: bool,
    ) -> Result<ObjectStream, Error> {
        let range = range.into();
        let read = async {
            let range_header = range_header(range)?;
            let target = self.object_target(object, Some("media")).build()?;
            let mut headers = self.authorized().await?;
            if let Some(range) = range_header {
                headers.insert(RANGE, range);
            }
            if !gunzip {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            }
            insert_key(&mut headers, object.key.as_ref());
            let request = self.request(Method::GET, target, headers, RequestBody::Full(Bytes::new()));
            let (response, exchange) = self.send(Call::Read, request).await?;
            if !matches!(response.status().as_u16(), 200 | 206) {
                let answer = Answer::read(response, exchange).await?;
                return Err(answer.error(Call::Read));
            }
            let request_id = request_id(response.headers());
            ObjectStream::open(response, exchange, range, gunzip, object.generation)
                .map_err(|problem| misplaced(problem).with_request_id(request_id))
        };
        read.await.map_err(|error: Error| error.during(Call::Read))
    }
}

fn misplaced(problem: &str) -> Error {
    Error::new(ErrorKind::BadResponse, problem).sent(true)
}

impl ObjectStream {
    fn open(
        response: Response<Incoming>,
        exchange: Exchange,
        range: ByteRange,
        gunzip: bool,
        generation: Option<u64>,
    ) -> Result<Self, &'static str> {
        let (parts, body) = response.into_parts();
        let headers = &parts.headers;
        let mut info = stored(headers);
        let content_len = number(headers, &CONTENT_LENGTH);
        if let (Some(asked), true) = (generation, info.generation == 0) {
            info.generation = asked;
        }
        let mut stream = Self {
            http_status: parts.status.as_u16(),
            info,
            first: 0,
            len: content_len,
            request_id: request_id(headers),
            source: None,
            skip: 0,
            missing: content_len,
            cut_at_end: false,
            open_ended: (content_len.is_none() && !is_chunked(headers)).then(Default::default),
        };
        if parts.status == 206 {
            stream.partial(headers, range, gunzip)?;
        } else {
            stream.whole(headers, range, gunzip)?;
        }
        stream.source = Some((body, exchange));
        Ok(stream)
    }

    /// The server sends the range in its `Content-Range`, which must be the one asked for.
    fn partial(&mut self, headers: &HeaderMap, range: ByteRange, gunzip: bool) -> Result<(), &'static str> {
        let (first, last, size) =
            content_range(headers).ok_or("a partial answer whose Content-Range cannot be read")?;
        let Some(size) = size else {
            return Err("a partial answer that does not tell the object's size");
        };
        if (first, last.saturating_add(1)) != resolve(range, size) {
            return Err("the answer has another range than was asked for");
        }
        if is_as_stored(headers, gunzip) && stored_len(headers).is_some_and(|stored| stored != size) {
            return Err("the answer's Content-Range has another size than is stored");
        }
        let len = last - first + 1;
        if self.len.is_some_and(|told| told != len) {
            return Err("the answer's Content-Length is not that of its range");
        }
        if self.info.size == 0 {
            self.info.size = size;
        }
        self.first = first;
        self.len = Some(len);
        self.missing = Some(len);
        Ok(())
    }

    /// The server sends the whole object. It may do so when asked for a range, and does when it decompresses: the
    /// range is then cut out here, where it is certain that these are all of the object's bytes.
    fn whole(&mut self, headers: &HeaderMap, range: ByteRange, gunzip: bool) -> Result<(), &'static str> {
        if headers.contains_key(CONTENT_RANGE) {
            // Google's test server sends the whole object's, where no range was asked for.
            let all = content_range(headers).is_some_and(|(first, last, size)| {
                first == 0 && last.checked_add(1) == size && size == self.len
            });
            if !all || range != ByteRange::From(0) {
                return Err("an answer with the whole object has a Content-Range");
            }
        }
        let stored = stored_len(headers);
        // A response that sends the object as stored has as many bytes as are stored, even if it is chunked.
        if is_as_stored(headers, gunzip) {
            match (self.len, stored) {
                (Some(len), Some(stored)) if len != stored => {
                    return Err("the answer's Content-Length is not the size of what is stored");
                }
                // It can be the length of a part. Where nothing is Cloud Storage's own, as in some emulators, the answer
                // means what HTTP says (RFC 9110, section 14.2): the range was ignored.
                (len, None)
                    if range != ByteRange::From(0)
                        && len != Some(0)
                        && (len.is_none() || headers.contains_key(X_GOOG_GENERATION)) =>
                {
                    return Err(
                        "a range was asked for, and the answer is neither one nor says how large the object is",
                    );
                }
                (len, stored) => self.len = len.or(stored),
            }
            self.missing = self.len;
        }
        if stored.is_none() && self.info.size == 0 {
            self.info.size = self.len.unwrap_or_default();
        }
        match (range, self.len) {
            (ByteRange::From(0), _) => {}
            (range, Some(size)) => {
                let (first, end) = resolve(range, size);
                if first == end && size > 0 {
                    return Err("the range starts beyond the end, and the server sends the whole object");
                }
                self.skip = first;
                self.first = first;
                self.cut_at_end = end < size;
                self.len = Some(end - first);
                self.missing = self.len;
            }
            (ByteRange::From(offset), None) => {
                self.skip = offset;
                self.first = offset;
            }
            (ByteRange::Of { offset, len }, None) => {
                self.skip = offset;
                self.first = offset;
                self.missing = Some(len);
                self.cut_at_end = true;
            }
            (ByteRange::Suffix(_), None) => {
                return Err(
                    "the last bytes were asked for, and the server sends the whole object without its size",
                );
            }
        }
        Ok(())
    }

    /// What the response's headers say of the whole object: its generation (0 where they do not say), and its
    /// size and checksums as stored.
    pub fn info(&self) -> &ObjectInfo {
        &self.info
    }

    /// The offset of the first byte that is read.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many bytes are read; `None` where GCS decompresses them.
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Whether it is known that there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == Some(0)
    }

    /// GCS's HTTP status: 200, or 206 for a range.
    pub fn http_status(&self) -> u16 {
        self.http_status
    }

    /// The value of `X-GUploader-UploadID`.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The next bytes, `None` at the end. An early end is an error, and so is one of which nothing says that it is the end:
    /// neither a length, nor the last of the response's chunks, nor the object's checksum.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let next = self.advance().await;
        if !matches!(next, Ok(Some(_))) {
            self.source = None;
        }
        next.map_err(|error| error.during(Call::Read))
    }

    async fn advance(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some((body, exchange)) = &mut self.source else {
                return Ok(None);
            };
            if self.cut_at_end && self.missing == Some(0) {
                return Ok(None);
            }
            let Some(mut chunk) = exchange.chunk(body).await? else {
                return self.end().await;
            };
            if let Some((received, crc32c)) = &mut self.open_ended {
                *received += chunk.len() as u64;
                *crc32c = crc32c.append(&chunk);
            }
            let passed = chunk.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= passed as u64;
            drop(chunk.split_to(passed));
            if let Some(missing) = &mut self.missing {
                if chunk.len() as u64 > *missing {
                    if !self.cut_at_end {
                        return Err(misplaced("the answer is longer than its range"));
                    }
                    chunk.truncate(usize::try_from(*missing).unwrap_or(usize::MAX));
                }
                *missing -= chunk.len() as u64;
            }
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }

    /// The response's body has ended: the connection can be reused.
    async fn end(&mut self) -> Result<Option<Bytes>, Error> {
        // The length of a decompressed object is unknown, so that it may end before the range does.
        let too_early = self.missing.is_some_and(|missing| missing > 0) && self.len.is_some();
        if too_early || self.skip > 0 {
            return Err(
                Error::new(ErrorKind::EarlyClose, "the answer ended before the range did").sent(true),
            );
        }
        if let Some((received, crc32c)) = self.open_ended
            && self.missing != Some(0)
            && !(self.info.crc32c == Some(crc32c) && [0, received].contains(&self.info.size))
        {
            let problem = "the connection closed, and nothing says that the object ended there: the answer has no length and \
                           no chunks, and no checksum fits";
            return Err(Error::new(ErrorKind::EarlyClose, problem).sent(true));
        }
        if let Some((_, exchange)) = self.source.take() {
            exchange.finish().await;
        }
        Ok(None)
    }
}

impl std::fmt::Debug for ObjectStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStream")
            .field("info", &self.info)
            .field("first", &self.first)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The `Range` header, in which both ends are inclusive. None for all bytes: an empty object satisfies no range.
fn range_header(range: ByteRange) -> Result<Option<HeaderValue>, Error> {
    let text = match range {
        _ if range.is_empty() => {
            return Err(Error::new(ErrorKind::Invalid, "a range has at least one byte"));
        }
        ByteRange::From(0) => return Ok(None),
        ByteRange::From(offset) => format!("bytes={offset}-"),
        ByteRange::Of { offset, len } => match offset.checked_add(len - 1) {
            Some(last) => format!("bytes={offset}-{last}"),
            None => return Err(Error::new(ErrorKind::Invalid, "the range ends beyond 2^64")),
        },
        ByteRange::Suffix(len) => format!("bytes=-{len}"),
    };
    HeaderValue::try_from(text)
        .map(Some)
        .map_err(|_| Error::new(ErrorKind::Invalid, "not a range"))
}

/// Where a range starts and ends in an object of `size` bytes.
fn resolve(range: ByteRange, size: u64) -> (u64, u64) {
    match range {
        ByteRange::From(offset) => (offset.min(size), size),
        ByteRange::Of { offset, len } => (offset.min(size), offset.saturating_add(len).min(size)),
        ByteRange::Suffix(len) => (size.saturating_sub(len), size),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    digits(text(headers, name)?)
}

/// The size of the object as stored.
fn stored_len(headers: &HeaderMap) -> Option<u64> {
    number(headers, &X_GOOG_STORED_LENGTH)
}

/// Whether the server sends the bytes as they are stored, rather than decompressed.
fn is_as_stored(headers: &HeaderMap, gunzip: bool) -> bool {
    match text(headers, &X_GOOG_STORED_ENCODING) {
        None => !gunzip,
        Some("identity") => true,
        Some(encoding) => text(headers, &CONTENT_ENCODING) == Some(encoding),
    }
}

/// Whether the last of the body's chunks tells where it ends
/// (<https://www.rfc-editor.org/rfc/rfc9112#section-6.3>).
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back();
    let codings = last.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let last = codings.rsplit(',').next().unwrap_or_default();
    last.trim().eq_ignore_ascii_case("chunked")
}

/// The object's fields that travel as headers
/// (<https://cloud.google.com/storage/docs/xml-api/reference-headers>).
fn stored(headers: &HeaderMap) -> ObjectInfo {
    let Hashes { crc32c, md5 } = Hashes::of(headers);
    ObjectInfo {
        generation: number(headers, &X_GOOG_GENERATION).unwrap_or_default(),
        metageneration: number(headers, &X_GOOG_METAGENERATION).unwrap_or_default(),
        size: number(headers, &X_GOOG_STORED_LENGTH).unwrap_or_default(),
        crc32c,
        md5,
    }
}

/// `Content-Range: bytes FIRST-LAST/SIZE`, where the size may be `*`.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64, Option<u64>)> {
    let (range, size) = text(headers, &CONTENT_RANGE)?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (digits(first)?, digits(last)?);
    let size = match size {
        "*" => None,
        size => Some(digits(size)?),
    };
    (first <= last && size.is_none_or(|size| last < size)).then_some((first, last, size))
}
