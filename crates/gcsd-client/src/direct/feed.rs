//! The bytes of a body, as the HTTP request asks for them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use gcsd_gcs::{Source, SourceError};

use crate::body::{Body, BodySource, Content};

/// A body as the HTTP client asks for it: each piece is handed on as it is, whole or split, never copied.
pub(super) struct Feed {
    /// What has come and is not taken, the next last.
    pieces: Vec<Bytes>,
    source: Reading,
    /// Why there is no more.
    pub(super) error: Option<io::Error>,
}

/// The next piece of a source, and the source again.
type Next = Pin<Box<dyn Future<Output = (Box<dyn BodySource>, io::Result<Bytes>)> + Send>>;

enum Reading {
    /// Nothing comes after the pieces.
    None,
    Idle(Box<dyn BodySource>),
    Busy(Next),
}

impl Feed {
    /// Why the source gave no more.
    pub(super) fn into_error(self) -> Option<io::Error> {
        self.error
    }
}

impl From<Body> for Feed {
    fn from(body: Body) -> Self {
        let (pieces, source) = match body.content {
            Content::Pieces(mut pieces) => {
                pieces.reverse();
                (pieces, Reading::None)
            }
            Content::Source(source) => (Vec::new(), Reading::Idle(source)),
        };
        Self {
            pieces,
            source,
            error: None,
        }
    }
}

impl Source for Feed {
    fn poll_chunk(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, SourceError>> {
        loop {
            match self.pieces.last_mut() {
                Some(piece) if piece.len() > max => return Poll::Ready(Ok(piece.split_to(max))),
                Some(_) => return Poll::Ready(Ok(self.pieces.pop().unwrap_or_default())),
                None => {}
            }
            match std::mem::replace(&mut self.source, Reading::None) {
                Reading::None => return Poll::Ready(Ok(Bytes::new())),
                Reading::Idle(mut source) => {
                    self.source = Reading::Busy(Box::pin(async move {
                        let piece = source.next().await;
                        (source, piece)
                    }));
                }
                Reading::Busy(mut reading) => {
                    let Poll::Ready((source, piece)) = reading.as_mut().poll(cx) else {
                        self.source = Reading::Busy(reading);
                        return Poll::Pending;
                    };
                    match piece {
                        Ok(piece) if piece.is_empty() => {
                            let text = "the source ended before the length that was announced";
                            self.error = Some(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                            return Poll::Ready(Ok(Bytes::new()));
                        }
                        Ok(piece) => {
                            self.pieces.push(piece);
                            self.source = Reading::Idle(source);
                        }
                        Err(error) => {
                            let kind = error.kind();
                            self.error = Some(error);
                            return Poll::Ready(Err(io::Error::from(kind).into()));
                        }
                    }
                }
            }
        }
    }
}
