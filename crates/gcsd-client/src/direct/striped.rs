//! A striped upload's requests, straight to GCS.

use bytes::{Bytes, BytesMut};
use gcsd_failure::StatusError;
use gcsd_gcs::{Answered, Error, Gcs, Object, lend};
use gcsd_types::{ComposeSource, Destination, MultipartRef, ObjectQuery, ObjectRef, Page, Part};
use gcsd_wire::{Kind, Retry};

use super::{Direct, Feed};
use crate::striped::{Described, Named, PartWriter, Route, Stored, UploadOne};
use crate::{Body, Failure, NewObject, OpenUpload, Token};
use gcsd_types::Crc32c;

/// Straight to GCS, by this process's own credentials.
impl Route for Gcs {
    type Uploads = Direct;
    type Parts = DirectPart;

    fn part(&self, _lane: usize, upload: MultipartRef, number: u32) -> DirectPart {
        DirectPart::new(self.clone(), upload, number)
    }

    async fn start_multipart(&self, destination: &Destination) -> Result<String, Failure> {
        let started = self.start_multipart(destination).await;
        Ok(started.map_err(StatusError::from)?.answer)
    }

    async fn complete_multipart(
        &self,
        upload: &MultipartRef,
        parts: &[Part],
    ) -> Result<Option<u64>, Failure> {
        let completed = self.complete_multipart(upload, parts).await;
        Ok(completed.map_err(StatusError::from)?.answer.generation)
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<(), Failure> {
        self.abort_multipart(upload).await.map_err(StatusError::from)?;
        Ok(())
    }

    fn uploads(&self, _lane: usize, object: NewObject) -> Direct {
        Direct::new(self.clone(), object)
    }

    async fn compose(
        &self,
        destination: &Destination,
        sources: &[ComposeSource],
    ) -> Result<Described, Failure> {
        described(self.compose_objects(destination, sources).await)
    }

    async fn stat(&self, object: &ObjectRef) -> Result<Described, Failure> {
        described(self.stat_object(object).await)
    }

    async fn delete(&self, object: &ObjectRef) -> Result<(), Failure> {
        self.delete_object(object).await.map_err(StatusError::from)?;
        Ok(())
    }

    async fn list(&self, query: &ObjectQuery) -> Result<(Page, Bytes), Failure> {
        let mut page = self.list_objects(query).await.map_err(StatusError::from)?;
        let mut json = BytesMut::new();
        while let Some(bytes) = page.next().await.map_err(StatusError::from)? {
            json.extend_from_slice(&bytes);
        }
        Ok((page.page().cloned().unwrap_or_default(), json.freeze()))
    }
}

fn described(answer: Result<Answered<Object>, Error>) -> Result<Described, Failure> {
    let Object { info, json, .. } = answer.map_err(StatusError::from)?.answer;
    Ok(Described { info, json })
}

/// A part straight to GCS.
#[derive(Debug, Clone)]
pub struct DirectPart {
    gcs: Gcs,
    part: Named,
}

impl DirectPart {
    pub(super) fn new(gcs: Gcs, of: MultipartRef, number: u32) -> Self {
        let part = Named { of, number };
        Self { gcs, part }
    }
}

impl OpenUpload for DirectPart {
    type Writer = PartWriter<Gcs>;

    fn size(&self) -> Option<u64> {
        None
    }

    fn at_once(&self) -> bool {
        true
    }

    async fn start(&mut self) -> Result<(Self::Writer, Token), Failure> {
        let token = Token::new(crate::striped::NO_TOKEN);
        Ok((self.attach(&token).await?, token))
    }

    async fn attach(&mut self, _token: &Token) -> Result<Self::Writer, Failure> {
        Ok(PartWriter::new(self.gcs.clone(), self.part.clone()))
    }
}

impl UploadOne for Gcs {
    async fn upload_one(&self, part: &Named, crc32c: Crc32c, body: Body) -> Result<Stored, Failure> {
        let Some(len) = body.len.and_then(|len| u64::try_from(len).ok()) else {
            let text = "the body is longer than any part, or has no length";
            return Err(Failure::of(Kind::BadArgs, Retry::Never, text));
        };
        let (mut lease, body) = lend(Feed::from(body), len);
        let uploaded = self.upload_part(&part.of, part.number, Some(crc32c), body).await;
        if let Some(error) = lease.take().and_then(Feed::into_error) {
            return Err(Failure::source(&error));
        }
        let etag = uploaded.map_err(StatusError::from)?.answer;
        Ok(Stored {
            received: lease.received(),
            received_crc32c: lease.crc32c(),
            etag,
        })
    }
}
