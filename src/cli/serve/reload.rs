//! Reading settings and secrets again, while the daemon serves.
//!
//! All of it is read and checked before any of it counts: a daemon never runs with half of a new configuration. What is taken up
//! are the log's filter, the policy, the secret, the token keys, the certificates and the credentials; other settings count from the next start
//! on, which is said.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::registry::Unit;
use tokio::signal::unix::Signal;
use tokio::time::{MissedTickBehavior, interval};
use tracing::level_filters::LevelFilter;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use super::{ServeArgs, load_sealer, make_policy, secret};
use crate::admin::Controls;
use crate::cli::exit::{Failure, failed};
use crate::cli::{Cli, Command, Parsed, config, logging};
use crate::ops::Secret;
use crate::server::{Handle, Tls};
use crate::stats::{Kind, Sample};
use gcsd_gcs::Gcs;

/// How often the files are looked at. Not by inotify: a mounted secret is a link to a link that is exchanged.
const LOOK: Duration = Duration::from_secs(30);
/// The settings that a reload takes up.
const TAKEN_UP: [&str; 3] = ["log-level", "auth-file", "token-key"];

/// Who reads settings again.
pub(super) struct Operator {
    handle: Handle,
    gcs: Gcs,
    log: logging::Control,
    tls: Option<Arc<Tls>>,
    seen: Mutex<Seen>,
}

/// What the daemon runs with.
#[derive(Debug, Default)]
struct Seen {
    settings: BTreeMap<String, String>,
    /// The files that were read, as they were then.
    files: BTreeMap<PathBuf, Option<Stamp>>,
}

/// What tells a file from one that was there before.
type Stamp = (u64, u64, u64, i64, i64);

impl Operator {
    /// For the daemon that runs with the settings of this process's command line.
    pub(super) fn new(handle: Handle, gcs: Gcs, log: logging::Control, tls: Option<Arc<Tls>>) -> Arc<Self> {
        let dropped = log.clone();
        handle.stats().sample(
            Kind::Counter,
            "log_lines_dropped",
            "Lines of the log that nobody took in time",
            None,
            move || vec![Sample::of(dropped.dropped() as f64)],
        );
        let stats = Arc::downgrade(handle.stats());
        handle.stats().sample(
            Kind::Gauge,
            "last_reload_success_timestamp",
            "When settings and secrets were last read again, since 1970",
            Some(Unit::Seconds),
            move || {
                let at = stats.upgrade().and_then(|stats| stats.last_reload());
                at.map(|at| Sample::of(at as f64)).into_iter().collect()
            },
        );
        let shown = tls.clone();
        handle.stats().sample(
            Kind::Gauge,
            "certificate_days_left",
            "Days for which the certificate of the TLS listeners is still valid",
            None,
            move || {
                shown
                    .iter()
                    .map(|tls| Sample::of(tls.days_left() as f64))
                    .collect()
            },
        );
        let seen = match read() {
            Ok(read) => Seen::of(&read),
            // They were read a moment ago; the first reload tells what is wrong now.
            Err(_) => Seen::default(),
        };
        Arc::new(Self {
            handle,
            gcs,
            log,
            tls,
            seen: Mutex::new(seen),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reloads at each hangup, and when one of the files has changed. Never ends.
    pub(super) async fn mind(self: Arc<Self>, mut hangup: Option<Signal>) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let told = tokio::select! {
                _ = asked => true,
                _ = ticks.tick() => false,
            };
            let operator = self.clone();
            let done = tokio::task::spawn_blocking(move || {
                if told || operator.lock().has_changed() {
                    // What is wrong is logged and counted.
                    let _ = operator.reload();
                }
            });
            // A panic was logged.
            let _ = done.await;
        }
    }

    /// Reads everything, then takes all of it up.
    fn take_up(&self) -> Result<(), Failure> {
        let mut seen = self.lock();
        // Before they are read: what changes meanwhile is found at the next look. What is wrong is read again once it has changed.
        seen.look();
        let read = read()?;
        let mut next = Seen::of(&read);
        next.files.extend(seen.files.clone());
        seen.files.clone_from(&next.files);
        let Read { args, filter, .. } = read;
        args.refuse_open_files()?;
        let secret = secret(&args)?;
        if secret.is_some() != seen.settings.contains_key("auth-file") {
            return Err(failed(
                "--auth-file: whether a secret is wanted is settled at the start",
            ));
        }
        let sealer = load_sealer(&args)?;
        let policy = make_policy(&args)?;
        let tls = self.tls.as_deref();
        let certificates = tls.map(|tls| tls.read().map(|loaded| (tls, loaded))).transpose();
        let certificates = certificates.map_err(failed)?;
        self.gcs.reread_credentials().map_err(failed)?;
        // From here on nothing fails.
        self.handle.replace_policy(policy);
        if let Some((tls, loaded)) = certificates {
            tls.replace(loaded);
        }
        self.commit(secret, sealer, filter);
        let later = seen.later(&next);
        if !later.is_empty() {
            warn!(
                settings = later.join(", "),
                "these settings have changed, and count from the next start on"
            );
        }
        let running = std::mem::replace(&mut *seen, next);
        for key in later {
            // Until then, they are what they were.
            match running.settings.get(&key) {
                Some(value) => seen.settings.insert(key, value.clone()),
                None => seen.settings.remove(&key),
            };
        }
        Ok(())
    }

    fn commit(&self, secret: Option<Secret>, sealer: Option<crate::ops::Sealer>, filter: EnvFilter) {
        if let Some(sealer) = sealer {
            self.handle.replace_token_keys(sealer);
        }
        // Whether there is one was compared.
        let _ = self.handle.replace_secret(secret);
        if let Err(error) = self.log.set(filter) {
            warn!(error, "the log's filter could not be changed");
        }
    }
}

impl Controls for Operator {
    fn reload(&self) -> Result<(), String> {
        let done = self.take_up();
        self.handle.stats().reloaded(done.is_ok());
        match done {
            Ok(()) => {
                info!("settings and secrets were read again");
                Ok(())
            }
            Err(failure) => {
                let error = failure.to_string();
                warn!(
                    error,
                    "settings and secrets cannot be read again: those from before stay"
                );
                Err(error)
            }
        }
    }

    fn set_log_filter(&self, filter: &str) -> Result<(), String> {
        let filter = EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
        self.log.set(filter)
    }
}

/// The command line of this process, with what its file and its variables say now.
fn read() -> Result<Read, Failure> {
    let Parsed { cli, matches, .. } =
        Cli::parse_words(std::env::args_os().collect()).map_err(|wrong| wrong.into_failure())?;
    let Command::Serve(args) = cli.command else {
        return Err(failed("this process is no daemon"));
    };
    Ok(Read {
        settings: config::given(&matches),
        filter: cli.logging.filter(LevelFilter::INFO).map_err(failed)?,
        args: *args,
    })
}

/// What the daemon would run with now.
struct Read {
    args: ServeArgs,
    filter: EnvFilter,
    settings: BTreeMap<String, String>,
}

impl Seen {
    fn of(read: &Read) -> Self {
        let ServeArgs {
            config,
            auth_file,
            token_key,
            ..
        } = &read.args;
        let files = [config, auth_file, token_key].into_iter().flatten();
        Self {
            settings: read.settings.clone(),
            files: files.map(|file| (file.clone(), stamp(file))).collect(),
        }
    }

    /// Notes what the files are now.
    fn look(&mut self) {
        for (file, then) in &mut self.files {
            *then = stamp(file);
        }
    }

    /// Whether one of the files is another one than it was.
    fn has_changed(&self) -> bool {
        self.files.iter().any(|(file, then)| stamp(file) != *then)
    }

    /// The settings that differ in `next` and that a reload does not take up.
    fn later(&self, next: &Self) -> Vec<String> {
        let keys = self.settings.keys().chain(next.settings.keys());
        let mut differ: Vec<_> = keys
            .filter(|key| self.settings.get(*key) != next.settings.get(*key))
            .filter(|key| !TAKEN_UP.contains(&key.as_str()))
            .cloned()
            .collect();
        differ.sort();
        differ.dedup();
        differ
    }
}

/// `None` where there is no file, or none that may be looked at.
fn stamp(file: &Path) -> Option<Stamp> {
    let stamp = |of: Metadata| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec());
    std::fs::metadata(file).ok().map(stamp)
}
