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

#[cfg(test)]
mod tests {
    use gcsd_net::{BoxStream, Connecting, Connector};
    use gcsd_wire::Kind;
    use tokio::io::DuplexStream;
    use tokio::sync::Barrier;

    use super::super::Options;
    use super::*;

    /// Connects in memory, once as many callers as the barrier has places are waiting for it.
    #[derive(Debug)]
    struct InMemory {
        barrier: Barrier,
        daemons: Mutex<Vec<DuplexStream>>,
    }

    impl Connector for InMemory {
        fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
            Box::pin(async {
                self.barrier.wait().await;
                let (client, daemon) = tokio::io::duplex(1024);
                self.daemons.lock().expect("not poisoned").push(daemon);
                Ok(Box::new(client) as BoxStream)
            })
        }
    }

    fn shared(at_once: usize) -> (SharedConnection, Arc<InMemory>) {
        let connector = Arc::new(InMemory {
            barrier: Barrier::new(at_once),
            daemons: Mutex::default(),
        });
        let address = "localhost".parse().expect("an address");
        let daemons = Daemons::new(connector.clone(), vec![address], Options::default());
        (SharedConnection::new(daemons), connector)
    }

    /// The connection that a request is made on.
    async fn used(shared: &SharedConnection) -> Connection {
        shared
            .request(async |connection| Ok(connection))
            .await
            .expect("it connects")
    }

    #[tokio::test]
    async fn requests_that_connect_at_the_same_time_share_one_connection() {
        let (shared, _connector) = shared(2);
        let (one, other) = tokio::join!(used(&shared), used(&shared));
        assert!(one.is_same(&other));
    }

    #[tokio::test]
    async fn a_connection_is_replaced_once_it_is_over_or_a_request_asks_for_it() {
        let (shared, connector) = shared(1);
        let first = used(&shared).await;
        assert!(used(&shared).await.is_same(&first));
        connector.daemons.lock().expect("not poisoned").clear();
        first.ended().await;
        let second = used(&shared).await;
        assert!(!second.is_same(&first));
        for (retry, same) in [(Retry::Same, true), (Retry::Reconnect, false)] {
            let error = Error::of(Kind::Draining, retry, "scripted");
            let failed = shared.request(async |_| Err::<(), _>(error.clone())).await;
            assert_eq!(failed, Err(error));
            assert_eq!(used(&shared).await.is_same(&second), same, "{retry:?}");
        }
        assert!(!second.is_over(), "others still use it");
    }
}
