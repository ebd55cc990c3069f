//! A part of a multipart upload, as an upload of its own: in one request, which starts from its first byte again if it
//! fails, unless GCS turns out to hold the part.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::super::writer::{Cancelled, Progress};
use super::super::{Body, Connection, Daemons, Error, Last, OpenUpload, Sight, Token, UnreliableWriter};
use gcsd_types::{Crc32c, MultipartRef, ObjectInfo, PartsPage};
use gcsd_wire::{Kind, Retry, list_parts, upload_part};

/// Stands in for a token: a part needs none, as its number names it.
pub(crate) const NO_TOKEN: &str = "part";

/// Part `number` of an upload.
#[derive(Debug, Clone)]
pub struct PartId {
    pub(crate) of: MultipartRef,
    pub(crate) number: u32,
    /// The content that was sent last, which GCS may hold though nobody was told. Clones share it.
    sent: Arc<Mutex<Option<(u64, Crc32c)>>>,
}

impl PartId {
    pub(crate) fn new(of: MultipartRef, number: u32) -> Self {
        let sent = Arc::default();
        Self { of, number, sent }
    }

    /// Notes that this content is about to be sent. Returns whether the same was sent before.
    fn sends(&self, size: u64, crc32c: Crc32c) -> bool {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.replace((size, crc32c)) == Some((size, crc32c))
    }
}

/// A part through a daemon.
#[derive(Debug, Clone)]
pub struct DaemonPart {
    daemons: Daemons,
    part: PartId,
}

impl DaemonPart {
    pub(super) fn new(daemons: Daemons, of: MultipartRef, number: u32) -> Self {
        let part = PartId::new(of, number);
        Self { daemons, part }
    }
}

impl OpenUpload for DaemonPart {
    type Writer = PartWriter<Connection>;

    fn size(&self) -> Option<u64> {
        None
    }

    fn single_request(&self) -> bool {
        true
    }

    async fn start(&mut self) -> Result<(Self::Writer, Token), Error> {
        let token = Token::new(NO_TOKEN);
        Ok((self.attach(&token).await?, token))
    }

    /// A part is not an object, and a repeat replaces it.
    async fn look(&mut self) -> Result<Sight, Error> {
        Ok(Sight::nothing())
    }

    async fn attach(&mut self, _token: &Token) -> Result<Self::Writer, Error> {
        let connection = self.daemons.connect().await?;
        Ok(PartWriter::new(connection, self.part.clone()))
    }
}

/// A part that GCS has.
pub struct StoredPart {
    pub(crate) received: u64,
    pub(crate) received_crc32c: Crc32c,
    pub(crate) etag: String,
}

/// The request that uploads a part: through a daemon, or straight to GCS.
pub trait UploadPart: Send + Sync + 'static {
    /// Makes it once.
    fn upload_part(
        &self,
        part: &PartId,
        crc32c: Crc32c,
        body: Body,
    ) -> impl Future<Output = Result<StoredPart, Error>> + Send;

    /// The part that GCS holds under this number, if any; made once.
    fn stored_part(
        &self,
        part: &PartId,
    ) -> impl Future<Output = Result<Option<gcsd_types::StoredPart>, Error>> + Send;
}

/// The part `number` on a page that begins with it.
pub(crate) fn on_page(page: PartsPage, number: u32) -> Option<gcsd_types::StoredPart> {
    page.parts.into_iter().find(|stored| stored.part.number == number)
}

impl UploadPart for Connection {
    async fn upload_part(&self, part: &PartId, crc32c: Crc32c, body: Body) -> Result<StoredPart, Error> {
        let args = upload_part::UploadPartArgs {
            of: part.of.clone(),
            part_number: part.number,
            body_crc32c: Some(crc32c),
        };
        let reply = self.upload_part(&args, body).await?;
        Ok(StoredPart {
            received: reply.args.received,
            received_crc32c: reply.args.received_crc32c,
            etag: reply.args.etag,
        })
    }

    async fn stored_part(&self, part: &PartId) -> Result<Option<gcsd_types::StoredPart>, Error> {
        let args = list_parts::ListPartsArgs {
            of: part.of.clone(),
            after: part.number - 1,
            max_parts: 1,
        };
        let page = self.list_parts(&args).await?.args;
        Ok(on_page(page, part.number))
    }
}

/// The writer of one part.
#[derive(Debug)]
pub struct PartWriter<W> {
    to: W,
    part: PartId,
    /// The part, once GCS has it.
    stored: Option<(ObjectInfo, Bytes)>,
}

impl<W> PartWriter<W> {
    pub(crate) fn new(to: W, part: PartId) -> Self {
        Self {
            to,
            part,
            stored: None,
        }
    }
}

impl<W: UploadPart> PartWriter<W> {
    /// The entity tag of the part, if GCS holds one of this size: an earlier request may have brought it, and its answer
    /// was lost. Only this upload knows the name that parts are sent under, so no other part can be meant.
    async fn held(&self, size: u64) -> Result<Option<String>, Error> {
        match self.to.stored_part(&self.part).await {
            Ok(found) => Ok(found
                .filter(|found| found.size == size)
                .map(|found| found.part.etag)),
            // Who may not ask can still send it.
            Err(error) if error.retry() == Retry::Never => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<W: UploadPart> UnreliableWriter for PartWriter<W> {
    async fn write_at(&mut self, offset: u64, body: Body, last: Option<Last>) -> Result<Progress, Error> {
        let (0, Some(Last { total, crc32c })) = (offset, last) else {
            let text = "a part must be sent in one request";
            return Err(Error::of(Kind::BadArgs, Retry::Never, text));
        };
        // The checksum goes along, and GCS stores no part that differs.
        let info = ObjectInfo {
            size: total,
            crc32c: Some(crc32c),
            ..ObjectInfo::default()
        };
        if self.part.sends(total, crc32c)
            && let Some(stored) = self.held(total).await?
        {
            self.stored = Some((info, stored.into()));
            return Ok(Progress::of(total).with_object(info));
        }
        let stored = self.to.upload_part(&self.part, crc32c, body).await?;
        self.stored = Some((info, stored.etag.into()));
        Ok(Progress {
            received: stored.received,
            received_crc32c: stored.received_crc32c,
            object: Some(info),
            ..Progress::of(total)
        })
    }

    /// GCS stores a part whole or not at all.
    async fn query(&mut self) -> Result<Progress, Error> {
        Ok(match &self.stored {
            Some((info, _)) => Progress {
                object: Some(*info),
                ..Progress::of(info.size)
            },
            None => Progress::of(0),
        })
    }

    async fn finish(&mut self, last: Last) -> Result<Progress, Error> {
        self.write_at(0, Body::empty(), Some(last)).await
    }

    /// A part is removed with its upload, not alone.
    async fn cancel(&mut self) -> Result<Cancelled, Error> {
        Ok(Cancelled::Cancelled)
    }

    fn resource(&self) -> Option<Bytes> {
        self.stored.as_ref().map(|(_, etag)| etag.clone())
    }
}
