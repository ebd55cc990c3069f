//! Requests that change objects: made again only where that does nothing else than what was asked for, and never said to have
//! failed before it was looked.

use std::future::Future;
use std::ops::ControlFlow;
use std::time::Duration;

use super::super::connection::Connection;
use super::super::{Error, Seen};
use super::given_up::GivenUp;
use super::options::RetryPolicy;
use super::requests::ReliableRequests;
use super::retry::{Failed, Repeatable};
use gcsd_types::{ObjectRef, Preconditions};
use gcsd_wire::{Kind, Retry, delete_object};

/// What a look shows of a change whose answer was lost.
pub(super) enum Done<T> {
    /// It was made.
    Yes(T),
    /// It was not made: this is there.
    No(Seen),
    /// Nothing tells.
    Unknown(Seen),
}

/// A request that changes objects.
pub(super) trait Change: Send {
    /// What it is answered with.
    type Answer: Send;

    /// Makes it once.
    fn attempt(&mut self) -> impl Future<Output = Result<Self::Answer, Error>> + Send;

    /// Whether GCS makes the change at most once, however often it is asked to (proto-spec.md, "Errors and recovery").
    fn is_repeatable(&self) -> bool;

    /// Looks whether it was made. Each look may fail for `patience`.
    fn look(
        &mut self,
        patience: Duration,
    ) -> impl Future<Output = Result<Done<Self::Answer>, GivenUp>> + Send;

    /// It was not made: makes it repeatable by what was seen. Returns whether it is.
    fn pin(&mut self, _seen: &Seen) -> bool {
        self.is_repeatable()
    }

    /// Whether [`pin`](Self::pin) gave it a precondition, whose failure says nothing that was asked.
    fn is_pinned(&self) -> bool {
        false
    }
}

/// A change that is made again as long as that does no harm.
pub(super) struct Careful<'a, C> {
    pub(super) change: C,
    pub(super) policy: &'a RetryPolicy,
}

impl<C: Change> Repeatable for Careful<'_, C> {
    type Answer = Result<C::Answer, GivenUp>;

    async fn attempt(&mut self) -> Result<Self::Answer, Error> {
        self.change.attempt().await.map(Ok)
    }

    fn may_have_happened(&self, error: &Error) -> bool {
        match self.change.is_repeatable() {
            true => error.may_have_happened(),
            false => error.may_have_happened_once(),
        }
    }

    async fn examine(&mut self, failed: Failed) -> ControlFlow<Self::Answer> {
        let repeatable = self.change.is_repeatable();
        // What is repeatable is repeated without a look; its last answer is the one that can be wrong.
        if !failed.unsure || (repeatable && !failed.last) {
            return ControlFlow::Continue(());
        }
        let error = failed.error;
        // A budget that is spent is not spent twice.
        let patience = match failed.last && error.retry() != Retry::Never {
            true => self.policy.abort_budget.min(self.policy.budget),
            false => self.policy.budget,
        };
        let seen = match self.change.look(patience).await {
            Ok(Done::Yes(answer)) => return ControlFlow::Break(Ok(answer)),
            Ok(Done::No(seen)) if self.change.is_pinned() && error.is(Kind::PreconditionFailed) => seen,
            // So the error says what is.
            Ok(Done::No(_)) if failed.last => return ControlFlow::Continue(()),
            Ok(Done::No(seen)) => match self.change.pin(&seen) {
                true => return ControlFlow::Continue(()),
                false => seen,
            },
            Ok(Done::Unknown(seen)) => seen,
            Err(given_up) => return ControlFlow::Break(Err(given_up.unseen(error))),
        };
        let seen = Box::new(seen);
        ControlFlow::Break(Err(GivenUp::Unknown { error, seen }))
    }
}

/// The deletion of one object.
pub(super) struct Deletion<'a> {
    pub(super) requests: &'a ReliableRequests,
    pub(super) args: &'a delete_object::DeleteObjectArgs,
}

impl Change for Deletion<'_> {
    type Answer = ();

    async fn attempt(&mut self) -> Result<(), Error> {
        let delete = async |connection: Connection| connection.delete_object(self.args).await;
        self.requests.connection.request(delete).await
    }

    fn is_repeatable(&self) -> bool {
        self.args.of.is_deleted_once()
    }

    async fn look(&mut self, patience: Duration) -> Result<Done<()>, GivenUp> {
        let of = &self.args.of;
        let place = ObjectRef {
            preconditions: Preconditions::default(),
            fields: None,
            ..of.clone()
        };
        let found = self.requests.look(&place, patience).await?;
        let pinned = of.generation.or(of.preconditions.if_generation_match);
        Ok(match found {
            None => Done::Yes(()),
            Some(found) if pinned == Some(found.info.generation) => Done::No(Seen::Object(found.info)),
            // Another one has taken its place, before it was deleted or after.
            Some(found) => Done::Unknown(Seen::Object(found.info)),
        })
    }
}
