//! When to try again, and when to give up: full jitter, and a budget that counts from the last committed byte.
//!
//! It has no clock of its own: whoever asks tells it the time.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use super::options::RetryPolicy;

/// The failures since the last committed byte.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    cap: Duration,
    budget: Duration,
    random: SplitMix,
    failures: u32,
    /// Time spent since the first of them, up to `since`.
    spent: Duration,
    /// When the clock was last started; `None` while it stands still.
    since: Option<Instant>,
}

/// What a failure leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wait, then go on.
    Wait(Duration),
    /// The budget is spent, or would be before the wait is over.
    GiveUp { tries: u32, spent: Duration },
}

impl Backoff {
    pub(crate) fn new(policy: &RetryPolicy, budget: Duration) -> Self {
        Self {
            first: policy.first,
            cap: policy.cap,
            budget,
            random: SplitMix(policy.seed.unwrap_or_else(|| RandomState::new().hash_one(0))),
            failures: 0,
            spent: Duration::ZERO,
            since: None,
        }
    }

    /// A byte was committed: everything before is forgotten.
    pub(super) fn progressed(&mut self) {
        self.failures = 0;
        self.spent = Duration::ZERO;
        self.since = None;
    }

    /// The producer has nothing to send: the time until [`busy`](Self::busy) is not ours.
    pub(super) fn idle(&mut self, now: Instant) {
        self.spent = self.spent_at(now);
        self.since = None;
    }

    /// There is something to send again.
    pub(super) fn busy(&mut self, now: Instant) {
        if self.failures > 0 {
            self.since.get_or_insert(now);
        }
    }

    /// A request failed; `asked` is how long GCS wants us to wait at least.
    pub(crate) fn failed(&mut self, now: Instant, asked: Option<Duration>) -> Verdict {
        self.failures = self.failures.saturating_add(1);
        self.busy(now);
        let spent = self.spent_at(now);
        let wait = self.jitter().max(asked.unwrap_or_default());
        if spent.saturating_add(wait) > self.budget {
            let tries = self.failures;
            return Verdict::GiveUp { tries, spent };
        }
        Verdict::Wait(wait)
    }

    fn spent_at(&self, now: Instant) -> Duration {
        let running = self
            .since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.spent.saturating_add(running)
    }

    /// Something between nothing and `first` doubled with each failure, at most `cap`.
    fn jitter(&mut self) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX);
        let bound = self.first.saturating_mul(doubled).min(self.cap);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.below(nanos))
    }
}

/// Steele, Lea and Flood's SplitMix64: small, seeded, and good enough to keep clients from marching in step.
#[derive(Debug)]
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, `bound`; 0 where that is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn backoff(seed: u64) -> Backoff {
        let policy = RetryPolicy {
            seed: Some(seed),
            ..RetryPolicy::default()
        };
        Backoff::new(&policy, policy.budget)
    }

    fn wait(verdict: Verdict) -> Duration {
        match verdict {
            Verdict::Wait(wait) => wait,
            Verdict::GiveUp { .. } => panic!("gave up: {verdict:?}"),
        }
    }

    #[test]
    fn waits_are_spread_over_a_bound_that_doubles_up_to_the_cap() {
        let now = Instant::now();
        for (failures, bound) in [(1, 1), (2, 2), (3, 4), (5, 16), (6, 32), (7, 32), (40, 32)] {
            let mut longest = Duration::ZERO;
            let mut shortest = Duration::MAX;
            for seed in 0..200 {
                let mut backoff = backoff(seed);
                let last = (0..failures).map(|_| wait(backoff.failed(now, None))).last();
                let last = last.expect("at least one failure");
                longest = longest.max(last);
                shortest = shortest.min(last);
            }
            let bound = SECOND * bound;
            assert!(longest < bound, "{failures}: {longest:?}");
            assert!(longest > bound.mul_f64(0.9), "{failures}: {longest:?}");
            assert!(shortest < bound.mul_f64(0.1), "{failures}: {shortest:?}");
        }
    }

    #[test]
    fn a_seed_repeats_the_waits() {
        let now = Instant::now();
        let run = |seed| {
            let mut backoff = backoff(seed);
            [(); 8].map(|()| wait(backoff.failed(now, None)))
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn the_budget_counts_from_the_first_failure_after_the_last_committed_byte() {
        let start = Instant::now();
        let mut backoff = backoff(1);
        wait(backoff.failed(start, None));
        wait(backoff.failed(start + SECOND * 500, None));
        backoff.progressed();
        // A request may take as long as it likes before it fails.
        wait(backoff.failed(start + SECOND * 9_000, None));
        wait(backoff.failed(start + SECOND * 9_500, None));
        let end = backoff.failed(start + SECOND * 9_601, None);
        assert_eq!(
            end,
            Verdict::GiveUp {
                tries: 3,
                spent: SECOND * 601
            }
        );
    }

    #[test]
    fn the_clock_does_not_run_while_the_producer_is_slow() {
        let start = Instant::now();
        let mut backoff = backoff(1);
        wait(backoff.failed(start, None));
        backoff.idle(start + SECOND * 10);
        backoff.busy(start + SECOND * 10_000);
        wait(backoff.failed(start + SECOND * 10_100, None));
        let end = backoff.failed(start + SECOND * 10_591, None);
        assert_eq!(
            end,
            Verdict::GiveUp {
                tries: 3,
                spent: SECOND * 601
            }
        );
        // Nothing to count before anything failed.
        backoff.progressed();
        backoff.idle(start);
        backoff.busy(start + SECOND);
        assert_eq!(backoff.spent_at(start + SECOND * 99), Duration::ZERO);
    }

    #[test]
    fn what_gcs_asks_for_is_waited_for_or_not_at_all() {
        let now = Instant::now();
        assert_eq!(
            backoff(1).failed(now, Some(SECOND * 120)),
            Verdict::Wait(SECOND * 120)
        );
        let longer = backoff(1).failed(now, Some(SECOND * 601));
        assert_eq!(
            longer,
            Verdict::GiveUp {
                tries: 1,
                spent: Duration::ZERO
            }
        );
    }
}
