//! Requests on objects, made again until they are answered for good.

use std::future::Future;
use std::ops::ControlFlow;

use tokio::sync::watch;

use super::super::connection::{Connection, Reply};
use super::super::shared_connection::SharedConnection;
use super::super::{Daemons, Error, StoredObject};
use super::given_up::GivenUp;
use super::options::RetryPolicy;
use super::report::Report;
use super::retry::{Failed, Repeatable, Retrier};
use gcsd_types::{ComposeSource, Destination, ObjectRef, Page, Rewrite};
use gcsd_wire::{
    Kind, compose_objects, delete_object, list_buckets, list_objects, rewrite_object, stat_object,
};

/// How many steps of a copy may pass without one more byte.
const IDLE_STEPS: u32 = 32;

/// Requests on objects through whichever daemon can be reached, each made again until it succeeds, is refused, or has
/// failed for as long as the [`RetryPolicy`] allows.
///
/// They share one connection, on which any number of them can be in flight. Where it is over, the next daemon of the
/// list is asked. Clones share it, too.
#[derive(Debug, Clone)]
pub struct ReliableRequests {
    connection: SharedConnection,
    retries: RetryPolicy,
    reports: watch::Sender<Report>,
}

impl ReliableRequests {
    /// Requests through `daemons`. Nothing is sent yet.
    pub fn new(daemons: Daemons, retries: RetryPolicy) -> Self {
        Self {
            connection: SharedConnection::new(daemons),
            retries,
            reports: watch::Sender::default(),
        }
    }

    /// Counts the failures that are recovered from in `reports`, which can be shared. What is committed is not reported.
    #[must_use]
    pub fn reporting(mut self, reports: watch::Sender<Report>) -> Self {
        self.reports = reports;
        self
    }

    /// What GCS says of an object.
    pub async fn stat(&self, object: &ObjectRef) -> Result<StoredObject, GivenUp> {
        let args = &stat_object::Args { of: object.clone() };
        let described = self.repeat(move |connection| async move { connection.stat_object(args).await });
        Ok(described.await?.into())
    }

    /// One page of a bucket's objects, and GCS's JSON, which names them.
    pub(super) async fn list(&self, args: &list_objects::Args) -> Result<Reply<Page>, GivenUp> {
        self.repeat(move |connection| async move { connection.list_objects(args).await })
            .await
    }

    /// Deletes an object, or one generation of it.
    ///
    /// An object that is not found after an attempt that may have been carried out counts as deleted. Where the request
    /// names no generation, another object that has appeared in between can be deleted in place of the first.
    pub async fn delete(&self, object: &ObjectRef) -> Result<(), GivenUp> {
        let args = &delete_object::Args { of: object.clone() };
        let connection = &self.connection;
        self.retrier().run(Deletion { connection, args }).await
    }

    /// Makes one object of up to 32.
    ///
    /// After an attempt that may have been carried out, the same object can be made twice, which leaves two generations
    /// of it where the bucket keeps them; or a precondition that held fails, since the object exists by then.
    pub async fn compose(
        &self,
        destination: &Destination,
        sources: &[ComposeSource],
    ) -> Result<StoredObject, GivenUp> {
        let args = &compose_objects::Args {
            destination: destination.clone(),
            sources: sources.to_vec(),
        };
        let composed = self.repeat(move |connection| async move { connection.compose_objects(args).await });
        Ok(composed.await?.into())
    }

    /// Copies an object, in as many steps as GCS takes. Returns the copy.
    ///
    /// After an attempt that may have been carried out, the same can happen as to [`compose`](Self::compose).
    pub async fn copy(&self, mut rewrite: Rewrite) -> Result<StoredObject, GivenUp> {
        let mut idle = 0;
        let mut before = 0;
        loop {
            let args = rewrite_object::Args {
                rewrite: Box::new(rewrite),
            };
            let step = self.repeat(|connection| {
                let args = &args;
                async move { connection.rewrite_object(args).await }
            });
            let Reply { args: reply, json } = step.await?;
            rewrite = *args.rewrite;
            match (reply.rewritten.object, reply.rewritten.token) {
                (Some(info), _) => return Ok(StoredObject { info, json }),
                (None, token @ Some(_)) => rewrite.token = token,
                (None, None) => return Err(GivenUp::bad_response("a copy ended without an object")),
            }
            idle = if reply.rewritten.rewritten > before {
                0
            } else {
                idle + 1
            };
            before = reply.rewritten.rewritten;
            if idle == IDLE_STEPS {
                return Err(GivenUp::bad_response("the copy makes no progress"));
            }
        }
    }

    /// One page of a project's buckets, and GCS's JSON, which names them.
    pub(super) async fn list_buckets(&self, args: &list_buckets::Args) -> Result<Reply<Page>, GivenUp> {
        self.repeat(move |connection| async move { connection.list_buckets(args).await })
            .await
    }

    /// Makes `request` until it is answered for good.
    async fn repeat<T, F>(&self, request: impl Fn(Connection) -> F + Send + Sync) -> Result<T, GivenUp>
    where
        T: Send,
        F: Future<Output = Result<T, Error>> + Send,
    {
        self.retrier().run(|| self.connection.request(&request)).await
    }

    fn retrier(&self) -> Retrier<impl FnMut(&Error)> {
        Retrier::new(&self.retries, self.retries.budget, |error: &Error| {
            self.reports.send_modify(|report| report.count_request(error));
        })
    }
}

/// The deletion of one object.
struct Deletion<'a> {
    connection: &'a SharedConnection,
    args: &'a delete_object::Args,
}

impl Repeatable for Deletion<'_> {
    type Answer = ();

    async fn attempt(&mut self) -> Result<(), Error> {
        let delete = async |connection: Connection| connection.delete_object(self.args).await;
        self.connection.request(delete).await
    }

    async fn examine(&mut self, failed: Failed) -> ControlFlow<()> {
        match failed.error.is(Kind::NotFound) && failed.unsure {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
