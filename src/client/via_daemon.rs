//! Through a daemon, or whichever of several can be reached.

use super::connection::Connection;
use super::writer::{Cancelled, Last, NewObject, OpenUpload, Progress, Token, UnreliableWriter};
use super::{Address, Body, Error, Failure, Options};
use crate::net::SharedConnector;
use crate::wire::{finish_upload, write_at};

/// Uploads of one object through daemons that share a token key.
///
/// Each upload has a connection of its own. Where that is over, the next daemon of the list is asked, so that a
/// daemon that stops is left in the middle of an upload.
#[derive(Debug, Clone)]
pub struct ViaDaemon {
    connector: SharedConnector,
    addresses: Vec<Address>,
    /// Which address comes next.
    next: usize,
    options: Options,
    object: NewObject,
}

impl ViaDaemon {
    /// Uploads of `object` through the daemons at `addresses`, the first of which is asked first.
    pub fn new(
        connector: SharedConnector,
        addresses: Vec<Address>,
        options: Options,
        object: NewObject,
    ) -> Self {
        Self {
            connector,
            addresses,
            next: 0,
            options,
            object,
        }
    }

    /// A connection to the first daemon, from the next on, that takes one. The error is that of the last.
    async fn connect(&mut self) -> Result<Connection, Failure> {
        let mut last = Failure::no_daemon();
        for _ in 0..self.addresses.len() {
            let address = &self.addresses[self.next % self.addresses.len()];
            self.next = (self.next + 1) % self.addresses.len();
            match Connection::open(&*self.connector, address, &self.options).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

impl OpenUpload for ViaDaemon {
    type Writer = DaemonWriter;

    fn size(&self) -> Option<u64> {
        self.object.size
    }

    async fn start(&mut self) -> Result<(DaemonWriter, Token), Failure> {
        let connection = self.connect().await?;
        let upload = connection.new_upload();
        let started = connection.start_upload(upload, &self.object).await?;
        Ok((
            DaemonWriter { connection, upload },
            Token::new(started.args.token),
        ))
    }

    async fn attach(&mut self, token: &Token) -> Result<DaemonWriter, Failure> {
        let connection = self.connect().await?;
        let upload = connection.new_upload();
        connection.attach_upload(upload, token.expose()).await?;
        Ok(DaemonWriter { connection, upload })
    }
}

/// One upload, on a connection of its own.
#[derive(Debug)]
pub struct DaemonWriter {
    connection: Connection,
    upload: u32,
}

impl UnreliableWriter for DaemonWriter {
    async fn write_at(&mut self, offset: u64, body: Body, last: Option<Last>) -> Result<Progress, Failure> {
        let args = write_at::Args {
            offset,
            total: last.map(|last| last.total),
            object_crc32c: last.map(|last| last.crc32c),
        };
        Ok(self.connection.write_at(self.upload, &args, body).await?.args)
    }

    async fn query(&mut self) -> Result<Progress, Failure> {
        Ok(self.connection.query_upload(self.upload).await?.args)
    }

    async fn finish(&mut self, last: Last) -> Result<Progress, Failure> {
        let args = finish_upload::Args {
            total: last.total,
            object_crc32c: Some(last.crc32c),
        };
        Ok(self.connection.finish_upload(self.upload, &args).await?.args)
    }

    async fn cancel(&mut self) -> Result<Cancelled, Failure> {
        Ok(self.connection.cancel_upload(self.upload).await?.args)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Daemon(daemon) => Self::told(daemon.status, daemon.http_status, &daemon.reply),
            Error::Source(cause) => Self::source(cause),
            Error::Connection(_) | Error::Request(_) | Error::Damaged { .. } => {
                Self::local(error.name(), error.retry(), error.to_string())
            }
        }
    }
}
