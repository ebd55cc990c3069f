//! `gcsd serve`: the daemon.

mod admin;
mod limits;
mod listen;
mod place;
mod reload;
mod systemd;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use admin::AdminArgs;
use limits::LimitArgs;
use listen::ListenArgs;
use reload::Operator;
use systemd::tell_systemd;

use super::devgcs::not_started;
use super::environment;
use super::exit::{Exit, Failure, failed};
use super::logging;
use super::proxies::ProxyArgs;
use super::secret::{read_secret, refuse_if_open};
use super::stop::Signals;
use crate::ops::{Context, Fences, Sealer, Secret};
use crate::policy::{self, Access, Policy};
use crate::server::{self, Listener, Server, Stopped};
use crate::stats::Stats;
use devgcs::Storage;
use gcsd_fault::{self, FaultyConnector};
use gcsd_gcs::{self, CredentialsSource, Endpoint, Gcs};
use gcsd_net::{SharedConnector, TcpConnector};

/// The bucket that an embedded Cloud Storage has from the start.
const EMBEDDED_BUCKET: &str = "demo";
/// How long a wrong secret waits for its answer.
const REFUSAL_DELAY: Duration = Duration::from_secs(1);

/// How often files are looked at that may be changed while the daemon runs.
const FOLLOWING: Duration = Duration::from_secs(30);

/// Run the daemon: listen for clients, and carry out their requests on Cloud Storage
///
/// Credentials are Google's application default credentials: the file that GOOGLE_APPLICATION_CREDENTIALS names, gcloud's,
/// or the metadata server's. With STORAGE_EMULATOR_HOST set, requests go there, without credentials.
///
/// Whoever reaches the daemon acts with its credentials. So it listens on loopback unless told otherwise, and where others than
/// this machine can connect, it wants --auth-file, or tls:// with --client-ca-file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcsd serve
  gcsd serve --embedded=objects                       with a Cloud Storage of its own, and a bucket named demo
  gcsd serve --listen 10.0.0.5:4743 --auth-file /etc/gcsd/secret
  gcsd serve --config /etc/gcsd/gcsd.toml
  STORAGE_EMULATOR_HOST=http://127.0.0.1:4443 gcsd serve")]
pub(super) struct ServeArgs {
    /// A file with settings: each flag here is a key there. A flag wins over its variable, and that over the file.
    /// docs/configuration.md has the keys
    #[arg(long, env = "GCSD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    listening: ListenArgs,
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

    /// Who may do what: a table of the configuration file.
    #[arg(skip)]
    pub(super) policy: Option<policy::Config>,

    #[command(flatten)]
    admin: AdminArgs,

    #[command(flatten)]
    limits: LimitArgs,

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

impl ServeArgs {
    /// Refuses files that hold secrets and that every user of the machine can read.
    fn refuse_open_files(&self) -> Result<(), Failure> {
        let mut files = [&self.token_key, &self.auth_file].into_iter().flatten();
        files.try_for_each(|file| refuse_if_open(file))
    }
}

/// What must be done before anything else: may start this program anew.
pub(super) fn prepare(args: &ServeArgs) -> Result<(), Failure> {
    let (_, credentials) = destination(args, None)?;
    match credentials {
        // No access tokens, no environment to be right for them.
        CredentialsSource::Anonymous => Ok(()),
        _ => args.proxies.settle(),
    }
}

/// Reads all that the settings name, and begins nothing.
pub(super) fn check(args: &ServeArgs) -> Result<(), Failure> {
    make_gcs(args, None, None)?;
    args.admin.check()?;
    if let Some(file) = &args.token_key {
        load_token_key(file)?;
    }
    secret(args)?;
    args.listening.tls()?;
    make_policy(args)?;
    args.refuse_open_files()?;
    Ok(())
}

pub(super) async fn run(args: ServeArgs, log: logging::Control) -> Result<(), Failure> {
    let (signals, hangup) = Signals::of_daemon()?;
    args.admin.check()?;
    let stats = Arc::new(Stats::default());
    let bounds = args.limits.bounds(args.embedded.as_ref());
    let embedded = match &args.embedded {
        Some(dir) => Some(start_embedded(dir.clone()).await?),
        None => None,
    };
    let context = Context {
        gcs: make_gcs(&args, embedded.as_ref(), Some(stats.clone()))?,
        sealer: make_sealer(&args)?,
        fences: Fences::default(),
        limits: args.limits.of_connections(),
        secret: secret(&args)?,
        access: Access::new(make_policy(&args)?),
    };
    args.refuse_open_files()?;
    let tls = args.listening.tls()?;
    let listeners = args
        .listening
        .listeners(tls.as_ref(), args.limits.backlog)
        .await?;
    args.listening
        .check_exposure(&listeners, context.secret.is_some() || args.policy.is_some())?;
    let config = server::Config {
        max_connections: bounds.connections,
        max_calls: bounds.calls,
        max_memory: args.limits.max_memory,
        read_buffer: args.limits.read_buffer,
        receive_buffer: args.limits.receive_buffer,
        grace: args.limits.grace,
        drain_delay: args.limits.drain_delay,
        refusal_delay: REFUSAL_DELAY,
    };
    let gcs = context.gcs.clone();
    let server = Server::counting(context, config, listeners, stats);
    let operator = Operator::new(server.handle(), gcs.clone(), log, tls.clone());
    let end = CancellationToken::new();
    let admin = args.admin.start(server.handle(), operator.clone(), &end).await?;
    for address in server.listeners().iter().filter_map(Listener::address) {
        info!(%address, endpoint = %gcs.endpoint(), "gcsd listens");
    }
    if let Some(tls) = tls {
        tokio::spawn(async move { tls.follow(FOLLOWING).await });
    }
    if let Some(proxy) = gcs.proxy() {
        info!(proxy, "Cloud Storage is reached through a proxy");
    }
    tokio::spawn(async move {
        if let Err(error) = gcs.check_credentials().await {
            warn!(%error, "no access token can be had: requests will fail until one can");
        }
    });
    tell_systemd(&[NotifyState::Ready]);
    let minding = [
        tokio::spawn(operator.clone().mind(hangup)),
        tokio::spawn(systemd::report(server.handle())),
    ];
    let stopped = server.run(signals.first()).await;
    minding.iter().for_each(tokio::task::JoinHandle::abort);
    if let Some(embedded) = embedded {
        embedded.shutdown().await;
    }
    // It is there until now: whoever waits for the end waits for that of the admin listener.
    end.cancel();
    if let Some(admin) = admin {
        // It ends at once.
        let _ = admin.await;
    }
    match stopped {
        Stopped::Drained => Ok(()),
        // The log has told how many.
        Stopped::Cut => Err(Failure::said(Exit::Cut)),
    }
}

/// Who may do what, if the configuration file says so.
pub(super) fn make_policy(args: &ServeArgs) -> Result<Option<Policy>, Failure> {
    let Some(config) = args.policy.clone() else {
        return Ok(None);
    };
    let policy = Policy::new(config).map_err(failed)?;
    if args.auth_file.is_some() && !policy.knows_auth_file() {
        let unused = failed("no rule of the policy is for who knows the secret of --auth-file");
        return Err(unused.advise("write auth-file = true in one, or leave --auth-file out"));
    }
    Ok(Some(policy))
}

fn secret(args: &ServeArgs) -> Result<Option<Secret>, Failure> {
    let bytes = args.auth_file.as_deref().map(read_secret).transpose()?;
    Ok(bytes.map(Secret::new))
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
    args: &ServeArgs,
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

fn make_gcs(
    args: &ServeArgs,
    embedded: Option<&devgcs::Server>,
    stats: Option<Arc<Stats>>,
) -> Result<Gcs, Failure> {
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
    args.limits.set_times(&mut config);
    if let Some(stats) = stats {
        config.observer = Some(stats);
    }
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

fn make_sealer(args: &ServeArgs) -> Result<Sealer, Failure> {
    if let Some(file) = &args.token_key {
        return load_token_key(file);
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

/// The token keys, read again where they are kept; `None` where they are kept nowhere.
fn load_sealer(args: &ServeArgs) -> Result<Option<Sealer>, Failure> {
    let is_kept =
        args.token_key.is_some() || args.state_dir.is_some() || !matches!(args.embedded, Some(None));
    is_kept.then(|| make_sealer(args)).transpose()
}

fn load_token_key(file: &Path) -> Result<Sealer, Failure> {
    server::load_token_key(file).map_err(|error| failed(format!("the token key: {error}")))
}

fn state_dir(args: &ServeArgs) -> Option<PathBuf> {
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
