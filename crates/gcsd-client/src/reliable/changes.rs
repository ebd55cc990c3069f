//! Requests that change objects: made again only where that does nothing else than what was asked for, and never said to have
//! failed before it was looked.

use std::future::Future;
use std::ops::ControlFlow;

use tokio::time::{Instant, timeout};

use super::super::connection::Connection;
use super::super::{Error, Seen};
use super::given_up::GivenUp;
use super::options::RetryPolicy;
use super::requests::ReliableRequests;
use super::retry::{Failed, Repeatable, after};
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

    /// Looks whether it was made. That is given up at the first failure after `end`.
    fn look(&mut self, end: Instant) -> impl Future<Output = Result<Done<Self::Answer>, GivenUp>> + Send;

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
        let looked = match failed.last && error.retry() != Retry::Never {
            true => {
                let grace = self.policy.abort_budget;
                let looking = self.change.look(after(grace.min(self.policy.budget)));
                let late = GivenUp::Refused(Error::LATE);
                timeout(grace, looking).await.unwrap_or(Err(late))
            }
            false => self.change.look(after(failed.left)).await,
        };
        let seen = match looked {
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

/// What is known of an object that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deleted {
    /// GCS deleted it.
    Done,
    /// It is not there. An answer was lost, so that nothing tells whether the request deleted it, somebody else did, or it
    /// never was there.
    Gone,
}

/// The deletion of one object.
pub(super) struct Deletion<'a> {
    pub(super) requests: &'a ReliableRequests,
    pub(super) args: &'a delete_object::DeleteObjectArgs,
}

impl Change for Deletion<'_> {
    type Answer = Deleted;

    async fn attempt(&mut self) -> Result<Deleted, Error> {
        let delete = async |connection: Connection| connection.delete_object(self.args).await;
        self.requests.connection.request(delete).await?;
        Ok(Deleted::Done)
    }

    fn is_repeatable(&self) -> bool {
        self.args.of.is_deleted_once()
    }

    async fn look(&mut self, end: Instant) -> Result<Done<Deleted>, GivenUp> {
        let of = &self.args.of;
        let place = ObjectRef {
            preconditions: Preconditions::default(),
            fields: None,
            ..of.clone()
        };
        let found = self.requests.look(&place, end).await?;
        let pinned = of.generation.or(of.preconditions.if_generation_match);
        Ok(match found {
            None => Done::Yes(Deleted::Gone),
            Some(found) if pinned == Some(found.info.generation) => Done::No(Seen::Object(found.info)),
            // Another one has taken its place, before it was deleted or after.
            Some(found) => Done::Unknown(Seen::Object(found.info)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::super::retry::Retrier;
    use super::*;

    /// A change whose answers are lost. Looks fail as long as they may, or are never answered.
    struct Lost {
        answered: bool,
        repeatable: bool,
        /// So many attempts do not reach GCS.
        unsent: u32,
    }

    impl Change for Lost {
        type Answer = ();

        async fn attempt(&mut self) -> Result<(), Error> {
            let (kind, retry) = match self.unsent {
                0 => (Kind::Unavailable, Retry::Query),
                _ => (Kind::ConnectFailed, Retry::Same),
            };
            self.unsent = self.unsent.saturating_sub(1);
            Err(Error::of(kind, retry, "later"))
        }

        fn is_repeatable(&self) -> bool {
            self.repeatable
        }

        async fn look(&mut self, end: Instant) -> Result<Done<()>, GivenUp> {
            if !self.answered {
                pending::<()>().await;
            }
            tokio::time::sleep_until(end).await;
            Err(GivenUp::Refused(Error::of(
                Kind::Unavailable,
                Retry::Same,
                "later",
            )))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn looks_take_of_the_budget_and_a_last_one_little_more() {
        let policy = RetryPolicy::default();
        for (answered, repeatable) in [(true, false), (true, true), (false, true)] {
            let change = Lost {
                answered,
                repeatable,
                unsent: 8,
            };
            let careful = Careful {
                change,
                policy: &policy,
            };
            let began = Instant::now();
            let result = Retrier::new(&policy, policy.budget, |_: &Error| {})
                .run(careful)
                .await;
            assert!(matches!(result, Ok(Err(GivenUp::Unknown { .. }))), "{result:?}");
            // What may be repeated is looked at behind the last try.
            let grace = match repeatable {
                true => policy.abort_budget,
                false => Duration::ZERO,
            };
            let took = began.elapsed();
            let bounds = policy.budget..policy.budget + grace + Duration::from_secs(1);
            assert!(bounds.contains(&took), "{answered} {repeatable}: {took:?}");
        }
    }
}
