//! A striped upload that runs in a task of its own, seen from outside.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::{Aborted, NewObject, ReplaySource, Report, RetryPolicy};
use super::checkpoint::{CheckpointStore, StripedCheckpoint};
use super::cleanup::Cleanup;
use super::engine::Engine;
use super::error::StripedError;
use super::layout::Layout;
use super::names::{self, Names};
use super::options::{StripedOptions, StripedOptionsError, Via};
use super::outcome::{Striped, StripedAborted};
use super::reports::PartReports;
use super::requests::{Requests, Used};
use super::route::Route;
use super::temporary::destination;
use gcsd_types::Preconditions;

/// An upload of one source in parts, over several connections.
///
/// It runs in a task of its own. Dropping it ends that task at once: what is at GCS stays there, for whoever has the
/// [`StripedCheckpoint`] to [`resume`](Self::resume) or to [`discard`](Self::discard).
pub struct StripedUpload {
    task: JoinHandle<TaskOutput>,
    ended: Option<TaskOutput>,
    reports: watch::Receiver<Report>,
    stop: CancellationToken,
    used: Used,
}

/// What the task leaves behind.
struct TaskOutput {
    result: Result<Striped, StripedError>,
    /// Cleans everything up. Does nothing until it is polled.
    cleanup: Pin<Box<dyn Future<Output = StripedAborted> + Send>>,
}

impl StripedUpload {
    /// Uploads all of `source` as `object`, whose `size` is ignored.
    ///
    /// Fails if the options cannot work; nothing has happened then.
    pub fn start<R: Route>(
        route: R,
        object: NewObject,
        source: impl ReplaySource + Sync,
        options: &StripedOptions,
        store: impl CheckpointStore,
    ) -> Result<Self, StripedOptionsError> {
        let layout = Layout::new(source.size(), options.connections, options.part_size);
        let (via, parts, part_size) = (options.via, layout.parts(), layout.part_size);
        if parts > via.max_parts() || (parts > 1 && part_size < via.least_part()) {
            return Err(StripedOptionsError::Parts {
                part_size,
                parts,
                least: layout.size.div_ceil(via.max_parts()).max(via.least_part()),
            });
        }
        let id = names::id().map_err(|error| StripedOptionsError::Random(error.into()))?;
        let checkpoint = StripedCheckpoint::new(id, options.part_prefix.clone(), via, layout);
        Self::spawn(route, object, source, options, store, checkpoint)
    }

    /// Continues an upload that another process began with the same `source` and `object`. What was decided then is
    /// ignored in `options`: how parts become the object, their size, and their names.
    pub fn resume<R: Route>(
        route: R,
        object: NewObject,
        source: impl ReplaySource + Sync,
        checkpoint: StripedCheckpoint,
        options: &StripedOptions,
        store: impl CheckpointStore,
    ) -> Result<Self, StripedOptionsError> {
        let checkpoint = checkpoint.taken_over()?;
        if checkpoint.size != source.size() {
            return Err(StripedOptionsError::Checkpoint("the source has another size"));
        }
        Self::spawn(route, object, source, options, store, checkpoint)
    }

    /// Cleans up what another process left of an upload to `object`, which then makes no object any more.
    pub async fn discard<R: Route>(
        route: R,
        object: &NewObject,
        checkpoint: StripedCheckpoint,
        retries: &RetryPolicy,
    ) -> Result<StripedAborted, StripedOptionsError> {
        let checkpoint = checkpoint.taken_over()?;
        let names = Names::new(
            &object.destination.object,
            checkpoint.prefix.as_deref(),
            &checkpoint.id,
        )?;
        let requests = Requests {
            route,
            retries: retries.clone(),
            reports: Arc::new(PartReports::new(checkpoint.parts.len())),
            stop: CancellationToken::new(),
            used: Used::default(),
        };
        let cleanup = Cleanup::new(requests, names, destination(object), checkpoint);
        Ok(Box::pin(cleanup.abort(object)).await)
    }

    fn spawn<R: Route>(
        route: R,
        object: NewObject,
        source: impl ReplaySource + Sync,
        options: &StripedOptions,
        store: impl CheckpointStore,
        checkpoint: StripedCheckpoint,
    ) -> Result<Self, StripedOptionsError> {
        let connections = options.connections;
        if !(1..=StripedOptions::MAX_CONNECTIONS).contains(&connections) {
            return Err(StripedOptionsError::Connections(connections));
        }
        let conditions = &object.destination.preconditions;
        if checkpoint.via == Via::Multipart && *conditions != Preconditions::default() {
            return Err(StripedOptionsError::AnyPrecondition);
        }
        if conditions.if_generation_not_match.is_some() || conditions.if_metageneration_not_match.is_some() {
            return Err(StripedOptionsError::Precondition);
        }
        let names = Names::new(
            &object.destination.object,
            checkpoint.prefix.as_deref(),
            &checkpoint.id,
        )?;
        let part_reports = Arc::new(PartReports::new(checkpoint.parts.len()));
        let reports = part_reports.watch();
        let (stop, used) = (CancellationToken::new(), Used::default());
        let engine = Engine {
            source: Arc::new(source),
            object,
            names,
            connections,
            store,
            requests: Requests {
                route,
                retries: options.retries.clone(),
                reports: part_reports,
                stop: stop.clone(),
                used: used.clone(),
            },
            in_doubt: checkpoint.replaces.is_some(),
            checkpoint,
            intermediates: Vec::new(),
        };
        Ok(Self {
            task: tokio::spawn(run(engine)),
            ended: None,
            reports,
            stop,
            used,
        })
    }

    /// Waits until the object exists, and has been compared with what was sent: it has the size and the checksum of the
    /// source. The temporary objects are deleted then, or listed in [`Striped::leftovers`].
    ///
    /// Cancel safe.
    pub async fn wait(&mut self) -> Result<Striped, StripedError> {
        self.end().await.result.clone()
    }

    /// Ends the upload. Returns when its task has ended, the uploads of its parts are cancelled, and its temporary objects
    /// are deleted.
    pub async fn abort(mut self) -> StripedAborted {
        let began = Instant::now();
        self.stop.cancel();
        self.end().await;
        self.used.at_least(began.elapsed());
        match self.ended.take() {
            Some(ended) => match ended.result {
                Ok(Striped { object, leftovers }) => StripedAborted {
                    object: Aborted::AlreadyFinished {
                        generation: object.generation,
                    },
                    leftovers,
                },
                Err(_) => ended.cleanup.await,
            },
            None => StripedAborted::unknown(None),
        }
    }

    /// How far it has come, and what it recovered from: the sum over all parts, without a checkpoint.
    pub fn reports(&self) -> watch::Receiver<Report> {
        self.reports.clone()
    }

    async fn end(&mut self) -> &TaskOutput {
        let ended = match self.ended.take() {
            Some(ended) => ended,
            // The task is lost only with its runtime: nothing in it panics.
            None => (&mut self.task).await.unwrap_or_else(|_lost| TaskOutput {
                result: Err(StripedError::Stopped),
                cleanup: Box::pin(ready(StripedAborted::unknown(None))),
            }),
        };
        self.ended.insert(ended)
    }
}

impl Drop for StripedUpload {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for StripedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripedUpload")
            .field("report", &*self.reports.borrow())
            .finish_non_exhaustive()
    }
}

async fn run<R: Route, S: ReplaySource + Sync, K: CheckpointStore>(
    mut engine: Engine<R, S, K>,
) -> TaskOutput {
    let result = engine.drive().await;
    let taken_over = result.as_ref().err().and_then(StripedError::taken_over);
    let cleanup: Pin<Box<dyn Future<Output = StripedAborted> + Send>> = match taken_over {
        // To attach once more would take the parts from the client that has them now.
        Some(error) => Box::pin(ready(StripedAborted::unknown(Some(error.clone())))),
        None => {
            let (cleanup, object) = (engine.cleanup(), engine.object);
            Box::pin(async move { cleanup.abort(&object).await })
        }
    };
    TaskOutput { result, cleanup }
}
