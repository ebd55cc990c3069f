//! Cancelling an upload, reliably.

use std::ops::ControlFlow;

use tokio::time::{Instant, timeout_at};

use super::super::sight::Whose;
use super::super::{Cancelled, Error, Last, OpenUpload, Token, UnreliableWriter as _};
use super::current::CurrentUpload;
use super::looks::Looking;
use super::options::RetryPolicy;
use super::retry::{Failed, Repeatable, Retrier, after};
use gcsd_wire::Retry;

/// What an abort found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aborted {
    /// There is no object of the upload, and there will be none. Where its end had been sent, that was looked at.
    ///
    /// A start whose answer was lost may have left an upload at GCS that nobody can write to; it is gone after a
    /// week.
    Cancelled,
    /// It came too late: the object exists.
    AlreadyFinished {
        /// The object's generation, or 0 where GCS did not say.
        generation: u64,
    },
    /// GCS does not know the upload, or could not be told to cancel it.
    ///
    /// Either way this writer will not finish it; what GCS may hold of it is gone after a week. Only where the error is
    /// [`Kind::Fenced`](gcsd_wire::Kind::Fenced), another client has the upload and may finish it.
    Unknown {
        /// Why GCS could not be told; `None` where the upload is gone, and what is where it makes its object does not tell
        /// whether it did.
        error: Option<Error>,
    },
}

/// Cancels the `current` upload, and the `discarded` ones, which could not be cancelled before. All of it takes no longer
/// than `policy` allows an abort.
///
/// `ended` says that the end of the object may have been sent, and how it ends, where that is known. What GCS says of the
/// upload then says nothing of the object: it is looked at.
pub(super) async fn cancel<U: OpenUpload>(
    mut open: U,
    current: Option<CurrentUpload<U::Writer>>,
    discarded: Vec<Token>,
    ended: Option<Option<Last>>,
    policy: RetryPolicy,
) -> Aborted {
    let end = after(policy.abort_budget);
    let aborted = match current {
        Some(current) => in_time(&mut open, current, &policy, end).await,
        None => Aborted::Cancelled,
    };
    let aborted = match (aborted, ended) {
        (Aborted::Cancelled | Aborted::Unknown { error: None }, Some(last)) => {
            look(&mut open, last, &policy, end).await
        }
        (aborted, _) => aborted,
    };
    tidy(&mut open, discarded, &policy, end).await;
    aborted
}

/// Cancels uploads that were given up, until `end`. Only to be tidy: nobody will finish them, and GCS forgets them after a
/// week.
pub(super) async fn tidy<U: OpenUpload>(
    open: &mut U,
    discarded: Vec<Token>,
    policy: &RetryPolicy,
    end: Instant,
) {
    for token in discarded {
        let _tidied = in_time(open, CurrentUpload::detached(token), policy, end).await;
    }
}

/// What became of an object whose upload is gone.
async fn look<U: OpenUpload>(
    open: &mut U,
    last: Option<Last>,
    policy: &RetryPolicy,
    end: Instant,
) -> Aborted {
    let retrier = Retrier::new(policy, policy.abort_budget, |_: &Error| {});
    let looking = timeout_at(end, retrier.run(Looking(open)));
    let Ok(Ok(sight)) = looking.await else {
        return Aborted::Unknown { error: None };
    };
    match sight.whose(last.map(|Last { total, crc32c }| (total, crc32c))) {
        Whose::Ours(object) => Aborted::AlreadyFinished {
            generation: object.info.generation,
        },
        Whose::NotMade => Aborted::Cancelled,
        Whose::Unknown(_) => Aborted::Unknown { error: None },
    }
}

async fn in_time<U: OpenUpload>(
    open: &mut U,
    current: CurrentUpload<U::Writer>,
    policy: &RetryPolicy,
    end: Instant,
) -> Aborted {
    let mut last = Error::LATE;
    let retrier = Retrier::new(policy, policy.abort_budget, |error: &Error| last = error.clone());
    let cancelled = retrier.run(Cancellation { open, current });
    match timeout_at(end, cancelled).await {
        Ok(Ok(aborted)) => aborted,
        Ok(Err(given_up)) => Aborted::Unknown {
            error: Some(given_up.error().clone()),
        },
        Err(_) => Aborted::Unknown { error: Some(last) },
    }
}

/// The cancellation of one upload.
struct Cancellation<'a, U: OpenUpload> {
    open: &'a mut U,
    current: CurrentUpload<U::Writer>,
}

impl<U: OpenUpload> Repeatable for Cancellation<'_, U> {
    type Answer = Aborted;

    async fn attempt(&mut self) -> Result<Aborted, Error> {
        let CurrentUpload { token, writer } = &mut self.current;
        let attached = match &mut *writer {
            Some(attached) => attached,
            none => none.insert(self.open.attach(token).await?),
        };
        match attached.cancel().await {
            Ok(Cancelled::Cancelled) => Ok(Aborted::Cancelled),
            Ok(Cancelled::Finished { generation }) => Ok(Aborted::AlreadyFinished { generation }),
            Ok(Cancelled::Unknown) => Ok(Aborted::Unknown { error: None }),
            Err(error) => {
                if error.retry() == Retry::Reconnect {
                    *writer = None;
                }
                Err(error)
            }
        }
    }

    async fn examine(&mut self, failed: Failed) -> ControlFlow<Aborted> {
        match failed.error.retry() {
            // The session is lost: there is nothing to cancel.
            Retry::Restart => ControlFlow::Break(Aborted::Unknown { error: None }),
            _ => ControlFlow::Continue(()),
        }
    }
}
