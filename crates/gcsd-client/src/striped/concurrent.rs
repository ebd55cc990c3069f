//! Bounded concurrency.

use std::future::Future;

use tokio::task::JoinSet;

/// How many futures run at a time.
const MAX: usize = 16;

/// Runs `work`, at most 16 at a time, and begins nothing more behind a result that `goes_on` says no to. The results come in
/// the order of `work`.
pub(super) async fn concurrently_while<T, W>(work: W, goes_on: impl Fn(&T) -> bool) -> Vec<T>
where
    T: Send + 'static,
    W: IntoIterator,
    W::Item: Future<Output = T> + Send + 'static,
{
    let mut results: Vec<(usize, T)> = Vec::new();
    let mut running = JoinSet::new();
    for (number, work) in work.into_iter().enumerate() {
        if running.len() == MAX {
            results.extend(running.join_next().await.and_then(Result::ok));
            if results.last().is_some_and(|(_, result)| !goes_on(result)) {
                break;
            }
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
        let work = || {
            (0..100_u64).map(|number| async move {
                tokio::task::yield_now().await;
                number
            })
        };
        let all: Vec<_> = (0..100).collect();
        assert_eq!(concurrently_while(work(), |_| true).await, all);
        let some = concurrently_while(work(), |number| *number < 20).await;
        let bounds = 21..=20 + MAX;
        assert!(bounds.contains(&some.len()), "{some:?}");
        assert_eq!(some, all[..some.len()]);
    }
}
