//! Requests that belong to no part: made again until they succeed, are refused, or the budget is spent.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::super::reliable::retry::{Failed, Retrier};
use super::super::sight::look;
use super::super::{Error, GivenUp, RetryPolicy};
use super::error::StripedError;
use super::reports::PartReports;
use super::route::{Route, StoredObject};
use gcsd_types::{Destination, ObjectRef, Preconditions};
use gcsd_wire::{Kind, Retry};

/// Makes the requests, and counts what they recover from. Clones share the reports.
#[derive(Debug, Clone)]
pub(super) struct Requests<R> {
    pub(super) route: R,
    pub(super) retries: RetryPolicy,
    pub(super) reports: Arc<PartReports>,
    pub(super) stop: CancellationToken,
    /// Of the time behind the budget, what went into last looks and into stopping.
    pub(super) used: Used,
}

/// How much of a time is used. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Used(Arc<Mutex<Duration>>);

impl Used {
    /// So much is, at least.
    pub(super) fn at_least(&self, used: Duration) {
        let mut most = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *most = used.max(*most);
    }

    fn get(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Route> Requests<R> {
    /// Does `work`, unless the upload has been stopped. A stop does not cut it off at once: an object that appears
    /// unnoticed would be the worst end.
    pub(super) async fn to_the_end<T>(
        &self,
        work: impl Future<Output = Result<T, StripedError>>,
    ) -> Result<T, StripedError> {
        if self.stop.is_cancelled() {
            return Err(StripedError::Stopped);
        }
        let patience = async {
            self.stop.cancelled().await;
            // The rest is for clearing up.
            sleep(self.retries.abort_budget / 2).await;
        };
        tokio::select! {
            biased;
            done = work => done,
            () = patience => Err(StripedError::Stopped),
        }
    }

    /// A request that may take `budget` from its first failure on.
    pub(super) fn retrier(&self, budget: Duration) -> Retrier<impl FnMut(&Error)> {
        Retrier::new(&self.retries, budget, |error: &Error| self.reports.failed(error))
    }

    /// The live version of an object, or one generation of it; `None` where there is none.
    pub(super) async fn look(&self, object: &ObjectRef) -> Result<Option<StoredObject>, GivenUp> {
        let look = || look(object, async |object| self.route.stat(&object).await);
        self.retrier(self.retries.budget).run(look).await
    }

    /// The same after an attempt that failed, in what is left of its time or, where nothing is, behind it.
    pub(super) async fn look_after(
        &self,
        attempt: &Failed,
        object: &ObjectRef,
    ) -> Result<Option<StoredObject>, GivenUp> {
        if !attempt.last || attempt.error.retry() == Retry::Never {
            return self.look_for(object, attempt.left).await;
        }
        let (grace, began) = (self.retries.abort_budget, Instant::now());
        let looked = timeout(grace, self.look_for(object, grace.min(self.retries.budget))).await;
        self.used.at_least(began.elapsed());
        looked.unwrap_or(Err(GivenUp::Refused(Error::LATE)))
    }

    /// The policy of a part: of the time behind the budget, its last look leaves half to clearing up.
    pub(super) fn part_retries(&self) -> RetryPolicy {
        let grace = self.retries.abort_budget / 2;
        self.retries.clone().with_abort_budget(grace)
    }

    /// What is left of the time behind the budget, for clearing up.
    pub(super) fn grace(&self) -> Duration {
        self.retries.abort_budget.saturating_sub(self.used.get())
    }

    /// The same where that may take `patience`.
    pub(super) async fn look_for(
        &self,
        object: &ObjectRef,
        patience: Duration,
    ) -> Result<Option<StoredObject>, GivenUp> {
        let look = || look(object, async |object| self.route.stat(&object).await);
        self.retrier(patience).at_once().run(look).await
    }

    /// Deletes an object, which may fail for `patience`. One that does not exist counts as deleted.
    pub(super) async fn delete(&self, object: &ObjectRef, patience: Duration) -> Result<(), GivenUp> {
        let object = without_key(object);
        let delete = || self.route.delete(&object);
        match self.retrier(patience).run(delete).await {
            Err(GivenUp::Refused(error)) if error.is(Kind::NotFound) => Ok(()),
            deleted => deleted,
        }
    }

    /// Starts a multipart upload. One whose answer was lost has no parts, and never will: nobody knows its name.
    pub(super) async fn start_multipart(&self, destination: &Destination) -> Result<String, StripedError> {
        let destination = Destination {
            preconditions: Preconditions::default(),
            ..destination.clone()
        };
        let start = || self.route.start_multipart(&destination);
        let started = self.retrier(self.retries.budget).run(start).await;
        started.map_err(|error| StripedError::Request {
            what: "the multipart upload could not be started",
            error,
        })
    }
}

/// The same object for a request that needs no key.
fn without_key(object: &ObjectRef) -> ObjectRef {
    ObjectRef {
        key: None,
        ..object.clone()
    }
}
