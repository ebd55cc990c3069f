//! A body that is stored outside any session: all of it counts, or nothing.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::error::Error;
use super::request_body::RequestBody;
use super::service::Service;
use super::storage::{Content, Digests, Writer};
use gcsd_types::{CHUNK_ALIGNMENT, MAX_OBJECT_SIZE};

/// The bytes so far. Dropped before the end, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Ingest {
    service: Arc<Service>,
    writer: Writer,
    pieces: Vec<Bytes>,
    held: u64,
    total: u64,
}

impl Ingest {
    pub(crate) async fn start(service: &Arc<Service>) -> Result<Self, Error> {
        let shared = Arc::clone(service);
        let writer = service.store.run(move || Ok(shared.store.writer()?)).await?;
        Ok(Self {
            service: Arc::clone(service),
            writer,
            pieces: Vec::new(),
            held: 0,
            total: 0,
        })
    }

    /// Takes all of `body`.
    pub(crate) async fn body(service: &Arc<Service>, body: &mut RequestBody) -> Result<Self, Error> {
        let mut ingest = Self::start(service).await?;
        while let Some(bytes) = body.next().await? {
            ingest = ingest.push(bytes).await?;
        }
        Ok(ingest)
    }

    /// Takes the next bytes.
    pub(crate) async fn push(mut self, bytes: Bytes) -> Result<Self, Error> {
        self.total += bytes.len() as u64;
        if self.total > MAX_OBJECT_SIZE {
            return Err(Error::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "uploadTooLarge",
                "An object has at most 5 TiB.",
            ));
        }
        self.held += bytes.len() as u64;
        self.pieces.push(bytes);
        if self.held < CHUNK_ALIGNMENT {
            return Ok(self);
        }
        self.held = 0;
        let service = Arc::clone(&self.service);
        let append = move || {
            let pieces = std::mem::take(&mut self.pieces);
            self.writer.append(&pieces)?;
            Ok(self)
        };
        service.store.run(append).await
    }

    /// Ends the bytes, which are kept if `then` succeeds.
    pub(crate) async fn finish<T: Send + 'static>(
        mut self,
        then: impl FnOnce(&Service, Content, Digests) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let service = Arc::clone(&self.service);
        let complete = move || {
            let (content, digests) = self.writer.complete(&self.pieces)?;
            let made = then(&self.service, content, digests)?;
            self.writer.keep();
            Ok(made)
        };
        service.store.run(complete).await
    }
}
