//! An upload that runs in a task of its own, seen from outside.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::{OpenUpload, Token};
use super::abort::{self, Aborted};
use super::checkpoint::Checkpoint;
use super::current::CurrentUpload;
use super::engine::{Engine, TaskOutput};
use super::error::UploadError;
use super::options::RetryPolicy;
use super::recovery::Recovery;
use super::replay::Replay;
use super::report::Report;
use super::source::ReplaySource;
use super::supply::Supply;
use gcsd_types::{Crc32c, ObjectInfo};

/// An upload whose bytes come from a source that can be read again, or from a
/// [`ReliableWriter`](super::ReliableWriter).
///
/// It runs in a task of its own. Dropping it ends that task at once: the object is not finished, unless the request that
/// finishes it was in flight, and what is committed stays at GCS for a week, for whoever has a [`Checkpoint`].
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// # let client = gcsd_client::Client::connect(address).await?;
/// use gcsd_client::FileSource;
///
/// # let path = std::env::temp_dir().join(format!("gcsd-doctest-{}", std::process::id()));
/// # std::fs::write(&path, vec![7; 300_000])?;
/// let source = FileSource::new(std::fs::File::open(&path)?)?;
/// # std::fs::remove_file(&path)?;
/// let mut upload = client.object("gs://my-bucket/backup")?.upload().start(source);
/// // Kept somewhere, it brings the upload back in another process.
/// let token = upload.token().await?;
/// assert_eq!(upload.complete().await?.size, 300_000);
/// # let _ = token;
/// # Ok(())
/// # }
/// ```
pub struct ReliableUpload {
    task: JoinHandle<TaskOutput>,
    ended: Option<TaskOutput>,
    reports: watch::Receiver<Report>,
    stop: CancellationToken,
}

impl ReliableUpload {
    /// Uploads all of `source`, in one request as large as possible, and a small one with the checksum of everything.
    pub fn start<U: OpenUpload>(open: U, source: impl ReplaySource + Sync, retries: RetryPolicy) -> Self {
        let supply =
            Replay::new(source, 0, Crc32c::default(), open.size()).single_request(open.single_request());
        let recovery = Recovery::new(retries.max_restarts);
        Self::spawn(open, supply, recovery, None, retries)
    }

    /// Continues an upload that another process began with the same `source`.
    pub fn resume<U: OpenUpload>(
        open: U,
        source: impl ReplaySource + Sync,
        checkpoint: Checkpoint,
        retries: RetryPolicy,
    ) -> Self {
        let Checkpoint {
            token,
            offset,
            crc32c,
        } = checkpoint;
        let supply = Replay::new(source, offset, crc32c, open.size()).single_request(open.single_request());
        let recovery = Recovery::resumed(offset, retries.max_restarts);
        Self::spawn(open, supply, recovery, Some(token), retries)
    }

    pub(super) fn spawn<U: OpenUpload>(
        open: U,
        supply: impl Supply,
        recovery: Recovery,
        token: Option<Token>,
        policy: RetryPolicy,
    ) -> Self {
        let (reports, seen) = watch::channel(Report::default());
        let stop = CancellationToken::new();
        let engine = Engine {
            open,
            supply,
            policy,
            recovery,
            current: token.map(CurrentUpload::detached),
            discarded: Vec::new(),
            last: None,
            doubt: None,
            reports,
            stop: stop.clone(),
        };
        Self {
            task: tokio::spawn(engine.run()),
            ended: None,
            reports: seen,
            stop,
        }
    }

    /// Waits until the object exists, and compares it with what was sent: a returned object has the size and the checksum
    /// of the bytes.
    ///
    /// Dropping the future drops the upload. [`wait`](Self::wait) does not.
    pub async fn complete(mut self) -> Result<ObjectInfo, UploadError> {
        self.wait().await
    }

    /// Like [`complete`](Self::complete), but by reference. Cancel safe.
    pub async fn wait(&mut self) -> Result<ObjectInfo, UploadError> {
        std::future::poll_fn(|cx| self.poll_result(cx)).await
    }

    /// Ends the upload. Returns when the task has ended and GCS was told to discard what it holds.
    pub async fn abort(mut self) -> Aborted {
        self.stop.cancel();
        let result = self.wait().await;
        match (result, self.ended.take()) {
            (Ok(ObjectInfo { generation, .. }), _) => Aborted::AlreadyFinished { generation },
            (Err(_), Some(ended)) => ended.cancel.await,
            (Err(_), None) => Aborted::Unknown { error: None },
        }
    }

    /// Cancels an upload that another process began.
    pub async fn discard<U: OpenUpload>(open: U, token: Token, retries: RetryPolicy) -> Aborted {
        let current = CurrentUpload::detached(token);
        // That process may have sent the end, and nobody knows how the object ends.
        abort::cancel(open, Some(current), Vec::new(), Some(None), retries).await
    }

    /// The same of an upload whose object nobody looks for.
    pub(crate) async fn discard_temporary<U: OpenUpload>(
        open: U,
        token: Token,
        retries: RetryPolicy,
    ) -> Aborted {
        let current = CurrentUpload::detached(token);
        abort::cancel(open, Some(current), Vec::new(), None, retries).await
    }

    /// Stops at once. What is committed stays at GCS, and the last report has what brings it back.
    pub(crate) async fn halt(&mut self) -> Result<ObjectInfo, UploadError> {
        self.stop.cancel();
        self.wait().await
    }

    /// The upload's report, as it changes.
    pub fn reports(&self) -> watch::Receiver<Report> {
        self.reports.clone()
    }

    /// Waits until the upload has started. Returns what brings it back in another process.
    ///
    /// It changes when the upload has to begin again ([`Report::restarts`]); [`reports`](Self::reports) have the new one.
    pub async fn token(&mut self) -> Result<Token, UploadError> {
        let started = self.reports.wait_for(|report| report.checkpoint.is_some()).await;
        let token = started
            .ok()
            .and_then(|report| Some(report.checkpoint.as_ref()?.token.clone()));
        match token {
            Some(token) => Ok(token),
            // The task ended before there was one.
            None => Err(self.wait().await.err().unwrap_or(UploadError::Stopped)),
        }
    }

    /// The result, once the upload has ended.
    pub(super) fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Result<ObjectInfo, UploadError>> {
        if let Some(ended) = &self.ended {
            return Poll::Ready(ended.result.clone());
        }
        // The task is lost only with its runtime: nothing in it panics.
        let ended = ready!(Pin::new(&mut self.task).poll(cx)).unwrap_or_else(|_lost| TaskOutput {
            result: Err(UploadError::Stopped),
            cancel: Box::pin(std::future::ready(Aborted::Unknown { error: None })),
        });
        let result = ended.result.clone();
        self.ended = Some(ended);
        Poll::Ready(result)
    }
}

impl Drop for ReliableUpload {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for ReliableUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReliableUpload")
            .field("report", &*self.reports.borrow())
            .finish_non_exhaustive()
    }
}
