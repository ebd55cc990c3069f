//! One connection for many requests.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection::Connection;
use super::daemons::Daemons;
use super::error::Error;
use gcsd_wire::Retry;

/// A connection to one of several daemons, for any number of requests at a time. Where it is over, another one is made,
/// to the next daemon. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct SharedConnection(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    daemons: Daemons,
    connection: Option<Connection>,
}

impl SharedConnection {
    /// Nothing is connected yet.
    pub(super) fn new(daemons: Daemons) -> Self {
        let connection = None;
        Self(Arc::new(Mutex::new(Shared { daemons, connection })))
    }

    /// Makes a request once. Where it fails with the class `reconnect`, later ones go over another connection.
    pub(super) async fn request<T, F>(&self, request: impl FnOnce(Connection) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let connection = self.connection().await?;
        let answer = request(connection.clone()).await;
        if matches!(&answer, Err(error) if error.retry() == Retry::Reconnect) {
            self.forget(&connection);
        }
        answer
    }

    async fn connection(&self) -> Result<Connection, Error> {
        let mut daemons = {
            let shared = self.lock();
            if let Some(connection) = shared.usable() {
                return Ok(connection);
            }
            shared.daemons.clone()
        };
        let connection = daemons.connect().await?;
        let mut shared = self.lock();
        // Another request may have been quicker: one connection is enough.
        if let Some(connection) = shared.usable() {
            return Ok(connection);
        }
        shared.daemons = daemons;
        shared.connection = Some(connection.clone());
        Ok(connection)
    }

    /// Uses `connection` no more, unless it was replaced already.
    fn forget(&self, connection: &Connection) {
        let mut shared = self.lock();
        if shared
            .connection
            .as_ref()
            .is_some_and(|current| current.is_same(connection))
        {
            shared.connection = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn usable(&self) -> Option<Connection> {
        self.connection.clone().filter(|connection| !connection.is_over())
    }
}
