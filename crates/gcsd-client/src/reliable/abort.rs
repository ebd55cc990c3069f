//! Throwing an upload away, reliably.

use tokio::time::{Instant, sleep};

use super::super::{Cancelled, Error, OpenUpload, Token, UnreliableWriter as _};
use super::backoff::{Backoff, Verdict};
use super::engine::Held;
use super::options::RetryPolicy;
use gcsd_wire::Retry;

/// What an abort found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aborted {
    /// There is no object of it, and there will be none.
    ///
    /// A start whose answer was lost may have left an upload at GCS that nobody can write to; it is gone after a
    /// week.
    Cancelled,
    /// It came too late: the object is there.
    AlreadyFinished {
        /// The object's generation, or 0 where GCS did not say.
        generation: u64,
    },
    /// GCS does not know the upload, or could not be told.
    ///
    /// Either way this writer will not finish it any more; what GCS may hold of it is gone after a week. Only where the
    /// failure is [`Kind::Fenced`](gcsd_wire::Kind::Fenced) somebody else has the upload, and may finish it.
    Unknown {
        /// Why GCS could not be told; `None` where it does not know the upload: cancelled or finished before, or
        /// expired.
        error: Option<Error>,
    },
}

/// Tells GCS, and tries again for as long as `policy` allows. The same with what was `discarded` before, and could
/// not be told of.
pub(super) async fn cancel<U: OpenUpload>(
    mut open: U,
    held: Option<Held<U::Writer>>,
    discarded: Vec<Token>,
    policy: RetryPolicy,
) -> Aborted {
    let aborted = match held {
        Some(held) => in_time(&mut open, held, &policy).await,
        None => Aborted::Cancelled,
    };
    for token in discarded {
        // Nobody can finish it; GCS forgets it after a week.
        let _tidied = in_time(&mut open, Held { token, writer: None }, &policy).await;
    }
    aborted
}

async fn in_time<U: OpenUpload>(open: &mut U, held: Held<U::Writer>, policy: &RetryPolicy) -> Aborted {
    let mut last = Error::Unanswered("GCS did not answer in time");
    let telling = tell(open, held, policy, &mut last);
    match tokio::time::timeout(policy.abort_budget, telling).await {
        Ok(aborted) => aborted,
        Err(_) => Aborted::Unknown { error: Some(last) },
    }
}

async fn tell<U: OpenUpload>(
    open: &mut U,
    held: Held<U::Writer>,
    policy: &RetryPolicy,
    last: &mut Error,
) -> Aborted {
    let Held { token, mut writer } = held;
    let mut backoff = Backoff::new(policy, policy.abort_budget);
    loop {
        let told = match &mut writer {
            Some(writer) => writer.cancel().await,
            None => match open.attach(&token).await {
                Ok(attached) => {
                    writer = Some(attached);
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        let error = match told {
            Ok(Cancelled::Cancelled) => return Aborted::Cancelled,
            Ok(Cancelled::Finished { generation }) => return Aborted::AlreadyFinished { generation },
            Ok(Cancelled::Unknown) => return Aborted::Unknown { error: None },
            Err(error) => error,
        };
        match error.retry() {
            Retry::Same | Retry::Query => {}
            Retry::Reconnect => writer = None,
            Retry::Restart => return Aborted::Unknown { error: None },
            Retry::Never => {
                return Aborted::Unknown { error: Some(error) };
            }
        }
        let verdict = backoff.failed(Instant::now(), error.retry_after());
        *last = error;
        match verdict {
            Verdict::Wait(delay) => sleep(delay).await,
            Verdict::GiveUp { .. } => {
                return Aborted::Unknown {
                    error: Some(last.clone()),
                };
            }
        }
    }
}
