//! What every command needs that talks to a daemon.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;

use super::exit::Failure;
use super::secret::read_secret;
use super::units;
use crate::client::{Address, Connection, Options};
use crate::net::TcpConnector;
use crate::wire::hello;

/// Which daemon, and how long to wait for it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The daemon")]
pub(super) struct Daemon {
    /// Where the daemon listens.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:4743",
        env = "GCSD_CONNECT"
    )]
    connect: Address,
    /// A file with the secret that the daemon wants, where it runs with --auth-file.
    #[arg(long, value_name = "FILE", env = "GCSD_AUTH_FILE")]
    auth_file: Option<PathBuf>,
    /// How long connecting may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration, env = "GCSD_CONNECT_TIMEOUT")]
    connect_timeout: Duration,
    /// How long the daemon may be still while it owes an answer; longer than its --gcs-timeout.
    #[arg(long, value_name = "TIME", default_value = "150s", value_parser = units::duration, env = "GCSD_STALL_TIMEOUT")]
    stall_timeout: Duration,
}

impl Daemon {
    /// For a daemon in this process.
    pub(super) fn at(connect: Address) -> Self {
        Self {
            connect,
            auth_file: None,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(150),
        }
    }

    /// Connects and says Hello.
    pub(super) async fn open(&self) -> Result<(Connection, hello::Reply), Failure> {
        let secret = match &self.auth_file {
            Some(path) => read_secret(path)?,
            None => Bytes::new(),
        };
        let options = Options {
            connect_timeout: self.connect_timeout,
            stall: self.stall_timeout,
            ..Options::default()
        };
        let connection = Connection::open(&TcpConnector, &self.connect, &options).await?;
        let hello = connection.hello(&Connection::greeting(secret)).await;
        let hello = hello.map_err(|error| Failure::from(error).at(&self.connect))?;
        Ok((connection, hello.args))
    }
}
