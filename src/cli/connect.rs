//! What every command needs that talks to a daemon.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use tokio::sync::watch;
use tokio::time::sleep;

use super::blocking::blocking;
use super::exit::{Exit, Failure, failed};
use super::recovered::{Told, report_failures};
use super::retries::Patience;
use super::secret::read_secret;
use super::{stderr, units};
use gcsd_client::{Address, Daemons, Options, ReliableRequests, Tls};
use gcsd_net::{SharedConnector, TcpConnector};
use gcsd_wire::Retry;

/// Between the first tries to reach a daemon.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// Between later ones.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Which daemon, and how long to wait for it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The daemon")]
pub(super) struct Daemon {
    /// Where the daemon listens: HOST:PORT, tls://HOST:PORT or unix:PATH; several addresses of daemons with the same token key
    /// are asked in turn.
    #[arg(
        long,
        value_name = "ADDRESS,...",
        value_delimiter = ',',
        default_value = "127.0.0.1:4743",
        env = "GCSD_CONNECT"
    )]
    connect: Vec<Address>,
    /// A file with the secret that the daemon wants, where it runs with --auth-file.
    #[arg(long, value_name = "FILE", env = "GCSD_AUTH_FILE")]
    auth_file: Option<PathBuf>,
    /// The authorities to trust at tls:// addresses (PEM), instead of the system's.
    #[arg(long = "ca-file", value_name = "FILE", env = "GCSD_CONNECT_CA_FILE")]
    connect_ca_file: Option<PathBuf>,
    /// The certificate to show to daemons that ask for one (PEM).
    #[arg(
        long = "cert",
        value_name = "FILE",
        env = "GCSD_CONNECT_CERT",
        requires = "connect_key"
    )]
    connect_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(
        long = "key",
        value_name = "FILE",
        env = "GCSD_CONNECT_KEY",
        requires = "connect_cert"
    )]
    connect_key: Option<PathBuf>,
    /// How long connecting may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration, env = "GCSD_CONNECT_TIMEOUT")]
    connect_timeout: Duration,
    /// How long the daemon may be still while it owes an answer; longer than its --gcs-timeout.
    #[arg(long, value_name = "TIME", default_value = "150s", value_parser = units::duration, env = "GCSD_STALL_TIMEOUT")]
    stall_timeout: Duration,
}

/// A daemon, and when to give up.
#[derive(Debug, Clone, Args)]
pub(super) struct Remote {
    #[command(flatten)]
    pub(super) daemon: Daemon,
    #[command(flatten)]
    pub(super) patience: Patience,
}

impl Remote {
    /// Requests on objects, once a daemon was reached. What fails and is tried again is printed, unless `quiet`.
    pub(super) async fn requests(&self, quiet: bool) -> Result<ReliableRequests, Failure> {
        let daemons = self.daemon.reached(&self.patience, quiet).await?;
        let reports = watch::Sender::default();
        if !quiet {
            let (seen, patience) = (reports.subscribe(), self.patience.clone());
            // It ends with the process.
            tokio::spawn(async move { report_failures::<()>(seen, &patience, Told::default(), quiet).await });
        }
        Ok(ReliableRequests::new(daemons, self.patience.policy()).reporting(reports))
    }
}

/// One address of the list.
pub(super) struct One {
    pub(super) address: String,
    pub(super) daemons: Daemons,
    pub(super) secret: Bytes,
}

impl Daemon {
    /// Each daemon of the list by itself. Nothing is sent yet.
    pub(super) async fn each(&self) -> Result<Vec<One>, Failure> {
        let secret = self.secret().await?;
        let tls = self.tls().await?;
        let each = self.connect.iter().map(|address| One {
            address: address.to_string(),
            daemons: Self {
                connect: vec![address.clone()],
                ..self.clone()
            }
            .with_secret(secret.clone(), tls.clone()),
            secret: secret.clone().unwrap_or_default(),
        });
        Ok(each.collect())
    }

    /// The daemons of the list, of which one could be reached and answered a Hello.
    ///
    /// A daemon that never was there is waited for as long as `patience` says, and no longer than it takes one to start
    /// where it says nothing.
    pub(super) async fn reached(&self, patience: &Patience, quiet: bool) -> Result<Daemons, Failure> {
        let secret = self.secret().await?;
        let tls = self.tls().await?;
        let daemons = self.with_secret(secret.clone(), tls.clone());
        let mut first = self.with_secret(Some(secret.unwrap_or_default()), tls);
        let budget = patience.first_contact();
        let begun = Instant::now();
        let mut wait = SHORTEST_WAIT;
        let mut told = quiet || !patience.is_given();
        loop {
            let error = match first.connect().await {
                Ok(connection) => {
                    daemons.release(connection);
                    return Ok(daemons);
                }
                Err(error) => error,
            };
            let failure = Failure::from(&error);
            let left = budget.saturating_sub(begun.elapsed());
            if error.retry() == Retry::Never || left.is_zero() {
                return Err(failure);
            }
            if !told {
                stderr::line(format_args!("gcsd: {}", failure.also(patience.outlook())));
                told = true;
            }
            sleep(wait.min(left)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Asks once whether a daemon of the list answers. One that wants another secret does.
    pub(super) async fn answers(&self) -> Result<(), Failure> {
        let (secret, tls) = (self.secret().await?, self.tls().await?);
        // A Hello is answered.
        let mut daemons = self.with_secret(Some(secret.unwrap_or_default()), tls);
        match daemons.connect().await {
            Ok(_) => Ok(()),
            Err(error) => match Failure::from(&error) {
                failure if failure.exit() == Exit::NotPermitted => Ok(()),
                failure => Err(failure),
            },
        }
    }

    async fn secret(&self) -> Result<Option<Bytes>, Failure> {
        match self.auth_file.clone() {
            Some(file) => blocking(move || read_secret(&file).map(Some)).await,
            None => Ok(None),
        }
    }

    /// What TLS needs, where an address wants that.
    async fn tls(&self) -> Result<Option<Tls>, Failure> {
        if !self
            .connect
            .iter()
            .any(|address| matches!(address, Address::Tls { .. }))
        {
            return Ok(None);
        }
        let Self {
            connect_ca_file: ca,
            connect_cert: cert,
            connect_key: key,
            ..
        } = self.clone();
        blocking(move || {
            let identity = cert.as_deref().zip(key.as_deref());
            Tls::new(ca.as_deref(), identity).map(Some).map_err(failed)
        })
        .await
    }

    fn with_secret(&self, secret: Option<Bytes>, tls: Option<Tls>) -> Daemons {
        let mut options = Options::default()
            .with_connect_timeout(self.connect_timeout)
            .with_stall(self.stall_timeout);
        options.secret = secret;
        options.tls = tls;
        let connector: SharedConnector = Arc::new(TcpConnector);
        Daemons::new(connector, self.connect.clone(), options)
    }
}
