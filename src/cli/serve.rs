//! `gcsd serve`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tracing::{info, warn};

use super::devgcs::not_started;
use super::exit::{Failure, failed};
use super::proxies::ProxyArgs;
use super::secret::read_secret;
use super::stop::Signals;
use super::{environment, open_files, units};
use crate::ops::{Context, Fences, Limits, Sealer, Secret};
use crate::server::{self, Server};
use devgcs::Storage;
use gcsd_fault::{self, FaultyConnector};
use gcsd_gcs::{self, CredentialsSource, Endpoint, Gcs};
use gcsd_net::{SharedConnector, TcpConnector};
use gcsd_wire::DEFAULT_MAX_ARGS;

/// Where the daemon listens if nobody says otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4743);
/// The bucket that an embedded Cloud Storage has from the start.
const EMBEDDED_BUCKET: &str = "demo";

/// Run the daemon: listen for clients, and carry out their requests on Cloud Storage
///
/// Credentials are Google's application default credentials: the file that GOOGLE_APPLICATION_CREDENTIALS names, gcloud's,
/// or the metadata server's. With STORAGE_EMULATOR_HOST set, requests go there, without credentials.
///
/// The protocol itself is not encrypted: listen on loopback (the default), or on a network that you trust, with --auth-file.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; may be given several times. Sockets that systemd hands over are used beside these, and instead of
    /// the default [default: 127.0.0.1:4743]
    #[arg(long, env = "GCSD_LISTEN", value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<SocketAddr>,
    /// Serve a Cloud Storage that runs in this process, in memory or in a directory, with a bucket named "demo":
    /// for trying things out
    #[arg(
        long,
        env = "GCSD_EMBEDDED",
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        conflicts_with = "endpoint"
    )]
    embedded: Option<Option<PathBuf>>,

    /// Where Cloud Storage is [default: https://storage.googleapis.com, or that of the credentials' universe_domain]
    #[arg(
        long,
        env = "GCSD_ENDPOINT",
        value_name = "URL",
        help_heading = "Cloud Storage"
    )]
    endpoint: Option<Endpoint>,
    /// Send no credentials: for public objects and emulators
    #[arg(
        long,
        env = "GCSD_ANONYMOUS",
        value_parser = environment::truth,
        conflicts_with = "credentials",
        help_heading = "Cloud Storage"
    )]
    anonymous: bool,
    /// A credentials file instead of the application default credentials
    #[arg(
        long,
        env = "GCSD_CREDENTIALS",
        value_name = "FILE",
        help_heading = "Cloud Storage"
    )]
    credentials: Option<PathBuf>,
    /// A PEM file of certificates to trust instead of the system's
    #[arg(
        long,
        env = "GCSD_CA_FILE",
        value_name = "FILE",
        help_heading = "Cloud Storage"
    )]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    proxies: ProxyArgs,
    /// The project that pays, for buckets where the requester does
    #[arg(
        long,
        env = "GCSD_USER_PROJECT",
        value_name = "PROJECT",
        help_heading = "Cloud Storage"
    )]
    user_project: Option<String>,

    /// The keys that seal upload tokens, a line of 64 hexadecimal digits each; the first one seals. Daemons with the same keys can
    /// go on with each other's uploads. Without it, a key is made in the state directory
    #[arg(long, env = "GCSD_TOKEN_KEY", value_name = "FILE", help_heading = "Security")]
    token_key: Option<PathBuf>,
    /// Where the daemon keeps its token key [default: $STATE_DIRECTORY, or gcsd below $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, env = "GCSD_STATE_DIR", value_name = "DIR", help_heading = "Security")]
    state_dir: Option<PathBuf>,
    /// A file whose text (without a final newline) clients must send in Hello before anything else
    #[arg(long, env = "GCSD_AUTH_FILE", value_name = "FILE", help_heading = "Security")]
    auth_file: Option<PathBuf>,

    /// Connections at once; further ones wait
    #[arg(
        long,
        env = "GCSD_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 10_000,
        help_heading = "Limits"
    )]
    max_connections: usize,
    /// Requests in flight per connection; then the daemon stops reading from it
    #[arg(long, env = "GCSD_MAX_IN_FLIGHT", value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = "Limits")]
    max_in_flight: u32,
    /// Open uploads per connection
    #[arg(long, env = "GCSD_MAX_UPLOADS", value_name = "N", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=1_048_576), help_heading = "Limits")]
    max_uploads: u32,
    /// The largest read from a client, and so the buffer of an active connection
    #[arg(long, env = "GCSD_READ_BUFFER", value_name = "SIZE", default_value = "256KiB", value_parser = read_buffer,
          help_heading = "Limits")]
    read_buffer: usize,
    /// How much the kernel keeps of what a client sends while Cloud Storage is slower; 0 leaves it to the system, which
    /// takes megabytes, in the interest of clients that are far away
    #[arg(long, env = "GCSD_RECEIVE_BUFFER", value_name = "SIZE", default_value = "128KiB", value_parser = receive_buffer,
          help_heading = "Limits")]
    receive_buffer: usize,
    /// How much of a refused body is read and thrown away before the connection is closed instead
    #[arg(long, env = "GCSD_DRAIN_CAP", value_name = "SIZE", default_value = "1MiB", value_parser = units::size,
          help_heading = "Limits")]
    drain_cap: u64,

    /// How long a client may send nothing inside a request, or take none of its replies
    #[arg(long, env = "GCSD_CLIENT_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = positive,
          help_heading = "Time")]
    client_timeout: Duration,
    /// How long Cloud Storage may take or send nothing
    #[arg(long, env = "GCSD_GCS_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = positive,
          help_heading = "Time")]
    gcs_timeout: Duration,
    /// How long a connection to Cloud Storage may take to come about
    #[arg(long, env = "GCSD_CONNECT_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = positive,
          help_heading = "Time")]
    connect_timeout: Duration,
    /// How long a client's connection may be idle; 0 for ever
    #[arg(long, env = "GCSD_IDLE_TIMEOUT", value_name = "TIME", default_value = "1h", value_parser = units::duration,
          help_heading = "Time")]
    idle_timeout: Duration,
    /// How long requests in flight may go on after SIGTERM
    #[arg(long, env = "GCSD_GRACE", value_name = "TIME", default_value = "30s", value_parser = units::duration,
          help_heading = "Time")]
    grace: Duration,

    /// Let connections to Cloud Storage fail, for tests: a plan such as "seed 7; refuse p 0.1; reset in read 0 p 0.1".
    /// docs/faults.md has the words
    #[arg(
        long,
        env = "GCSD_FAULTS",
        value_name = "PLAN",
        default_value = "off",
        help_heading = "Tests"
    )]
    faults: gcsd_fault::Plan,
}

fn read_buffer(text: &str) -> Result<usize, String> {
    match units::size(text)? {
        size @ 4096..=16_777_216 => usize::try_from(size).map_err(|error| error.to_string()),
        _ => Err("a read buffer has between 4KiB and 16MiB".to_owned()),
    }
}

fn receive_buffer(text: &str) -> Result<usize, String> {
    match units::size(text)? {
        size @ (0 | 4096..=1_073_741_824) => usize::try_from(size).map_err(|error| error.to_string()),
        _ => Err("a receive buffer has between 4KiB and 1GiB, or is 0".to_owned()),
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    match units::duration(text)? {
        Duration::ZERO => Err("it must be longer than 0".to_owned()),
        duration => Ok(duration),
    }
}

/// What must be done before anything else: may start this program anew.
pub(super) fn prepare(args: &Args) -> Result<(), Failure> {
    let (_, credentials) = destination(args, None)?;
    match credentials {
        // No access tokens, no environment to be right for them.
        CredentialsSource::Anonymous => Ok(()),
        _ => args.proxies.settle(),
    }
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let signals = Signals::new()?;
    open_files::allow(args.max_connections);
    let embedded = match &args.embedded {
        Some(dir) => Some(start_embedded(dir.clone()).await?),
        None => None,
    };
    let context = Context {
        gcs: make_gcs(&args, embedded.as_ref())?,
        sealer: make_sealer(&args)?,
        fences: Fences::default(),
        limits: limits(&args),
        secret: secret(&args)?,
    };
    let listeners = listeners(&args.listen).await?;
    let config = server::Config {
        max_connections: args.max_connections,
        read_buffer: args.read_buffer,
        receive_buffer: args.receive_buffer,
        grace: args.grace,
    };
    let gcs = context.gcs.clone();
    let server = Server::new(context, config, listeners);
    for address in server.addresses() {
        info!(%address, endpoint = %gcs.endpoint(), "gcsd listens");
        if !address.ip().is_loopback() && args.auth_file.is_none() {
            warn!(%address, "anybody who reaches this address can use the daemon's credentials: think of --auth-file");
        }
    }
    if let Some(proxy) = gcs.proxy() {
        info!(proxy, "Cloud Storage is reached through a proxy");
    }
    tokio::spawn(async move {
        if let Err(error) = gcs.check_credentials().await {
            warn!(%error, "no access token can be had: requests will fail until one can");
        }
    });
    tell_systemd(NotifyState::Ready);
    let stopped = server.run(async {
        signals.first().await;
        tell_systemd(NotifyState::Stopping);
    });
    stopped.await;
    if let Some(embedded) = embedded {
        embedded.shutdown().await;
    }
    Ok(())
}

fn secret(args: &Args) -> Result<Option<Secret>, Failure> {
    let bytes = args.auth_file.as_deref().map(read_secret).transpose()?;
    Ok(bytes.map(Secret::new))
}

fn limits(args: &Args) -> Limits {
    Limits {
        max_args: DEFAULT_MAX_ARGS,
        max_in_flight: args.max_in_flight,
        max_uploads: args.max_uploads,
        drain_cap: args.drain_cap,
        idle_timeout: args.idle_timeout,
        client_timeout: args.client_timeout,
        gcs_timeout: args.gcs_timeout,
    }
}

async fn start_embedded(dir: Option<PathBuf>) -> Result<devgcs::Server, Failure> {
    let server = devgcs::Server::builder()
        .storage(dir.map_or(Storage::Memory, Storage::Directory))
        .bucket(EMBEDDED_BUCKET)
        .start()
        .await
        .map_err(not_started)?;
    info!(
        endpoint = server.endpoint(),
        bucket = EMBEDDED_BUCKET,
        "serving an embedded Cloud Storage"
    );
    Ok(server)
}

/// Where requests go, if that is said, and with what credentials.
fn destination(
    args: &Args,
    embedded: Option<&devgcs::Server>,
) -> Result<(Option<Endpoint>, CredentialsSource), Failure> {
    let emulator = std::env::var("STORAGE_EMULATOR_HOST");
    let emulator = emulator.ok().filter(|host| !host.is_empty());
    let (endpoint, emulated) = match (embedded, &args.endpoint, emulator) {
        (Some(embedded), ..) => (
            Some(parse_endpoint(&embedded.endpoint(), "the embedded server")?),
            true,
        ),
        (None, Some(endpoint), _) => (Some(endpoint.clone()), false),
        (None, None, Some(host)) => {
            let url = if host.contains("://") {
                host
            } else {
                format!("http://{host}")
            };
            (Some(parse_endpoint(&url, "STORAGE_EMULATOR_HOST")?), true)
        }
        (None, None, None) => (None, args.embedded.is_some()),
    };
    let credentials = match &args.credentials {
        Some(file) => CredentialsSource::File(file.clone()),
        None if args.anonymous || emulated => CredentialsSource::Anonymous,
        None => CredentialsSource::Default,
    };
    Ok((endpoint, credentials))
}

fn make_gcs(args: &Args, embedded: Option<&devgcs::Server>) -> Result<Gcs, Failure> {
    let (endpoint, credentials) = destination(args, embedded)?;
    let endpoint = match endpoint {
        Some(endpoint) => endpoint,
        None => credentials.endpoint().map_err(failed)?,
    };
    let mut config = gcsd_gcs::Config::new(endpoint);
    config.ca_file = args.ca_file.clone();
    config.proxies = Some(args.proxies.chosen());
    config.credentials = credentials;
    config.user_project = args.user_project.clone();
    config.connect_timeout = args.connect_timeout;
    config.stall_timeout = args.gcs_timeout;
    config.source_timeout = args.client_timeout;
    let mut connector: SharedConnector = Arc::new(TcpConnector);
    if args.faults != gcsd_fault::Plan::default() {
        warn!(faults = %args.faults, "connections to Cloud Storage fail on purpose");
        connector = Arc::new(FaultyConnector::new(connector, args.faults.clone()));
    }
    Gcs::new(config, connector).map_err(failed)
}

fn parse_endpoint(url: &str, what: &str) -> Result<Endpoint, Failure> {
    url.parse()
        .map_err(|error| failed(format!("{what}: {url}: {error}")))
}

fn make_sealer(args: &Args) -> Result<Sealer, Failure> {
    if let Some(file) = &args.token_key {
        return server::load_token_key(file).map_err(|error| failed(format!("the token key: {error}")));
    }
    if matches!(args.embedded, Some(None)) && args.state_dir.is_none() {
        // The uploads end with the process, and so may the key.
        let text = Sealer::generate_text().map_err(failed)?;
        return Sealer::from_text(&text).map_err(failed);
    }
    let dir = state_dir(args).ok_or_else(|| {
        failed("there is no state directory for the token key: name one with --state-dir, or a key with --token-key")
    })?;
    server::load_or_create_token_key(&dir).map_err(|error| {
        failed(format!(
            "the token key: {error}: name another directory with --state-dir, or a key with --token-key"
        ))
    })
}

fn state_dir(args: &Args) -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    args.state_dir
        .clone()
        .or_else(|| variable("STATE_DIRECTORY"))
        .or_else(|| variable("XDG_STATE_HOME").map(|dir| dir.join("gcsd")))
        .or_else(|| variable("HOME").map(|dir| dir.join(".local/state/gcsd")))
}

/// The sockets that systemd hands over, and those of the command line.
async fn listeners(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::new();
    let mut passed = ListenFd::from_env();
    for index in 0..passed.len() {
        let listener = passed
            .take_tcp_listener(index)
            .and_then(|listener| listener.ok_or_else(|| std::io::ErrorKind::NotFound.into()))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .map_err(|error| failed(format!("the socket {index} that was handed over: {error}")))?;
        listeners.push(listener);
    }
    let default = [DEFAULT_LISTEN];
    let addresses = if addresses.is_empty() && listeners.is_empty() {
        &default
    } else {
        addresses
    };
    for address in addresses {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            failed(format!(
                "cannot listen on {address}: {error}: name another address with --listen"
            ))
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "systemd could not be told");
    }
}
