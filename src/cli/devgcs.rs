//! `gcsd devgcs`: the embedded Cloud Storage, standing alone.

use std::error::Error as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::exit::{Failure, failed};
use super::stop::Signals;
use super::{environment, open_files};
use devgcs::faults::Plan;
use devgcs::{Server, StartError, Storage, Tls};

/// Run a faithful Cloud Storage server on this machine, for tests and development
///
/// It serves Google's JSON and XML APIs over plain HTTP (or HTTPS, with --tls) and checks no credentials: point a
/// client at it with STORAGE_EMULATOR_HOST or the client's own endpoint option.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcsd devgcs --bucket my-bucket
  gcsd devgcs --bucket my-bucket --dir objects        kept over a restart
  gcsd devgcs --bucket my-bucket --faults 'return-503 on write p 0.3'")]
pub(super) struct DevgcsArgs {
    /// Where to listen; port 0 lets the system choose.
    #[arg(
        long,
        env = "GCSD_DEVGCS_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:4443"
    )]
    listen: SocketAddr,
    /// Keep objects and unfinished uploads in this directory, where they survive a restart.
    #[arg(long, env = "GCSD_DEVGCS_DIR", value_name = "DIR", conflicts_with = "discard")]
    dir: Option<PathBuf>,
    /// Keep only sizes and checksums, for benchmarks.
    #[arg(long, env = "GCSD_DEVGCS_DISCARD", value_parser = environment::truth)]
    discard: bool,
    /// Create this bucket; may be given several times.
    #[arg(
        long = "bucket",
        env = "GCSD_DEVGCS_BUCKET",
        value_name = "NAME",
        value_delimiter = ','
    )]
    buckets: Vec<String>,
    /// Be as lax as Google's storage-testbench, for suites written against that: objects under retention can be deleted
    /// and overwritten, and preconditions hold at the end of a resumable upload only.
    #[arg(long, env = "GCSD_DEVGCS_LIKE_TESTBENCH", value_parser = environment::truth)]
    like_testbench: bool,
    /// Speak HTTPS, with a certificate made at each start. Clients must trust the authority in ca.pem, which is written
    /// to this directory, or to the current one.
    #[arg(
        long,
        env = "GCSD_DEVGCS_TLS",
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "."
    )]
    tls: Option<PathBuf>,
    /// With --tls: a further host name in the certificate, such as storage.googleapis.com, for programs that know one
    /// address only; may be given several times.
    #[arg(
        long = "tls-name",
        env = "GCSD_DEVGCS_TLS_NAME",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "tls"
    )]
    tls_names: Vec<String>,
    /// Do wrong what Cloud Storage does wrong, for tests of clients: a plan such as
    /// "seed 7; return-503 on write p 0.1; close-connection-after-all on last p 0.2". docs/faults.md has the words.
    #[arg(long, env = "GCSD_DEVGCS_FAULTS", value_name = "PLAN", default_value = "off")]
    faults: Plan,
}

pub(super) async fn run(args: DevgcsArgs) -> Result<(), Failure> {
    let signals = Signals::new()?;
    open_files::raise();
    let storage = match args.dir {
        Some(dir) => Storage::Directory(dir),
        None if args.discard => Storage::Discard,
        None => Storage::Memory,
    };
    if args.faults != Plan::default() {
        tracing::warn!(faults = %args.faults, "devgcs injects faults");
    }
    let mut builder = Server::builder()
        .listen(args.listen)
        .storage(storage)
        .buckets(args.buckets)
        .md5(!args.discard)
        .like_testbench(args.like_testbench)
        .faults(args.faults);
    if let Some(directory) = args.tls {
        let tls = Tls::generated_in(directory);
        builder = builder.tls(args.tls_names.into_iter().fold(tls, Tls::name));
    }
    let server = builder.start().await.map_err(not_started)?;
    let ca_file = server.ca_file().map(tracing::field::debug);
    tracing::info!(endpoint = server.endpoint(), ca_file, "devgcs listens");
    signals.first().await;
    server.shutdown().await;
    Ok(())
}

/// What could not be done, and why.
pub(super) fn not_started(error: StartError) -> Failure {
    match error.source() {
        Some(why) => failed(format!("{error}: {why}")),
        None => failed(error),
    }
}
