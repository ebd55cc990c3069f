//! Several daemons, any of which will do.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use super::connection::Connection;
use super::{Address, AddressError, Error, Options, RequestError};
use gcsd_net::{SharedConnector, TcpConnector};

/// The daemons of a list, asked in turn.
///
/// They share a token key, so that an upload that one of them began can be continued through any other.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// use gcsd_client::{Client, Daemons};
///
/// // When one fails, the next is asked.
/// let daemons: Daemons = format!("{address},127.0.0.1:9").parse()?;
/// let client = Client::new(daemons);
/// assert_eq!(client.object("gs://my-bucket/notes.txt")?.read().bytes().await?.len(), 23);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Daemons {
    connector: SharedConnector,
    addresses: Vec<Address>,
    /// The next address to try.
    next: usize,
    options: Options,
    /// Idle connections, shared by all clones.
    spare: Arc<Mutex<Vec<Connection>>>,
}

impl Daemons {
    /// The daemons at `addresses`, of which the first is tried first.
    pub fn new(connector: SharedConnector, addresses: Vec<Address>, options: Options) -> Self {
        Self {
            connector,
            addresses,
            next: 0,
            options,
            spare: Arc::default(),
        }
    }

    /// The same daemons with other options, such as their secret.
    #[must_use]
    pub fn with_options(self, options: Options) -> Self {
        Self::new(self.connector, self.addresses, options)
    }

    /// The same daemons through another connector.
    #[must_use]
    pub fn with_connector(self, connector: SharedConnector) -> Self {
        Self::new(connector, self.addresses, self.options)
    }

    /// The same daemons, starting `steps` further along the list: connections are spread over them that way.
    #[must_use]
    pub fn starting_at(&self, steps: usize) -> Self {
        let len = self.addresses.len().max(1);
        Self {
            next: (self.next + steps % len) % len,
            ..self.clone()
        }
    }

    /// Takes back an idle connection, for the next caller that connects.
    pub fn release(&self, connection: Connection) {
        if !connection.is_over() {
            self.spare
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
    }

    fn spare(&self) -> Option<Connection> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| spare.pop()).find(|connection| !connection.is_over())
    }

    /// An idle connection that was [released](Self::release), or a new one to the first daemon that can be reached, from the
    /// one after the last that was tried.
    ///
    /// Each is tried once; the error is that of the last.
    pub async fn connect(&mut self) -> Result<Connection, Error> {
        if let Some(connection) = self.spare() {
            return Ok(connection);
        }
        let mut last = Error::Request(RequestError::NoDaemon);
        for _ in 0..self.addresses.len() {
            let address = &self.addresses[self.next % self.addresses.len()];
            self.next = (self.next + 1) % self.addresses.len();
            match Connection::open(&*self.connector, address, &self.options).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// `HOST:PORT`, or several with commas between them, by plain TCP and with the default [`Options`].
impl FromStr for Daemons {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let addresses = text.split(',').map(|address| address.trim().parse());
        let addresses = addresses.collect::<Result<_, _>>()?;
        Ok(Self::new(Arc::new(TcpConnector), addresses, Options::default()))
    }
}
