//! Requests on objects, repeated until they have a final answer.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::super::connection::{Connection, Reply};
use super::super::shared_connection::SharedConnection;
use super::super::sight::{self, now};
use super::super::{Daemons, Error, StoredObject};
use super::changes::{Careful, Change, Deleted, Deletion};
use super::copies::{Composition, Copied, Copy, History};
use super::given_up::GivenUp;
use super::options::RetryPolicy;
use super::report::Report;
use super::retry::Retrier;
use super::updates::{Patch, Renaming};
use gcsd_types::{ComposeSource, Destination, ObjectName, ObjectRef, Page, Preconditions, Rewrite};
use gcsd_wire::{
    compose_objects, delete_object, list_buckets, list_objects, move_object, patch_object, stat_object,
};

/// How many steps of a copy may pass without one more byte.
const IDLE_STEPS: u32 = 32;

/// Requests on objects through whichever daemon can be reached, each made again until it succeeds, is refused, or has
/// failed for as long as the [`RetryPolicy`] allows.
///
/// They share one connection, on which any number of them can be in flight. Where it is over, the next daemon of the
/// list is asked. Clones share it, too.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// # let client = gcsd_client::Client::connect(address).await?;
/// use gcsd_client::ObjectRef;
///
/// let requests = client.requests();
/// let notes = ObjectRef::new("my-bucket".parse()?, "notes.txt".parse()?);
/// assert_eq!(requests.stat(&notes).await?.info.size, 23);
/// requests.delete(&notes).await?;
/// assert!(requests.stat(&notes).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ReliableRequests {
    pub(super) connection: SharedConnection,
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
        let args = &stat_object::StatObjectArgs { of: object.clone() };
        let described = self.repeat(move |connection| async move { connection.stat_object(args).await });
        Ok(described.await?.into())
    }

    /// One page of a bucket's objects, and GCS's JSON, which names them.
    pub(super) async fn list(&self, args: &list_objects::ListObjectsArgs) -> Result<Reply<Page>, GivenUp> {
        self.repeat(move |connection| async move { connection.list_objects(args).await })
            .await
    }

    /// Deletes an object, or one generation of it.
    ///
    /// After an attempt whose answer was lost, an object that is not there is [`Deleted::Gone`]. A request that names a
    /// generation is made again, since it can delete nothing else. Any other is not: if there is an object, it can be a newer
    /// one, and the outcome is [`GivenUp::Unknown`].
    pub async fn delete(&self, object: &ObjectRef) -> Result<Deleted, GivenUp> {
        let args = &delete_object::DeleteObjectArgs { of: object.clone() };
        self.change(Deletion { requests: self, args }).await
    }

    /// Makes one object of up to 32.
    ///
    /// After an attempt whose answer was lost, the object that is there is compared with the sources: one that holds what they
    /// hold, and did not before, is the new one. Otherwise the request is made again only where that can replace nothing but
    /// what was to be replaced: with `if_generation_match`, or where there is no object. What cannot be decided is
    /// [`GivenUp::Unknown`].
    pub async fn compose(
        &self,
        destination: &Destination,
        sources: &[ComposeSource],
    ) -> Result<StoredObject, GivenUp> {
        let args = compose_objects::ComposeObjectsArgs {
            destination: destination.clone(),
            sources: sources.to_vec(),
        };
        let (requests, began) = (self, now());
        self.change(Composition {
            requests,
            args,
            began,
            pinned: false,
        })
        .await
    }

    /// Copies an object, in as many steps as GCS takes. Returns the copy.
    ///
    /// After a step whose answer was lost, the same holds as for [`compose`](Self::compose).
    pub async fn copy(&self, mut rewrite: Rewrite) -> Result<StoredObject, GivenUp> {
        let (mut idle, mut before, began) = (0, 0, now());
        let mut history = History::default();
        loop {
            let unsure = history.unsure;
            let step = Copy {
                requests: self,
                rewrite: &mut rewrite,
                began,
                history: &mut history,
            };
            let step = self.change_again(step, unsure);
            let step = match step.await? {
                Copied::Object(object) => return Ok(object),
                Copied::Step(step) => step,
            };
            match step.token {
                token @ Some(_) => rewrite.token = token,
                None => return Err(GivenUp::bad_response("a copy ended without an object")),
            }
            idle = if step.rewritten > before { 0 } else { idle + 1 };
            before = step.rewritten;
            if idle == IDLE_STEPS {
                return Err(GivenUp::bad_response("the copy makes no progress"));
            }
        }
    }

    /// Gives an object another name in its bucket, all at once; `preconditions` are about what has that name now, and is
    /// replaced. Returns the object under its new name.
    ///
    /// The object is looked at first, for the size and the checksum that a lost answer is judged by. What is moved is the
    /// generation that was there then. After an attempt whose answer was lost, an object that holds the same under the new
    /// name, and was not there before, is the one, if the old name has lost its own. What cannot be decided is [`GivenUp::Unknown`].
    ///
    /// The `generation` of `source` must be absent: GCS moves live objects only
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects/move>).
    pub async fn rename(
        &self,
        source: &ObjectRef,
        name: &ObjectName,
        preconditions: Preconditions,
    ) -> Result<StoredObject, GivenUp> {
        let began = now();
        let found = self.stat(source).await?.info;
        let mut source = source.clone();
        source.preconditions.if_generation_match = Some(found.generation);
        let args = move_object::Args {
            source,
            destination: name.clone(),
            preconditions,
        };
        let (requests, content) = (self, found.crc32c.map(|crc32c| (found.size, crc32c)));
        self.change(Renaming {
            requests,
            args,
            content,
            began,
        })
        .await
    }

    /// Changes the metadata of an object in the fields that `object` names; null removes one. With `generation`, of that
    /// version rather than of the live one. Returns the object as it is then.
    ///
    /// After an attempt whose answer was lost, an object that is as it was to be is a success. Otherwise the request is made
    /// again, and then changes nothing but the metageneration that was seen.
    pub async fn patch(
        &self,
        object: &Destination,
        generation: Option<u64>,
    ) -> Result<StoredObject, GivenUp> {
        let args = patch_object::Args {
            object: object.clone(),
            generation,
        };
        let (requests, pinned) = (self, false);
        self.change(Patch {
            requests,
            args,
            pinned,
        })
        .await
    }

    /// The live version of an object, or one generation of it; `None` where there is none. That is given up at the
    /// first failure after `end`.
    pub(super) async fn look(
        &self,
        object: &ObjectRef,
        end: Instant,
    ) -> Result<Option<StoredObject>, GivenUp> {
        let look = || {
            sight::look(object, async |of| {
                let args = stat_object::StatObjectArgs { of };
                let stat = async |connection: Connection| connection.stat_object(&args).await;
                self.connection.request(stat).await.map(StoredObject::from)
            })
        };
        let left = end.saturating_duration_since(Instant::now());
        self.retrier(left).at_once().run(look).await
    }

    /// Makes a change.
    async fn change<C: Change>(&self, change: C) -> Result<C::Answer, GivenUp> {
        self.change_again(change, false).await
    }

    /// Makes a change. With `unsure`, it may have been made before.
    async fn change_again<C: Change>(&self, change: C, unsure: bool) -> Result<C::Answer, GivenUp> {
        let policy = &self.retries;
        self.retrier(policy.budget)
            .unsure(unsure)
            .run(Careful { change, policy })
            .await?
    }

    /// One page of a project's buckets, and GCS's JSON, which names them.
    pub(super) async fn list_buckets(
        &self,
        args: &list_buckets::ListBucketsArgs,
    ) -> Result<Reply<Page>, GivenUp> {
        self.repeat(move |connection| async move { connection.list_buckets(args).await })
            .await
    }

    /// Makes `request` until it has a final answer.
    async fn repeat<T, F>(&self, request: impl Fn(Connection) -> F + Send + Sync) -> Result<T, GivenUp>
    where
        T: Send,
        F: Future<Output = Result<T, Error>> + Send,
    {
        self.retrier(self.retries.budget)
            .run(|| self.connection.request(&request))
            .await
    }

    fn retrier(&self, budget: Duration) -> Retrier<impl FnMut(&Error)> {
        Retrier::new(&self.retries, budget, |error: &Error| {
            self.reports.send_modify(|report| report.count_request(error));
        })
    }
}
