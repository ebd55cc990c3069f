//! A Cloud Storage server and a daemon for the demo, and the faults under them.

use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::faults::Faults;
use crate::cli::devgcs::not_started;
use crate::cli::exit::{Exit, Failure, failed};
use crate::ops::{Context, Fences, Limits, Sealer};
use crate::policy::Access;
use crate::server::{self, Server, Stopped};
use devgcs::Storage;
use gcsd_fault::{FaultyConnector, Plan};
use gcsd_gcs::{self, Gcs};
use gcsd_net::TcpConnector;
use gcsd_wire::DEFAULT_MAX_ARGS;

/// The bucket that is uploaded to.
pub(super) const BUCKET: &str = "demo";

/// How long the daemon may take to stop, once nothing is in flight any more.
const STOPPING: Duration = Duration::from_secs(10);

/// A Cloud Storage server and a daemon, in this process.
pub(super) struct Scene {
    directory: Directory,
    devgcs: devgcs::Server,
    pub(super) daemon: SocketAddr,
    /// What the client dials by.
    pub(super) client: Arc<FaultyConnector>,
    /// What the daemon dials by.
    upstream: Arc<FaultyConnector>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Stopped>,
}

impl Scene {
    /// Starts both, where `faults` go wrong.
    pub(super) async fn start(faults: &Faults) -> Result<Self, Failure> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let directory = Directory::create()?;
        let devgcs = devgcs::Server::builder()
            .storage(Storage::Directory(directory.0.clone()))
            .bucket(BUCKET)
            // It would cost more than everything else together, and proves nothing that CRC32C does not.
            .md5(false)
            .faults(faults.gcs.clone())
            .start()
            .await
            .map_err(not_started)?;
        let config = gcsd_gcs::Config::anonymous(devgcs.endpoint().parse().map_err(failed)?);
        let limits = Limits {
            max_args: DEFAULT_MAX_ARGS,
            max_in_flight: 64,
            max_uploads: 1024,
            drain_cap: 1 << 20,
            handshake_timeout: config.source_timeout,
            idle_timeout: Duration::ZERO,
            client_timeout: config.source_timeout,
            gcs_timeout: config.stall_timeout,
        };
        let faulty = |plan: &Plan| Arc::new(FaultyConnector::new(Arc::new(TcpConnector), plan.clone()));
        let (client, upstream) = (faulty(&faults.client), faulty(&faults.daemon));
        let key = Sealer::generate_text().map_err(failed)?;
        let context = Context {
            gcs: Gcs::new(config, upstream.clone()).map_err(failed)?,
            sealer: Sealer::from_text(&key).map_err(failed)?,
            fences: Fences::default(),
            limits,
            secret: None,
            access: Access::default(),
        };
        let config = server::Config {
            max_connections: 64,
            max_calls: 256,
            max_memory: 1 << 30,
            read_buffer: 256 * 1024,
            receive_buffer: 128 * 1024,
            grace: STOPPING,
            drain_delay: Duration::ZERO,
            refusal_delay: Duration::ZERO,
        };
        let listener = TcpListener::bind(any).await.map_err(failed)?;
        let daemon = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::new(context, config, vec![listener.into()]);
        let serving = tokio::spawn(server.run(async move {
            // That the sender is gone means the same.
            let _gone = stopped.await;
        }));
        Ok(Self {
            directory,
            devgcs,
            daemon,
            client,
            upstream,
            stop,
            serving,
        })
    }

    /// Where Cloud Storage is.
    pub(super) fn endpoint(&self) -> String {
        self.devgcs.endpoint()
    }

    /// How many HTTP requests it has had.
    pub(super) fn calls(&self) -> u64 {
        self.devgcs.inspect().counts.values().sum()
    }

    /// What has gone wrong so far, and where: a line each.
    pub(super) fn injected(&self) -> Vec<String> {
        let words = self.devgcs.fault_counts();
        let words: Vec<String> = words
            .iter()
            .map(|(word, count)| format!("{count} {}", shown(word)))
            .collect();
        [
            ("client to daemon", self.client.counts().to_string()),
            ("daemon to Cloud Storage", self.upstream.counts().to_string()),
            (
                "in Cloud Storage",
                match words.is_empty() {
                    true => "none".to_owned(),
                    false => words.join(", "),
                },
            ),
        ]
        .map(|(place, counts)| format!("{place}: {counts}"))
        .to_vec()
    }

    /// Stops both, and removes what they stored.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        drop(self.stop);
        let stopped = tokio::time::timeout(STOPPING * 2, self.serving).await;
        self.devgcs.shutdown().await;
        drop(self.directory);
        match stopped {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failure::new(Exit::Failed, "internal", error)),
            Err(_) => Err(failed("the daemon did not stop")),
        }
    }
}

/// The word that devgcs counts a fault under, as a reader expects it beside those of connections.
fn shown(word: &str) -> &str {
    match word {
        "return" => "error answer",
        "persist" => "loss of bytes",
        "hide" => "late report",
        word => word,
    }
}

/// A directory that goes when it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn create() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("gcsd-demo-{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Failure::io(path.display(), &error))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's cleaning of temporary files.
        let _left = fs::remove_dir_all(&self.0);
    }
}
