//! The way to GCS: through daemons, or straight.

use std::future::Future;

use bytes::Bytes;

pub use super::super::StoredObject;
use super::super::shared_connection::SharedConnection;
use super::super::{Connection, Daemons, Error, NewObject, OpenUpload, ViaDaemon};
use super::multipart_part::DaemonPart;
use gcsd_types::{ComposeSource, Destination, MultipartRef, ObjectQuery, ObjectRef, Page, Part};
use gcsd_wire::{
    abort_multipart, complete_multipart, compose_objects, delete_object, list_objects, start_multipart,
    stat_object,
};

/// The requests of a striped upload. Each is made once; the caller recovers.
pub trait Route: Clone + Send + Sync + 'static {
    /// Where uploads of single objects come from.
    type Uploads: OpenUpload;

    /// Uploads of `object`, on a connection of its own. Lanes are spread over the daemons.
    fn uploads(&self, lane: usize, object: NewObject) -> Self::Uploads;

    /// Where the parts of a multipart upload come from. Each is an upload of its own, whose "resource" is its entity tag.
    type Parts: OpenUpload;

    /// Part `number` of `upload`, on a connection of its own.
    fn part(&self, lane: usize, upload: MultipartRef, number: u32) -> Self::Parts;

    /// Starts a multipart upload; returns GCS's name for it.
    fn start_multipart(
        &self,
        destination: &Destination,
    ) -> impl Future<Output = Result<String, Error>> + Send;

    /// Makes the object of its parts; returns its generation, where GCS says which.
    fn complete_multipart(
        &self,
        upload: &MultipartRef,
        parts: &[Part],
    ) -> impl Future<Output = Result<Option<u64>, Error>> + Send;

    /// Aborts a multipart upload, which deletes its parts.
    fn abort_multipart(&self, upload: &MultipartRef) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes one object of up to 32.
    fn compose(
        &self,
        destination: &Destination,
        sources: &[ComposeSource],
    ) -> impl Future<Output = Result<StoredObject, Error>> + Send;

    /// What GCS says of an object.
    fn stat(&self, object: &ObjectRef) -> impl Future<Output = Result<StoredObject, Error>> + Send;

    /// Deletes an object, or one generation of it.
    fn delete(&self, object: &ObjectRef) -> impl Future<Output = Result<(), Error>> + Send;

    /// One page of a bucket's objects, and GCS's JSON of it.
    fn list(&self, query: &ObjectQuery) -> impl Future<Output = Result<(Page, Bytes), Error>> + Send;
}

/// Through daemons that share a token key.
///
/// Requests that belong to no upload share one connection. Where it is over, another one is made, to the next daemon.
#[derive(Debug, Clone)]
pub struct DaemonRoute {
    daemons: Daemons,
    connection: SharedConnection,
}

impl DaemonRoute {
    /// Through `daemons`.
    pub fn new(daemons: Daemons) -> Self {
        let connection = SharedConnection::new(daemons.clone());
        Self { daemons, connection }
    }
}

impl Route for DaemonRoute {
    type Uploads = ViaDaemon;
    type Parts = DaemonPart;

    fn part(&self, lane: usize, upload: MultipartRef, number: u32) -> DaemonPart {
        DaemonPart::new(self.daemons.starting_at(lane), upload, number)
    }

    async fn start_multipart(&self, destination: &Destination) -> Result<String, Error> {
        let args = start_multipart::StartMultipartArgs {
            destination: destination.clone(),
        };
        let start = async |connection: Connection| connection.start_multipart(&args).await;
        Ok(self.connection.request(start).await?.args.multipart_id)
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: &[Part]) -> Result<Option<u64>, Error> {
        let args = complete_multipart::CompleteMultipartArgs { of: upload.clone() };
        let complete = async |connection: Connection| connection.complete_multipart(&args, parts).await;
        Ok(self.connection.request(complete).await?.args.generation)
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<(), Error> {
        let args = abort_multipart::AbortMultipartArgs { of: upload.clone() };
        let abort = async |connection: Connection| connection.abort_multipart(&args).await;
        self.connection.request(abort).await?;
        Ok(())
    }

    fn uploads(&self, lane: usize, object: NewObject) -> ViaDaemon {
        ViaDaemon::through(self.daemons.starting_at(lane), object)
    }

    async fn compose(
        &self,
        destination: &Destination,
        sources: &[ComposeSource],
    ) -> Result<StoredObject, Error> {
        let args = compose_objects::ComposeObjectsArgs {
            destination: destination.clone(),
            sources: sources.to_vec(),
        };
        let compose = async |connection: Connection| connection.compose_objects(&args).await;
        Ok(self.connection.request(compose).await?.into())
    }

    async fn stat(&self, object: &ObjectRef) -> Result<StoredObject, Error> {
        let args = stat_object::StatObjectArgs { of: object.clone() };
        let stat = async |connection: Connection| connection.stat_object(&args).await;
        Ok(self.connection.request(stat).await?.into())
    }

    async fn delete(&self, object: &ObjectRef) -> Result<(), Error> {
        let args = delete_object::DeleteObjectArgs { of: object.clone() };
        let delete = async |connection: Connection| connection.delete_object(&args).await;
        self.connection.request(delete).await
    }

    async fn list(&self, query: &ObjectQuery) -> Result<(Page, Bytes), Error> {
        let args = list_objects::ListObjectsArgs { query: query.clone() };
        let list = async |connection: Connection| connection.list_objects(&args).await;
        let reply = self.connection.request(list).await?;
        Ok((reply.args, reply.json))
    }
}
