//! Straight to GCS, without a daemon.

mod feed;
mod striped;

use bytes::Bytes;

use crate::body::Body;
use crate::writer::{Cancelled, Last, OpenUpload, Progress, Token, UnreliableWriter};
use crate::{Error, NewObject, Sight, StoredObject, sight};
use feed::Feed;
use gcsd_failure::Failure;
use gcsd_gcs::{
    Answered, CancelOutcome, Gcs, Session, SessionError, SessionUri, UploadProgress, WriteRange, lend,
};
use gcsd_types::ObjectRef;
use gcsd_wire::{Kind, Retry};
pub use striped::DirectPart;

/// Uploads of one object by this process's own credentials.
///
/// A [`Token`] of it is GCS's session URI: anyone who has it can write the object.
#[derive(Debug, Clone)]
pub struct Direct {
    gcs: Gcs,
    object: NewObject,
    /// When the first upload of this object began.
    began: Option<u64>,
}

impl Direct {
    /// Uploads of `object` through `gcs`.
    pub fn new(gcs: Gcs, object: NewObject) -> Self {
        let began = None;
        Self { gcs, object, began }
    }
}

impl OpenUpload for Direct {
    type Writer = DirectWriter;

    fn size(&self) -> Option<u64> {
        self.object.size
    }

    async fn start(&mut self) -> Result<(DirectWriter, Token), Error> {
        let NewObject { destination, size } = &self.object;
        let asked = sight::now();
        let started = Session::start(&self.gcs, destination, *size).await;
        let started = started.map_err(Failure::from)?;
        if let (None, Some(date)) = (self.began, started.date) {
            self.began = Some(sight::began_at(date, Some(asked)));
        }
        let session = started.answer;
        let token = Token::new(session.uri().expose());
        Ok((DirectWriter::new(session), token))
    }

    async fn attach(&mut self, token: &Token) -> Result<DirectWriter, Error> {
        let session = SessionUri::parse(token.expose()).map_err(|error| {
            let text = format!("the token is no session URI: {error}");
            Error::of(Kind::BadToken, Retry::Never, text)
        })?;
        let session = session.with_key(self.object.destination.key.clone());
        Ok(DirectWriter::new(Session::attach(&self.gcs, session)))
    }

    async fn look(&mut self) -> Result<Sight, Error> {
        let gcs = &self.gcs;
        let stat = async |of: ObjectRef| {
            let found = gcs.stat_object(&of).await.map_err(Failure::from)?.answer;
            let (info, json) = (found.info, found.json);
            Ok(StoredObject { info, json })
        };
        Sight::of(&self.object.destination, self.began, stat).await
    }
}

/// One upload, straight to GCS.
#[derive(Debug)]
pub struct DirectWriter {
    session: Session,
    resource: Option<Bytes>,
}

impl DirectWriter {
    fn new(session: Session) -> Self {
        Self {
            session,
            resource: None,
        }
    }

    /// Keeps what an answer says of the finished object.
    fn answered(
        &mut self,
        answer: Result<Answered<UploadProgress>, SessionError>,
    ) -> Result<Progress, Error> {
        let UploadProgress {
            committed,
            object,
            json,
            ..
        } = answer.map_err(Failure::from)?.answer;
        if !json.is_empty() {
            self.resource = Some(json);
        }
        Ok(Progress {
            object,
            ..Progress::of(committed)
        })
    }
}

impl UnreliableWriter for DirectWriter {
    async fn write_at(&mut self, offset: u64, body: Body, last: Option<Last>) -> Result<Progress, Error> {
        let Some(len) = body.len.and_then(|len| u64::try_from(len).ok()) else {
            let text = "the body is longer than any object, or has no length, which only a daemon takes";
            return Err(Error::of(Kind::BadBody, Retry::Never, text));
        };
        let range = WriteRange {
            offset,
            len: Some(len),
            total: last.map(|last| last.total),
            object_crc32c: last.map(|last| last.crc32c),
        };
        let (mut lease, body) = lend(Feed::from(body), len);
        let written = self.session.write(range, body).await;
        if let Some(error) = lease.take().and_then(Feed::into_error) {
            return Err(Error::Source(error.into()));
        }
        Ok(Progress {
            received: lease.received(),
            received_crc32c: lease.crc32c(),
            ..self.answered(written)?
        })
    }

    async fn query(&mut self) -> Result<Progress, Error> {
        let asked = self.session.query().await;
        self.answered(asked)
    }

    async fn finish(&mut self, last: Last) -> Result<Progress, Error> {
        let finished = self.session.finish(last.total, Some(last.crc32c)).await;
        self.answered(finished)
    }

    async fn cancel(&mut self) -> Result<Cancelled, Error> {
        let cancelled = self.session.cancel().await.map_err(Failure::from)?;
        Ok(match cancelled.answer {
            CancelOutcome::Cancelled => Cancelled::Cancelled,
            CancelOutcome::Finished(object) => Cancelled::Finished {
                generation: object.info.generation,
            },
            CancelOutcome::Unknown => Cancelled::Unknown,
        })
    }

    fn resource(&self) -> Option<Bytes> {
        self.resource.clone()
    }
}
