//! Waiting for what happens, in place of a time by which it should have.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::daemon::PATIENCE;

/// Waits until `condition` holds; it panics where that never happens.
#[track_caller]
pub(crate) fn becomes(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let look = async {
            while !condition() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let held = timeout(PATIENCE, look).await;
        assert!(held.is_ok(), "{caller}: it never happens");
    }
}

/// Waits until `count` no longer grows, and returns it.
///
/// It is hasty where the machine is slow: of what it returns, only an upper bound may be asserted.
pub(crate) async fn standstill(count: impl Fn() -> u64) -> u64 {
    let mut before = count();
    loop {
        sleep(Duration::from_millis(300)).await;
        let now = count();
        if now == before {
            return now;
        }
        before = now;
    }
}
