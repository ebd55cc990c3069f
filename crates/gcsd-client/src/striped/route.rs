//! The way to GCS: through daemons, or straight.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

pub use super::super::StoredObject;
use super::super::{Connection, Daemons, Failure, NewObject, OpenUpload, ViaDaemon};
use super::multipart_part::DaemonPart;
use gcsd_types::{ComposeSource, Destination, MultipartRef, ObjectQuery, ObjectRef, Page, Part};
use gcsd_wire::{
    abort_multipart, complete_multipart, compose_objects, delete_object, list_objects, start_multipart,
    stat_object,
};

/// What a striped upload asks for. Each request is made once; whoever calls recovers.
pub trait Route: Clone + Send + Sync + 'static {
    /// Where uploads of single objects come from.
    type Uploads: OpenUpload;

    /// Uploads of `object`, on a connection of its own. Lanes are spread over the daemons.
    fn uploads(&self, lane: usize, object: NewObject) -> Self::Uploads;

    /// Where parts of a multipart upload come from: each is an upload of its own, whose "resource" is its entity tag.
    type Parts: OpenUpload;

    /// Part `number` of `upload`, on a connection of its own.
    fn part(&self, lane: usize, upload: MultipartRef, number: u32) -> Self::Parts;

    /// Starts a multipart upload; returns GCS's name for it.
    fn start_multipart(
        &self,
        destination: &Destination,
    ) -> impl Future<Output = Result<String, Failure>> + Send;

    /// Makes the object of its parts; returns its generation, where GCS says which.
    fn complete_multipart(
        &self,
        upload: &MultipartRef,
        parts: &[Part],
    ) -> impl Future<Output = Result<Option<u64>, Failure>> + Send;

    /// Throws a multipart upload and its parts away. One that GCS does not know is as good as gone.
    fn abort_multipart(&self, upload: &MultipartRef) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Makes one object of up to 32.
    fn compose(
        &self,
        destination: &Destination,
        sources: &[ComposeSource],
    ) -> impl Future<Output = Result<StoredObject, Failure>> + Send;

    /// What GCS says of an object.
    fn stat(&self, object: &ObjectRef) -> impl Future<Output = Result<StoredObject, Failure>> + Send;

    /// Deletes an object, or one generation of it.
    fn delete(&self, object: &ObjectRef) -> impl Future<Output = Result<(), Failure>> + Send;

    /// One page of a bucket's objects, and GCS's JSON of it.
    fn list(&self, query: &ObjectQuery) -> impl Future<Output = Result<(Page, Bytes), Failure>> + Send;
}

/// Through daemons that share a token key.
///
/// Requests beside the uploads share one connection, which is made again, to the next daemon, where it is over.
#[derive(Debug, Clone)]
pub struct DaemonRoute {
    daemons: Daemons,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    daemons: Daemons,
    connection: Option<Connection>,
}

impl DaemonRoute {
    /// Through `daemons`.
    pub fn new(daemons: Daemons) -> Self {
        let shared = Shared {
            daemons: daemons.clone(),
            connection: None,
        };
        Self {
            daemons,
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    async fn connection(&self) -> Result<Connection, Failure> {
        let mut daemons = {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(connection) = &shared.connection
                && !connection.is_over()
            {
                return Ok(connection.clone());
            }
            let daemons = shared.daemons.clone();
            shared.daemons = daemons.starting_at(1);
            daemons
        };
        // Where several come here at once, the last connection is the one that is shared.
        let connection = daemons.connect().await?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.connection = Some(connection.clone());
        Ok(connection)
    }
}

impl Route for DaemonRoute {
    type Uploads = ViaDaemon;
    type Parts = DaemonPart;

    fn part(&self, lane: usize, upload: MultipartRef, number: u32) -> DaemonPart {
        DaemonPart::new(self.daemons.starting_at(lane), upload, number)
    }

    async fn start_multipart(&self, destination: &Destination) -> Result<String, Failure> {
        let args = start_multipart::Args {
            destination: destination.clone(),
        };
        let reply = self.connection().await?.start_multipart(&args).await?;
        Ok(reply.args.multipart_id)
    }

    async fn complete_multipart(
        &self,
        upload: &MultipartRef,
        parts: &[Part],
    ) -> Result<Option<u64>, Failure> {
        let args = complete_multipart::Args { of: upload.clone() };
        let connection = self.connection().await?;
        let reply = connection.complete_multipart(&args, parts).await?;
        Ok(reply.args.generation)
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<(), Failure> {
        let args = abort_multipart::Args { of: upload.clone() };
        self.connection().await?.abort_multipart(&args).await?;
        Ok(())
    }

    fn uploads(&self, lane: usize, object: NewObject) -> ViaDaemon {
        ViaDaemon::through(self.daemons.starting_at(lane), object)
    }

    async fn compose(
        &self,
        destination: &Destination,
        sources: &[ComposeSource],
    ) -> Result<StoredObject, Failure> {
        let args = compose_objects::Args {
            destination: destination.clone(),
            sources: sources.to_vec(),
        };
        let reply = self.connection().await?.compose_objects(&args).await?;
        Ok(StoredObject {
            info: reply.args.object,
            json: reply.json,
        })
    }

    async fn stat(&self, object: &ObjectRef) -> Result<StoredObject, Failure> {
        let args = stat_object::Args { of: object.clone() };
        let reply = self.connection().await?.stat_object(&args).await?;
        Ok(StoredObject {
            info: reply.args.object,
            json: reply.json,
        })
    }

    async fn delete(&self, object: &ObjectRef) -> Result<(), Failure> {
        let args = delete_object::Args { of: object.clone() };
        Ok(self.connection().await?.delete_object(&args).await?)
    }

    async fn list(&self, query: &ObjectQuery) -> Result<(Page, Bytes), Failure> {
        let args = list_objects::Args { query: query.clone() };
        let reply = self.connection().await?.list_objects(&args).await?;
        Ok((reply.args, reply.json))
    }
}
