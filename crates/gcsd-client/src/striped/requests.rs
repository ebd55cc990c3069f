//! Requests that belong to no part: made again until they succeed, are refused, or the budget is spent.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::super::reliable::backoff::{Backoff, Verdict};
use super::super::{Error, GivenUp, RetryPolicy};
use super::board::Board;
use gcsd_wire::Retry;

/// Makes `request` until it succeeds, is refused, or has failed for longer than `budget`.
pub(super) async fn reliably<T, F>(
    policy: &RetryPolicy,
    budget: Duration,
    board: &Board,
    mut request: impl FnMut() -> F,
) -> Result<T, GivenUp>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut backoff = Backoff::new(policy, budget);
    loop {
        match request().await {
            Ok(answer) => return Ok(answer),
            Err(error) => again(&mut backoff, board, error).await?,
        }
    }
}

/// Waits before a request is made again, where that can help.
pub(super) async fn again(backoff: &mut Backoff, board: &Board, error: Error) -> Result<(), GivenUp> {
    if error.retry() == Retry::Never {
        return Err(GivenUp::Refused(error));
    }
    match backoff.failed(Instant::now(), error.retry_after()) {
        Verdict::Wait(delay) => {
            board.failed(&error);
            sleep(delay).await;
            Ok(())
        }
        Verdict::GiveUp { tries, spent } => Err(GivenUp::Exhausted { error, tries, spent }),
    }
}

/// Runs `work`, a bounded number at once. The results come in its order.
pub(super) async fn several<T, W>(work: W) -> Vec<T>
where
    T: Send + 'static,
    W: IntoIterator,
    W::Item: Future<Output = T> + Send + 'static,
{
    const AT_ONCE: usize = 16;
    let mut results = Vec::new();
    let mut running = JoinSet::new();
    for (number, work) in work.into_iter().enumerate() {
        if running.len() == AT_ONCE {
            results.extend(running.join_next().await.and_then(Result::ok));
        }
        running.spawn(async move { (number, work.await) });
    }
    while let Some(joined) = running.join_next().await {
        // A task is lost only with its runtime: nothing in it panics.
        results.extend(joined.ok());
    }
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_come_in_order() {
        let work = (0..100_u64).map(|number| async move {
            tokio::task::yield_now().await;
            number
        });
        assert_eq!(several(work).await, (0..100).collect::<Vec<_>>());
    }
}
