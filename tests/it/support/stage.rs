//! Everything that one upload under faults needs: client, daemons, devgcs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use devgcs::{self, SessionPhase, SessionRecord};
use gcsd::server::Stopped;
use gcsd_client::{
    Aborted, Direct, NewObject, Options as ClientOptions, ReliableUpload, ReliableWriter, Report,
    RetryPolicy, UploadError, ViaDaemon, WriterOptions,
};
use gcsd_gcs::{self, Gcs};
use gcsd_net::SharedConnector;
use gcsd_types::{Crc32c, ObjectInfo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::daemon::{BUCKET, Daemon, Options, PATIENCE};
use super::starts::{Counted, Starts};
use super::uploads::{Way, new_object, seeded, tcp};

/// How long anything may stand still. The client waits longer than the daemon, or the daemon's answer comes too late.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    gcs: Duration,
    client: Duration,
}

/// Where something stands still on purpose, and only a clock ends it. On a busy machine the clock may strike what is
/// only slow.
pub(crate) const LITTLE: Patience = Patience {
    gcs: Duration::from_millis(1000),
    client: Duration::from_millis(2500),
};

/// Where nothing stands still: no clock runs out, however slow the machine is.
pub(crate) const ENDLESS: Patience = Patience {
    gcs: Duration::from_secs(86_400),
    client: Duration::from_secs(86_400),
};

/// An upload that takes longer than this hangs. Nothing but that depends on it.
pub(crate) const HANGS: Duration = Duration::from_secs(1800);

/// The connections that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Hop {
    /// From the client to the daemon.
    ToDaemon,
    /// From the daemon to GCS.
    DaemonToGcs,
    /// From the client straight to GCS.
    Direct,
}

impl Hop {
    pub(crate) const ALL: [Self; 3] = [Self::ToDaemon, Self::DaemonToGcs, Self::Direct];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ToDaemon => "client to daemon",
            Self::DaemonToGcs => "daemon to GCS",
            Self::Direct => "client to GCS",
        }
    }
}

/// devgcs, daemons in front of it, and the connectors between.
pub(crate) struct Stage {
    pub(crate) daemons: Vec<Daemon>,
    /// Where the certificate of devgcs lies.
    _certificates: Option<tempfile::TempDir>,
    patience: Patience,
    /// What the client dials through.
    client: SharedConnector,
    /// What the client starts.
    starts: Arc<Starts>,
}

impl Stage {
    /// `count` daemons that dial through `gcs`, and a client that dials through `client`.
    pub(crate) async fn set(
        count: usize,
        client: SharedConnector,
        gcs: SharedConnector,
        faults: devgcs::faults::Plan,
    ) -> Self {
        Self::with(count, client, gcs, faults, false, LITTLE).await
    }

    async fn with(
        count: usize,
        client: SharedConnector,
        gcs: SharedConnector,
        faults: devgcs::faults::Plan,
        tls: bool,
        patience: Patience,
    ) -> Self {
        let certificates = tls.then(|| tempfile::tempdir().expect("a folder"));
        let mut daemons: Vec<Daemon> = Vec::new();
        for _ in 0..count {
            let mut options = Options {
                connector: gcs.clone(),
                endpoint: daemons.first().map(|first| first.devgcs.endpoint()),
                ..Options::default()
            };
            options.limits.client_timeout = patience.gcs;
            options.limits.gcs_timeout = patience.gcs;
            options.devgcs = options
                .devgcs
                .md5(false)
                .body_idle_timeout(patience.gcs)
                .faults(faults.clone());
            if let Some(folder) = &certificates {
                options.devgcs = options.devgcs.tls(devgcs::Tls::generated_in(folder.path()));
            }
            daemons.push(Daemon::with(options).await);
        }
        Self {
            daemons,
            _certificates: certificates,
            patience,
            client,
            starts: Arc::default(),
        }
    }

    /// One daemon, and `connector` at one hop.
    pub(crate) async fn at(hop: Hop, connector: SharedConnector, tls: bool, patience: Patience) -> Self {
        let (client, gcs) = match hop {
            Hop::ToDaemon | Hop::Direct => (connector, tcp()),
            Hop::DaemonToGcs => (tcp(), connector),
        };
        Self::with(1, client, gcs, devgcs::faults::Plan::default(), tls, patience).await
    }

    pub(crate) fn devgcs(&self) -> &devgcs::Server {
        &self.daemons[0].devgcs
    }

    fn through(&self, object: NewObject) -> Way {
        let addresses = self.daemons.iter().map(|daemon| daemon.address.into());
        let options = ClientOptions::default()
            .with_stall(self.patience.client)
            .with_connect_timeout(self.patience.client);
        let client = self.client.clone();
        Way::Daemon(ViaDaemon::new(client, addresses.collect(), options, object))
    }

    fn straight(&self, object: NewObject) -> Way {
        let mut config = gcsd_gcs::Config::anonymous(self.devgcs().endpoint().parse().expect("an endpoint"));
        config.ca_file = self.devgcs().ca_file().map(Into::into);
        config.connect_timeout = self.patience.gcs;
        config.stall_timeout = self.patience.gcs;
        config.source_timeout = self.patience.gcs;
        let gcs = Gcs::new(config, self.client.clone()).expect("a client");
        Way::Direct(Direct::new(gcs, object))
    }

    /// The way that passes `hop`.
    pub(crate) fn over(&self, hop: Hop, object: NewObject) -> Counted {
        let way = match hop {
            Hop::ToDaemon | Hop::DaemonToGcs => self.through(object),
            Hop::Direct => self.straight(object),
        };
        let starts = Arc::clone(&self.starts);
        Counted { way, starts }
    }

    /// Waits until nothing goes on any more: the daemons are idle and stopped, and devgcs is done with every
    /// connection. Says what outlived the upload.
    async fn settle(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for daemon in &mut self.daemons {
            if daemon.drain().await == Stopped::Cut {
                wrong.push("a request of the daemon outlives the upload".to_owned());
            }
        }
        let devgcs = self.devgcs();
        // Connections are accepted in the order in which they came: once devgcs has ended this one, it has seen all.
        let mut last = TcpStream::connect(devgcs.address()).await.expect("it listens");
        last.shutdown().await.expect("an open connection");
        // Over TLS it may be a reset that ends it.
        let _ = timeout(PATIENCE, last.read_to_end(&mut Vec::new())).await;
        if !devgcs.wait_for(PATIENCE, |seen| seen.connections == 0).await {
            wrong.push("a connection to GCS outlives the upload".to_owned());
        }
        wrong
    }

    /// Looks at what is left at GCS of the upload of `bytes` to `name`, once nothing goes on any more.
    pub(crate) async fn judge(&mut self, name: &str, bytes: &Bytes, ended: &Ended) -> Verdict {
        let mut verdict = Verdict {
            wrong: self.settle().await,
            ..Verdict::default()
        };
        let devgcs = self.devgcs();
        let mut wrong = |what: String| verdict.wrong.push(what);
        for session in devgcs.inspect().sessions {
            if session.phase == SessionPhase::Finished && session.object != name {
                wrong(format!("an object appeared under the name {:?}", session.object));
            }
        }
        let stored = devgcs.object(BUCKET, name);
        if stored.is_some() && devgcs.object_bytes(BUCKET, name).await.ok().as_deref() != Some(&bytes[..]) {
            wrong("the object that is there has other bytes".to_owned());
        }
        match (&ended.result, &stored) {
            (Ok(object), Some(stored)) => {
                if object.generation != stored.generation
                    || object.crc32c != Some(Crc32c::of(bytes))
                    || object.size != bytes.len() as u64
                {
                    wrong(format!(
                        "what was reported, {object:?}, is not the object {stored:?}"
                    ));
                }
            }
            (Ok(_), None) => wrong("it is said to be there, and is not".to_owned()),
            (Err(error), Some(_)) if !may_be_there(error, &ended.aborted) => {
                wrong(format!("the object is there, and the error is {error}"));
            }
            (Err(_), _) => {}
        }
        let open = |session: &SessionRecord| session.phase == SessionPhase::Open;
        let sessions = devgcs.inspect().sessions.into_iter().filter(open);
        (verdict.known, verdict.unknown) = sessions.partition(|session| session.requests > 0);
        // One whose answer was lost on its way, GCS keeps for a week, and nobody can end it. What is dropped leaves its
        // session behind, also one that it had not yet named.
        if !ended.was_dropped() && verdict.unknown.len() > self.starts.unanswered() {
            let unknown = &verdict.unknown;
            wrong(format!(
                "sessions are left open whose starts were answered: {unknown:?}"
            ));
        }
        verdict.present = stored.is_some();
        verdict
    }
}

/// Whether an upload that failed so may have left its object: only where that is said.
fn may_be_there(error: &UploadError, aborted: &Option<Aborted>) -> bool {
    matches!(
        error,
        UploadError::Mismatch { .. }
            | UploadError::Unverified { .. }
            | UploadError::FinishedElsewhere { .. }
            | UploadError::Unknown { .. }
    ) || match aborted {
        // Dropped: a request that finishes it may have been under way.
        None => *error == UploadError::Stopped,
        Some(aborted) => *aborted != Aborted::Cancelled,
    }
}

/// What was found at GCS after an upload.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// What must never be.
    pub(crate) wrong: Vec<String>,
    /// Sessions that still take bytes, and that the client knew: it has named them.
    pub(crate) known: Vec<SessionRecord>,
    /// Sessions that still take bytes, and that no request has named.
    pub(crate) unknown: Vec<SessionRecord>,
    /// The object is there.
    pub(crate) present: bool,
}

/// How an upload ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) result: Result<ObjectInfo, UploadError>,
    /// What the abort found that followed an error, or was asked for.
    pub(crate) aborted: Option<Aborted>,
    /// What was recovered from.
    pub(crate) report: Report,
}

impl Ended {
    /// By an abort.
    pub(crate) fn aborted(aborted: Aborted, report: Report) -> Self {
        Self {
            result: Err(UploadError::Stopped),
            aborted: Some(aborted),
            report,
        }
    }

    /// Whether it was dropped, and neither completed nor aborted.
    fn was_dropped(&self) -> bool {
        matches!(self.result, Err(UploadError::Stopped)) && self.aborted.is_none()
    }

    /// By a drop.
    pub(crate) fn dropped() -> Self {
        Self {
            result: Err(UploadError::Stopped),
            aborted: None,
            report: Report::default(),
        }
    }
}

/// Tries again at once: nobody is there to be spared.
pub(crate) fn impatient(seed: u64) -> RetryPolicy {
    RetryPolicy::default()
        .with_waits(Duration::from_millis(2), Duration::from_millis(25))
        .with_budget(HANGS / 2)
        .with_abort_budget(HANGS / 2)
        .with_jitter(seeded(seed))
}

/// Requests of at most 2 MiB, and room for all that a test writes.
pub(crate) fn roomy(seed: u64) -> WriterOptions {
    WriterOptions::default()
        .with_chunks(256 << 10, 2 << 20)
        .with_max_held(8 << 20)
        .with_retries(impatient(seed))
}

/// Says the end of `writer`, and aborts it where that fails.
pub(crate) async fn complete(mut writer: ReliableWriter) -> Ended {
    let reports = writer.reports();
    let shut = writer.shutdown().await;
    let failed = shut.err().map(|error| {
        let inner = error.into_inner().and_then(|inner| inner.downcast().ok());
        *inner.expect("an upload's error")
    });
    let report = reports.borrow().clone();
    let (result, aborted) = match failed {
        None => (writer.complete().await, None),
        Some(error) => (Err(error), Some(writer.abort().await)),
    };
    Ended {
        result,
        aborted,
        report,
    }
}

/// Waits for `upload`, and aborts it where it fails.
pub(crate) async fn wait(mut upload: ReliableUpload) -> Ended {
    let reports = upload.reports();
    let result = upload.wait().await;
    let report = reports.borrow().clone();
    let aborted = match &result {
        Ok(_) => None,
        Err(_) => Some(upload.abort().await),
    };
    Ended {
        result,
        aborted,
        report,
    }
}

/// An object of the tests' bucket, of a size that GCS is told or not.
pub(crate) fn sized(name: &str, size: Option<usize>) -> NewObject {
    let mut object = new_object(name);
    object.size = size.map(|size| size as u64);
    object
}

/// A connector under a plan in text.
pub(crate) fn faulty(plan: &str) -> Arc<gcsd_fault::FaultyConnector> {
    let plan = plan.parse().unwrap_or_else(|error| panic!("{plan}: {error}"));
    Arc::new(gcsd_fault::FaultyConnector::new(tcp(), plan))
}
