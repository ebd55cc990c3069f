//! A striped upload that runs by itself, seen from outside.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::{Aborted, NewObject, ReplaySource, Report, RetryPolicy};
use super::assemble::Assembly;
use super::board::Board;
use super::checkpoint::{CheckpointStore, StripedCheckpoint};
use super::clear::{Clearing, Leftovers, StripedAborted};
use super::engine::Engine;
use super::error::StripedError;
use super::layout::Layout;
use super::names::{self, Names};
use super::options::{StripedOptions, StripedOptionsError, Via};
use super::route::Route;
use gcsd_types::{ObjectInfo, Preconditions};

/// An object that is there, and has the size and the checksum of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Striped {
    /// The object.
    pub object: ObjectInfo,
    /// Temporary objects that could not be deleted.
    pub leftovers: Leftovers,
}

/// An object that was uploaded in one piece, without temporary objects.
impl From<ObjectInfo> for Striped {
    fn from(object: ObjectInfo) -> Self {
        let leftovers = Leftovers::default();
        Self { object, leftovers }
    }
}

/// An upload of one source in parts, over several connections.
///
/// It goes on in a task of its own. Dropping it ends that task where it stands: what is at GCS stays there, for whoever
/// has the [`StripedCheckpoint`] to go on with or to [`discard`](Self::discard).
pub struct StripedUpload {
    task: JoinHandle<Ended>,
    ended: Option<Ended>,
    reports: watch::Receiver<Report>,
    stop: CancellationToken,
}

/// What the task leaves behind.
struct Ended {
    result: Result<Striped, StripedError>,
    /// Clears everything up. Does nothing until it is polled.
    clear: Pin<Box<dyn Future<Output = StripedAborted> + Send>>,
}

impl StripedUpload {
    /// Uploads all of `source` as `object`, whose `size` is not looked at.
    ///
    /// Fails where the options cannot work; nothing happened then.
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
        let checkpoint = StripedCheckpoint::new(names::id()?, options.part_prefix.clone(), via, layout);
        Self::spawn(route, object, source, options, store, checkpoint)
    }

    /// Goes on with an upload that another process began with the same `source` and `object`. What of `options` was
    /// decided then is not looked at: how parts become the object, their size, and their names.
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

    /// Clears up what another process left of an upload to `object`, and makes sure that it makes no object any more.
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
        let assembly = Assembly {
            route,
            retries: retries.clone(),
            board: Arc::new(Board::new(checkpoint.parts.len())),
            stop: CancellationToken::new(),
        };
        let clearing = Clearing::new(assembly, names, object.destination.clone(), checkpoint);
        Ok(Box::pin(clearing.abort()).await)
    }

    fn spawn<R: Route>(
        route: R,
        object: NewObject,
        source: impl ReplaySource + Sync,
        options: &StripedOptions,
        store: impl CheckpointStore,
        checkpoint: StripedCheckpoint,
    ) -> Result<Self, StripedOptionsError> {
        let destination = object.destination;
        let connections = options.connections;
        if !(1..=StripedOptions::MAX_CONNECTIONS).contains(&connections) {
            return Err(StripedOptionsError::Connections(connections));
        }
        let conditions = &destination.preconditions;
        if checkpoint.via == Via::Multipart && *conditions != Preconditions::default() {
            return Err(StripedOptionsError::AnyPrecondition);
        }
        if conditions.if_generation_not_match.is_some() || conditions.if_metageneration_not_match.is_some() {
            return Err(StripedOptionsError::Precondition);
        }
        let names = Names::new(&destination.object, checkpoint.prefix.as_deref(), &checkpoint.id)?;
        let board = Arc::new(Board::new(checkpoint.parts.len()));
        let reports = board.watch();
        let stop = CancellationToken::new();
        let engine = Engine {
            source: Arc::new(source),
            destination,
            names,
            connections,
            store,
            assembly: Assembly {
                route,
                retries: options.retries.clone(),
                board,
                stop: stop.clone(),
            },
            in_doubt: checkpoint.replaces.is_some(),
            checkpoint,
            joints: Vec::new(),
        };
        Ok(Self {
            task: tokio::spawn(run(engine)),
            ended: None,
            reports,
            stop,
        })
    }

    /// Waits until the object is there, and is compared with what was sent: one that is returned has the size and the
    /// checksum of the source. The temporary objects are gone then, too, or in [`Striped::leftovers`].
    ///
    /// Cancel safe.
    pub async fn wait(&mut self) -> Result<Striped, StripedError> {
        self.end().await.result.clone()
    }

    /// Ends the upload: returns when its task has ended, its parts' uploads are cancelled, and its temporary objects
    /// deleted.
    pub async fn abort(mut self) -> StripedAborted {
        self.stop.cancel();
        self.end().await;
        match self.ended.take() {
            Some(ended) => match ended.result {
                Ok(Striped { object, leftovers }) => StripedAborted {
                    object: Aborted::AlreadyFinished {
                        generation: object.generation,
                    },
                    leftovers,
                },
                Err(_) => ended.clear.await,
            },
            None => unknown(None).await,
        }
    }

    /// How far it has come, and what it went through: the sum over all parts. It has no checkpoint.
    pub fn reports(&self) -> watch::Receiver<Report> {
        self.reports.clone()
    }

    async fn end(&mut self) -> &Ended {
        let ended = match self.ended.take() {
            Some(ended) => ended,
            // The task is lost only with its runtime: nothing in it panics.
            None => (&mut self.task).await.unwrap_or_else(|_lost| Ended {
                result: Err(StripedError::Stopped),
                clear: Box::pin(unknown(None)),
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

async fn run<R: Route, S: ReplaySource + Sync, K: CheckpointStore>(mut engine: Engine<R, S, K>) -> Ended {
    let result = engine.drive().await;
    let taken_over = result.as_ref().err().and_then(StripedError::taken_over);
    let clear: Pin<Box<dyn Future<Output = StripedAborted> + Send>> = match taken_over {
        // To attach once more would take the parts from whoever goes on with them.
        Some(failure) => Box::pin(unknown(Some(failure.clone()))),
        None => {
            let clearing = engine.clearing();
            Box::pin(async move { clearing.abort().await })
        }
    };
    Ended { result, clear }
}

async fn unknown(failure: Option<super::super::Failure>) -> StripedAborted {
    StripedAborted {
        object: Aborted::Unknown {
            failure: failure.clone(),
        },
        leftovers: Leftovers {
            unsure: failure,
            ..Leftovers::default()
        },
    }
}
