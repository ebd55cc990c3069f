//! Requests on objects, made again until they are answered for good.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::super::connection::{Connection, Reply};
use super::super::{Daemons, Error, Failure, StoredObject};
use super::backoff::{Backoff, Verdict};
use super::options::RetryPolicy;
use super::report::Report;
use gcsd_types::{ComposeSource, Destination, ObjectRef, Page, Rewrite};
use gcsd_wire::{
    Kind, Retry, compose_objects, delete_object, list_buckets, list_objects, rewrite_object, stat_object,
};

/// A request that is not made again: it was refused, or had failed for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenUp {
    /// The last failure.
    pub failure: Failure,
    /// How many there were.
    pub tries: u32,
    /// How long ago the first of them was.
    pub spent: Duration,
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.failure.retry != Retry::Never {
            let failures = match self.tries {
                1 => "1 failure".to_owned(),
                more => format!("{more} failures"),
            };
            write!(
                f,
                "gave up after {failures} and {} s; the last: ",
                self.spent.as_secs()
            )?;
        }
        write!(f, "{}", self.failure)
    }
}

impl std::error::Error for GivenUp {}

impl GivenUp {
    /// An answer that makes no sense.
    pub(super) fn of(what: impl Into<String>) -> Self {
        Self {
            failure: Failure::local("bad_response", Retry::Never, what),
            tries: 1,
            spent: Duration::ZERO,
        }
    }
}

/// How many steps of a copy may pass without one more byte.
const IDLE_STEPS: u32 = 32;

/// The failures of one request since it last got anywhere.
#[derive(Debug)]
pub(super) struct Attempts(Backoff);

impl Attempts {
    pub(super) fn new(policy: &RetryPolicy) -> Self {
        Self(Backoff::new(policy, policy.budget))
    }

    /// It got further: everything before is forgotten.
    pub(super) fn progressed(&mut self) {
        self.0.progressed();
    }

    /// How long to wait before the request is made again, if that can help.
    pub(super) fn again(&mut self, failure: &Failure) -> Result<Duration, GivenUp> {
        let given_up = |tries, spent| GivenUp {
            failure: failure.clone(),
            tries,
            spent,
        };
        if failure.retry == Retry::Never {
            return Err(given_up(1, Duration::ZERO));
        }
        match self.0.failed(Instant::now(), failure.retry_after) {
            Verdict::Wait(delay) => Ok(delay),
            Verdict::GiveUp { tries, spent } => Err(given_up(tries, spent)),
        }
    }
}

/// Requests on objects through whichever daemon can be reached, each made again until it succeeds, is refused, or has
/// failed for as long as the [`RetryPolicy`] allows.
///
/// They share one connection, on which any number of them can be in flight. Where it is over, the next daemon of the
/// list is asked. Clones share it, too.
#[derive(Debug, Clone)]
pub struct ReliableRequests {
    shared: Arc<Mutex<Shared>>,
    retries: RetryPolicy,
    reports: watch::Sender<Report>,
}

#[derive(Debug)]
struct Shared {
    daemons: Daemons,
    connection: Option<Connection>,
}

impl ReliableRequests {
    /// Requests through `daemons`. Nothing is sent yet.
    pub fn new(daemons: Daemons, retries: RetryPolicy) -> Self {
        let connection = None;
        Self {
            shared: Arc::new(Mutex::new(Shared { daemons, connection })),
            retries,
            reports: watch::Sender::default(),
        }
    }

    /// Counts in `reports` what they go through, beside what others count there. Nothing is said of what is committed.
    #[must_use]
    pub fn reporting(mut self, reports: watch::Sender<Report>) -> Self {
        self.reports = reports;
        self
    }

    /// What GCS says of an object.
    pub async fn stat(&self, object: &ObjectRef) -> Result<StoredObject, GivenUp> {
        let args = &stat_object::Args { of: object.clone() };
        let request = |connection: Connection| async move { connection.stat_object(args).await };
        let described = self.make(request).await.map_err(|(given_up, _)| given_up)?;
        Ok(described.into())
    }

    /// One page of a bucket's objects, and GCS's JSON, which names them.
    pub(super) async fn list(&self, args: &list_objects::Args) -> Result<Reply<Page>, GivenUp> {
        let request = |connection: Connection| async move { connection.list_objects(args).await };
        self.make(request).await.map_err(|(given_up, _)| given_up)
    }

    /// Deletes an object, or one generation of it.
    ///
    /// An object that is not found once a try has ended without an answer counts as deleted. Where the request names no
    /// generation, another object that has appeared in between can be deleted in place of the first.
    pub async fn delete(&self, object: &ObjectRef) -> Result<(), GivenUp> {
        let args = &delete_object::Args { of: object.clone() };
        let request = |connection: Connection| async move { connection.delete_object(args).await };
        match self.make(request).await {
            Err((given_up, true)) if given_up.failure.is(Kind::NotFound) => Ok(()),
            other => other.map_err(|(given_up, _)| given_up),
        }
    }

    /// Makes one object of up to 32.
    ///
    /// After a try that ended without an answer, the same object can be made twice, which leaves two generations of it
    /// where the bucket keeps them; or a precondition that held fails, since the object is there by then.
    pub async fn compose(
        &self,
        destination: &Destination,
        sources: &[ComposeSource],
    ) -> Result<StoredObject, GivenUp> {
        let args = &compose_objects::Args {
            destination: destination.clone(),
            sources: sources.to_vec(),
        };
        let request = |connection: Connection| async move { connection.compose_objects(args).await };
        let described = self.make(request).await.map_err(|(given_up, _)| given_up)?;
        Ok(described.into())
    }

    /// Copies an object, in as many steps as GCS takes. Returns the copy.
    ///
    /// After a try that ended without an answer, the same can happen as to [`compose`](Self::compose).
    pub async fn copy(&self, mut rewrite: Rewrite) -> Result<StoredObject, GivenUp> {
        let mut idle = 0;
        let mut before = 0;
        loop {
            let args = rewrite_object::Args {
                rewrite: Box::new(rewrite),
            };
            let request = |connection: Connection| {
                let args = &args;
                async move { connection.rewrite_object(args).await }
            };
            let step = self.make(request).await.map_err(|(given_up, _)| given_up)?;
            let Reply { args: reply, json } = step;
            rewrite = *args.rewrite;
            match (reply.rewritten.object, reply.rewritten.token) {
                (Some(info), _) => return Ok(StoredObject { info, json }),
                (None, token @ Some(_)) => rewrite.token = token,
                (None, None) => return Err(GivenUp::of("a copy ended without an object")),
            }
            idle = if reply.rewritten.rewritten > before {
                0
            } else {
                idle + 1
            };
            before = reply.rewritten.rewritten;
            if idle == IDLE_STEPS {
                return Err(GivenUp::of("the copy does not get any further"));
            }
        }
    }

    /// One page of a project's buckets, and GCS's JSON, which names them.
    pub(super) async fn list_buckets(&self, args: &list_buckets::Args) -> Result<Reply<Page>, GivenUp> {
        let request = |connection: Connection| async move { connection.list_buckets(args).await };
        self.make(request).await.map_err(|(given_up, _)| given_up)
    }

    /// Makes `request` until it is answered for good. An error says, too, whether an earlier try may have been carried
    /// out.
    async fn make<T, F>(&self, request: impl Fn(Connection) -> F) -> Result<T, (GivenUp, bool)>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut attempts = Attempts::new(&self.retries);
        let mut unknown = false;
        loop {
            let error = match self.connection().await {
                Ok(connection) => match request(connection).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let sent = match &error {
                Error::Connection(lost) => lost.sent,
                other => other.retry() == Retry::Query,
            };
            let failure = Failure::from(error);
            let delay = attempts.again(&failure).map_err(|given_up| (given_up, unknown))?;
            unknown |= sent;
            self.reports.send_modify(|report| report.count_request(&failure));
            sleep(delay).await;
        }
    }

    /// The connection that all share.
    async fn connection(&self) -> Result<Connection, Error> {
        let mut daemons = {
            let shared = self.lock();
            if let Some(connection) = shared.usable() {
                return Ok(connection);
            }
            shared.daemons.clone()
        };
        let connection = daemons.connect().await?;
        let mut shared = self.lock();
        // Somebody else may have been quicker.
        if let Some(connection) = shared.usable() {
            return Ok(connection);
        }
        shared.daemons = daemons;
        shared.connection = Some(connection.clone());
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn usable(&self) -> Option<Connection> {
        self.connection.clone().filter(|connection| !connection.is_over())
    }
}
