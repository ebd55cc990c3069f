//! Requests that belong to no part: made again until they succeed, are refused, or the budget is spent.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::reliable::retry::Retrier;
use super::super::sight::look;
use super::super::{Error, GivenUp, RetryPolicy};
use super::error::StripedError;
use super::reports::PartReports;
use super::route::{Route, StoredObject};
use gcsd_types::{Destination, ObjectRef, Preconditions};
use gcsd_wire::Kind;

/// Makes the requests, and counts what they recover from. Clones share the reports.
#[derive(Debug, Clone)]
pub(super) struct Requests<R> {
    pub(super) route: R,
    pub(super) retries: RetryPolicy,
    pub(super) reports: Arc<PartReports>,
    pub(super) stop: CancellationToken,
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
            sleep(self.retries.abort_budget).await;
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
        self.look_for(object, self.retries.budget).await
    }

    async fn look_for(
        &self,
        object: &ObjectRef,
        patience: Duration,
    ) -> Result<Option<StoredObject>, GivenUp> {
        let look = || look(object, async |object| self.route.stat(&object).await);
        self.retrier(patience).run(look).await
    }

    /// The same at the end of a request's time.
    pub(super) async fn glance(&self, object: &ObjectRef) -> Result<Option<StoredObject>, GivenUp> {
        let patience = self.retries.abort_budget.min(self.retries.budget);
        self.look_for(object, patience).await
    }

    /// Deletes an object. One that does not exist counts as deleted.
    pub(super) async fn delete(&self, object: &ObjectRef) -> Result<(), GivenUp> {
        let object = without_key(object);
        let delete = || self.route.delete(&object);
        match self.retrier(self.retries.abort_budget).run(delete).await {
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
