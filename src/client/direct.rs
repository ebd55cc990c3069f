//! Straight to GCS, without a daemon.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::Failure;
use super::body::{Body, BodySource, Content};
use super::writer::{Cancelled, Last, NewObject, OpenUpload, Progress, Token, UnreliableWriter};
use crate::failure::Failure as Failed;
use crate::gcs::{self, Gcs, SessionUri, Source, SourceError, StartUpload, WriteRange, lend};
use crate::upload::{Range, Reported, Upload};
use crate::wire::{Kind, Retry};

/// Uploads of one object by this process's own credentials.
///
/// A [`Token`] of it is GCS's session URI: whoever has it can write the object.
#[derive(Debug, Clone)]
pub struct Direct {
    gcs: Gcs,
    object: NewObject,
}

impl Direct {
    /// Uploads of `object` through `gcs`.
    pub fn new(gcs: Gcs, object: NewObject) -> Self {
        Self { gcs, object }
    }
}

impl OpenUpload for Direct {
    type Writer = DirectWriter;

    fn size(&self) -> Option<u64> {
        self.object.size
    }

    async fn start(&mut self) -> Result<(DirectWriter, Token), Failure> {
        let object = self.object.clone();
        let start = StartUpload {
            bucket: object.bucket,
            object: object.object,
            metadata: Some(object.metadata).filter(|metadata| !metadata.is_empty()),
            preconditions: object.preconditions,
            size: object.size,
            user_project: object.user_project,
            kms_key_name: object.kms_key_name,
            predefined_acl: object.predefined_acl,
            key: object.key,
        };
        let started = self.gcs.start_upload(&start).await.map_err(Failed::from)?;
        let token = Token::new(started.answer.expose());
        Ok((self.writer(started.answer, Upload::started()), token))
    }

    async fn attach(&mut self, token: &Token) -> Result<DirectWriter, Failure> {
        let session = SessionUri::parse(token.expose()).map_err(|error| {
            let text = format!("the token is no session URI: {error}");
            Failure::of(Kind::BadToken, Retry::Never, text)
        })?;
        let session = session.with_key(self.object.key.clone());
        Ok(self.writer(session, Upload::attached()))
    }
}

impl Direct {
    fn writer(&self, session: SessionUri, upload: Upload) -> DirectWriter {
        DirectWriter {
            gcs: self.gcs.clone(),
            session,
            upload,
            resource: None,
        }
    }
}

/// One upload, straight to GCS.
#[derive(Debug)]
pub struct DirectWriter {
    gcs: Gcs,
    session: SessionUri,
    upload: Upload,
    resource: Option<Bytes>,
}

impl DirectWriter {
    /// Takes note of a failed call.
    fn failed(&mut self, error: gcs::Error) -> Failure {
        let failed = Failed::from(error);
        match failed.status.kind() {
            Some(Kind::SessionLost | Kind::ChecksumMismatch) => self.upload.lost(),
            _ if failed.is_unknown() => self.upload.unsettle(),
            _ => {}
        }
        failed.with_committed(self.upload.committed()).into()
    }

    /// What GCS answered, of which what it says of the finished object is kept.
    fn answered(&mut self, progress: &gcs::Progress) -> Reported {
        match progress {
            gcs::Progress::Active { committed } => Reported::Committed(*committed),
            gcs::Progress::Finished(object) => {
                self.resource = Some(object.json.clone());
                Reported::Finished(object.info)
            }
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            object: self.upload.object(),
            ..Progress::of(self.upload.committed())
        }
    }
}

impl UnreliableWriter for DirectWriter {
    async fn write_at(&mut self, offset: u64, body: Body, last: Option<Last>) -> Result<Progress, Failure> {
        let Some(len) = body.len.and_then(|len| u64::try_from(len).ok()) else {
            let text = "the body is longer than any object, or has no length, which only a daemon takes";
            return Err(Failure::of(Kind::BadBody, Retry::Never, text));
        };
        let range = Range {
            offset,
            len,
            total: last.map(|last| last.total),
        };
        self.upload.check_write(&range).map_err(Failed::from)?;
        let (mut lease, body) = lend(Feed::from(body), len);
        let write_range = WriteRange {
            offset,
            len,
            total: range.total,
            object_crc32c: last.map(|last| last.crc32c),
        };
        let written = self.gcs.write(&self.session, write_range, body).await;
        if let Some(error) = lease.take().and_then(|feed| feed.error) {
            self.upload.unsettle();
            return Err(Failure::source(&error));
        }
        let answer = written.map_err(|error| self.failed(error))?.answer;
        let reported = self.answered(&answer);
        self.upload.after_write(&range, reported).map_err(Failed::from)?;
        Ok(Progress {
            received: lease.received(),
            received_crc32c: lease.crc32c(),
            ..self.progress()
        })
    }

    async fn query(&mut self) -> Result<Progress, Failure> {
        let asked = self.gcs.query(&self.session).await;
        let answer = asked.map_err(|error| self.failed(error))?.answer;
        let reported = self.answered(&answer);
        self.upload.after_query(reported).map_err(Failed::from)?;
        Ok(self.progress())
    }

    async fn finish(&mut self, last: Last) -> Result<Progress, Failure> {
        self.upload.check_finish().map_err(Failed::from)?;
        let finished = self
            .gcs
            .finish(&self.session, last.total, Some(last.crc32c))
            .await;
        let answer = finished.map_err(|error| self.failed(error))?.answer;
        let reported = self.answered(&answer);
        self.upload
            .after_finish(last.total, reported)
            .map_err(Failed::from)?;
        Ok(self.progress())
    }

    async fn cancel(&mut self) -> Result<Cancelled, Failure> {
        let cancelled = self.gcs.cancel(&self.session).await;
        Ok(match cancelled.map_err(|error| self.failed(error))?.answer {
            gcs::Cancelled::Cancelled => {
                self.upload.cancelled();
                Cancelled::Cancelled
            }
            gcs::Cancelled::Finished(object) => Cancelled::Finished {
                generation: object.info.generation,
            },
            gcs::Cancelled::Unknown => {
                self.upload.lost();
                Cancelled::Unknown
            }
        })
    }

    fn resource(&self) -> Option<Bytes> {
        self.resource.clone()
    }
}

/// A body as the HTTP client asks for it: each piece is handed on as it is, whole or split, never copied.
pub(in crate::client) struct Feed {
    /// What has come and is not taken, the next last.
    pieces: Vec<Bytes>,
    source: Reading,
    /// Why there is no more.
    error: Option<io::Error>,
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
    pub(in crate::client) fn into_error(self) -> Option<io::Error> {
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
