//! The body of an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::faults::FaultyBody;
use super::gunzip::Gunzip;
use super::storage::Reader;

/// What an answer carries.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// The whole body, until it is taken.
    Full(Option<Bytes>),
    /// An object's bytes, read as they are sent.
    Stored(Reader),
    /// The content of an object stored as gzip.
    Inflated(Box<Gunzip>),
    /// One that fails while it is sent.
    Faulty(Box<FaultyBody<Self>>),
}

impl ResponseBody {
    /// A body that is ready.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Full((!bytes.is_empty()).then_some(bytes))
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self::Full(None)
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stored(reader) => reader
                .poll_next(context)
                .map(|next| next.map(|bytes| bytes.map(Frame::data))),
            Self::Inflated(gunzip) => gunzip
                .poll_next(context)
                .map(|next| next.map(|bytes| bytes.map(Frame::data))),
            Self::Faulty(body) => body
                .poll_next(context)
                .map(|next| next.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Stored(reader) => reader.remaining() == 0,
            Self::Inflated(gunzip) => gunzip.is_ended(),
            Self::Faulty(body) => body.is_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stored(reader) => SizeHint::with_exact(reader.remaining()),
            Self::Inflated(_) => SizeHint::default(),
            Self::Faulty(body) => body.size_hint(),
        }
    }
}
