//! Straight to GCS, without a daemon.

mod feed;
mod striped;

use bytes::Bytes;

use crate::body::Body;
use crate::writer::{Cancelled, Last, OpenUpload, Progress, Token, UnreliableWriter};
use crate::{Error, NewObject};
use feed::Feed;
use gcsd_failure::Failure as Failed;
use gcsd_gcs::upload::{Range, Reported, Upload};
use gcsd_gcs::{self, Gcs, SessionUri, WriteRange, lend};
use gcsd_wire::{Kind, Retry};
pub use striped::DirectPart;

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

    async fn start(&mut self) -> Result<(DirectWriter, Token), Error> {
        let NewObject { destination, size } = &self.object;
        let started = self.gcs.start_upload(destination, *size).await;
        let started = started.map_err(Failed::from)?;
        let token = Token::new(started.answer.expose());
        Ok((self.writer(started.answer, Upload::started()), token))
    }

    async fn attach(&mut self, token: &Token) -> Result<DirectWriter, Error> {
        let session = SessionUri::parse(token.expose()).map_err(|error| {
            let text = format!("the token is no session URI: {error}");
            Error::of(Kind::BadToken, Retry::Never, text)
        })?;
        let session = session.with_key(self.object.destination.key.clone());
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
    fn failed(&mut self, error: gcsd_gcs::Error) -> Error {
        let failed = Failed::from(error);
        match failed.status.kind() {
            Some(Kind::SessionLost | Kind::ChecksumMismatch) => self.upload.lost(),
            _ if failed.is_unknown() => self.upload.unsettle(),
            _ => {}
        }
        failed.with_committed(self.upload.committed()).into()
    }

    /// What GCS answered, of which what it says of the finished object is kept.
    fn answered(&mut self, progress: &gcsd_gcs::Progress) -> Reported {
        match progress {
            gcsd_gcs::Progress::Active { committed } => Reported::Committed(*committed),
            gcsd_gcs::Progress::Finished(object) => {
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
    async fn write_at(&mut self, offset: u64, body: Body, last: Option<Last>) -> Result<Progress, Error> {
        let Some(len) = body.len.and_then(|len| u64::try_from(len).ok()) else {
            let text = "the body is longer than any object, or has no length, which only a daemon takes";
            return Err(Error::of(Kind::BadBody, Retry::Never, text));
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
            return Err(Error::Source(error.into()));
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

    async fn query(&mut self) -> Result<Progress, Error> {
        let asked = self.gcs.query(&self.session).await;
        let answer = asked.map_err(|error| self.failed(error))?.answer;
        let reported = self.answered(&answer);
        self.upload.after_query(reported).map_err(Failed::from)?;
        Ok(self.progress())
    }

    async fn finish(&mut self, last: Last) -> Result<Progress, Error> {
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

    async fn cancel(&mut self) -> Result<Cancelled, Error> {
        let cancelled = self.gcs.cancel(&self.session).await;
        Ok(match cancelled.map_err(|error| self.failed(error))?.answer {
            gcsd_gcs::Cancelled::Cancelled => {
                self.upload.cancelled();
                Cancelled::Cancelled
            }
            gcsd_gcs::Cancelled::Finished(object) => Cancelled::Finished {
                generation: object.info.generation,
            },
            gcsd_gcs::Cancelled::Unknown => {
                self.upload.lost();
                Cancelled::Unknown
            }
        })
    }

    fn resource(&self) -> Option<Bytes> {
        self.resource.clone()
    }
}
