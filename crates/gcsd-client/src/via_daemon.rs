//! Through a daemon, or whichever of several can be reached.

use bytes::Bytes;

use super::connection::{Connection, Reply};
use super::sight::{began, now};
use super::writer::{Cancelled, Last, OpenUpload, Progress, Token, UnreliableWriter};
use super::{Address, Body, Daemons, Error, NewObject, Options, Sight, StoredObject};
use gcsd_net::SharedConnector;
use gcsd_types::ObjectRef;
use gcsd_wire::{attach_upload, finish_upload, progress, stat_object, write_at};

/// Uploads of one object through daemons that share a token key.
///
/// Each upload has a connection of its own. Where that is over, the next daemon of the list is asked, so that a
/// daemon that stops is left in the middle of an upload.
#[derive(Debug, Clone)]
pub struct ViaDaemon {
    daemons: Daemons,
    object: NewObject,
    /// When the first upload of this object began.
    began: Option<u64>,
}

impl ViaDaemon {
    /// Uploads of `object` through the daemons at `addresses`, the first of which is asked first.
    pub fn new(
        connector: SharedConnector,
        addresses: Vec<Address>,
        options: Options,
        object: NewObject,
    ) -> Self {
        Self::through(Daemons::new(connector, addresses, options), object)
    }

    /// Uploads of `object` through `daemons`.
    pub fn through(daemons: Daemons, object: NewObject) -> Self {
        let began = None;
        Self {
            daemons,
            object,
            began,
        }
    }
}

impl OpenUpload for ViaDaemon {
    type Writer = DaemonWriter;

    fn size(&self) -> Option<u64> {
        self.object.size
    }

    async fn start(&mut self) -> Result<(DaemonWriter, Token), Error> {
        let connection = self.daemons.connect().await?;
        let upload = connection.new_upload();
        let asked = now();
        let started = connection
            .start_upload(upload, &self.object.clone().into())
            .await?;
        self.began.get_or_insert(began(started.args.expires, Some(asked)));
        Ok((
            DaemonWriter::new(connection, upload),
            Token::new(started.args.token),
        ))
    }

    async fn attach(&mut self, token: &Token) -> Result<DaemonWriter, Error> {
        let connection = self.daemons.connect().await?;
        let upload = connection.new_upload();
        let args = attach_upload::AttachUploadArgs {
            token: token.expose().to_owned(),
            key: self.object.destination.key.clone(),
        };
        let attached = connection.attach_upload_with(upload, &args).await?;
        self.began.get_or_insert(began(attached.args.expires, None));
        Ok(DaemonWriter::new(connection, upload))
    }

    async fn look(&mut self) -> Result<Sight, Error> {
        let connection = self.daemons.connect().await?;
        let stat = async |of: ObjectRef| {
            let found = connection.stat_object(&stat_object::StatObjectArgs { of }).await;
            found.map(StoredObject::from)
        };
        let sight = Sight::of(&self.object.destination, self.began, stat).await;
        self.daemons.release(connection);
        sight
    }
}

/// One upload, on a connection of its own.
#[derive(Debug)]
pub struct DaemonWriter {
    connection: Connection,
    upload: u32,
    resource: Option<Bytes>,
}

impl DaemonWriter {
    fn new(connection: Connection, upload: u32) -> Self {
        Self {
            connection,
            upload,
            resource: None,
        }
    }

    /// Keeps what a reply says of the finished object.
    fn answered(&mut self, reply: Result<Reply<progress::Progress>, Error>) -> Result<Progress, Error> {
        let reply = reply?;
        if reply.args.object.is_some() {
            self.resource = Some(reply.json);
        }
        Ok(reply.args.into())
    }
}

impl UnreliableWriter for DaemonWriter {
    async fn write_at(&mut self, offset: u64, body: Body, last: Option<Last>) -> Result<Progress, Error> {
        let args = write_at::WriteAtArgs {
            offset,
            total: last.map(|last| last.total),
            object_crc32c: last.map(|last| last.crc32c),
            body_crc32c: body.crc32c,
        };
        let reply = self.connection.write_at(self.upload, &args, body).await;
        self.answered(reply)
    }

    async fn query(&mut self) -> Result<Progress, Error> {
        let reply = self.connection.query_upload(self.upload).await;
        self.answered(reply)
    }

    async fn finish(&mut self, last: Last) -> Result<Progress, Error> {
        let args = finish_upload::FinishUploadArgs {
            total: last.total,
            object_crc32c: Some(last.crc32c),
        };
        let reply = self.connection.finish_upload(self.upload, &args).await;
        self.answered(reply)
    }

    async fn cancel(&mut self) -> Result<Cancelled, Error> {
        let reply = self.connection.cancel_upload(self.upload).await;
        Ok(reply?.args.into())
    }

    fn resource(&self) -> Option<Bytes> {
        self.resource.clone()
    }
}
