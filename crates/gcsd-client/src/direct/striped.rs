//! A striped upload's requests, straight to GCS.

use bytes::{Bytes, BytesMut};
use gcsd_failure::Failure;
use gcsd_gcs::{Answered, Gcs, Object, lend};
use gcsd_types::{ComposeSource, Destination, MultipartRef, ObjectQuery, ObjectRef, Page, Part};
use gcsd_wire::{Kind, Retry};

use super::{Direct, Feed};
use crate::striped::{PartId, PartWriter, Route, StoredObject, StoredPart, UploadPart, on_page};
use crate::{Body, Error, NewObject, OpenUpload, Sight, Token};
use gcsd_types::Crc32c;

/// Straight to GCS, by this process's own credentials.
impl Route for Gcs {
    type Uploads = Direct;
    type Parts = DirectPart;

    fn part(&self, _lane: usize, upload: MultipartRef, number: u32) -> DirectPart {
        DirectPart::new(self.clone(), upload, number)
    }

    async fn start_multipart(&self, destination: &Destination) -> Result<String, Error> {
        let started = self.start_multipart(destination).await;
        Ok(started.map_err(Failure::from)?.answer)
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: &[Part]) -> Result<Option<u64>, Error> {
        let completed = self.complete_multipart(upload, parts).await;
        Ok(completed.map_err(Failure::from)?.answer.generation)
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<(), Error> {
        self.abort_multipart(upload).await.map_err(Failure::from)?;
        Ok(())
    }

    fn uploads(&self, _lane: usize, object: NewObject) -> Direct {
        Direct::new(self.clone(), object)
    }

    async fn compose(
        &self,
        destination: &Destination,
        sources: &[ComposeSource],
    ) -> Result<StoredObject, Error> {
        described(self.compose_objects(destination, sources).await)
    }

    async fn stat(&self, object: &ObjectRef) -> Result<StoredObject, Error> {
        described(self.stat_object(object).await)
    }

    async fn delete(&self, object: &ObjectRef) -> Result<(), Error> {
        self.delete_object(object).await.map_err(Failure::from)?;
        Ok(())
    }

    async fn list(&self, query: &ObjectQuery) -> Result<(Page, Bytes), Error> {
        let mut page = self.list_objects(query).await.map_err(Failure::from)?;
        let mut json = BytesMut::new();
        while let Some(bytes) = page.next().await.map_err(Failure::from)? {
            json.extend_from_slice(&bytes);
        }
        Ok((page.page().cloned().unwrap_or_default(), json.freeze()))
    }
}

fn described(answer: Result<Answered<Object>, gcsd_gcs::Error>) -> Result<StoredObject, Error> {
    let Object { info, json, .. } = answer.map_err(Failure::from)?.answer;
    Ok(StoredObject { info, json })
}

/// A part straight to GCS.
#[derive(Debug, Clone)]
pub struct DirectPart {
    gcs: Gcs,
    part: PartId,
}

impl DirectPart {
    pub(super) fn new(gcs: Gcs, of: MultipartRef, number: u32) -> Self {
        let part = PartId::new(of, number);
        Self { gcs, part }
    }
}

impl OpenUpload for DirectPart {
    type Writer = PartWriter<Gcs>;

    fn size(&self) -> Option<u64> {
        None
    }

    fn single_request(&self) -> bool {
        true
    }

    async fn start(&mut self) -> Result<(Self::Writer, Token), Error> {
        let token = Token::new(crate::striped::NO_TOKEN);
        Ok((self.attach(&token).await?, token))
    }

    /// A part is not an object, and a repeat replaces it.
    async fn look(&mut self) -> Result<Sight, Error> {
        Ok(Sight::nothing())
    }

    async fn attach(&mut self, _token: &Token) -> Result<Self::Writer, Error> {
        Ok(PartWriter::new(self.gcs.clone(), self.part.clone()))
    }
}

impl UploadPart for Gcs {
    async fn upload_part(&self, part: &PartId, crc32c: Crc32c, body: Body) -> Result<StoredPart, Error> {
        let Some(len) = body.len.and_then(|len| u64::try_from(len).ok()) else {
            let text = "the body is longer than any part, or has no length";
            return Err(Error::of(Kind::BadArgs, Retry::Never, text));
        };
        let (mut lease, body) = lend(Feed::from(body), len);
        let uploaded = self.upload_part(&part.of, part.number, Some(crc32c), body).await;
        if let Some(error) = lease.take().and_then(Feed::into_error) {
            return Err(Error::Source(error.into()));
        }
        let etag = uploaded.map_err(Failure::from)?.answer;
        Ok(StoredPart {
            received: lease.received(),
            received_crc32c: lease.crc32c(),
            etag,
        })
    }

    async fn stored_part(&self, part: &PartId) -> Result<Option<gcsd_types::StoredPart>, Error> {
        let listed = self.list_parts(&part.of, part.number - 1, 1).await;
        let page = listed.map_err(Failure::from)?.answer;
        Ok(on_page(page, part.number))
    }
}
