//! When to try again, and when to give up: exponential backoff with full jitter, within a budget that starts anew with
//! each progress.
//!
//! It has no clock of its own: the caller passes the time.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::options::RetryPolicy;

/// The failures since the last progress.
pub(super) struct Backoff {
    first: Duration,
    cap: Duration,
    budget: Duration,
    random: Box<dyn FnMut() -> u64 + Send>,
    failures: u32,
    /// Time spent since the first of them, up to `since`.
    spent: Duration,
    /// When the clock was last started; `None` while it stands still.
    since: Option<Instant>,
}

/// What a failure leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Wait, then continue.
    Wait(Duration),
    /// The budget is spent, or would be before GCS wants to be asked again.
    GiveUp { tries: u32, spent: Duration },
}

impl Backoff {
    pub(super) fn new(policy: &RetryPolicy, budget: Duration) -> Self {
        Self {
            first: policy.first,
            cap: policy.cap,
            budget,
            random: policy.jitter.numbers(),
            failures: 0,
            spent: Duration::ZERO,
            since: None,
        }
    }

    /// There was progress: everything before is forgotten.
    pub(super) fn progressed(&mut self) {
        self.failures = 0;
        self.spent = Duration::ZERO;
        self.since = None;
    }

    /// The clock runs from `now` on, if it does not yet: there was a failure, or there is no more time than the budget.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// What is left of the budget.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.budget.saturating_sub(self.spent_at(now))
    }

    /// The producer has nothing to send: the time until [`busy`](Self::busy) does not count.
    pub(super) fn idle(&mut self, now: Instant) {
        self.spent = self.spent_at(now);
        self.since = None;
    }

    /// The producer has something to send again.
    pub(super) fn busy(&mut self, now: Instant) {
        if self.failures > 0 {
            self.since.get_or_insert(now);
        }
    }

    /// A request failed; `asked` is how long GCS wants us to wait at least.
    ///
    /// A wait that would be longer than what is left of the budget is cut to that, for a last try at its end.
    pub(super) fn failed(&mut self, now: Instant, asked: Option<Duration>) -> Verdict {
        self.failures = self.failures.saturating_add(1);
        self.busy(now);
        let spent = self.spent_at(now);
        let left = self.left(now);
        let asked = asked.unwrap_or_default();
        if left.is_zero() || asked > left {
            let tries = self.failures;
            return Verdict::GiveUp { tries, spent };
        }
        Verdict::Wait(self.jitter().min(left).max(asked))
    }

    fn spent_at(&self, now: Instant) -> Duration {
        let running = self
            .since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.spent.saturating_add(running)
    }

    /// A random wait below `first` doubled with each failure, at most `cap`.
    fn jitter(&mut self) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX);
        let bound = self.first.saturating_mul(doubled).min(self.cap);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        // The number as a fraction of all of them.
        let product = u128::from((self.random)()) * u128::from(nanos);
        Duration::from_nanos(u64::try_from(product >> 64).unwrap_or(0))
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff")
            .field("failures", &self.failures)
            .field("spent", &self.spent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::seeded;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn backoff(seed: u64) -> Backoff {
        let policy = RetryPolicy {
            jitter: seeded(seed),
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
    fn the_budget_is_kept_to_its_end() {
        let start = Instant::now();
        for seed in 0..100 {
            let policy = RetryPolicy {
                jitter: seeded(seed),
                ..RetryPolicy::default()
            };
            let mut backoff = Backoff::new(&policy, SECOND * 4);
            let mut now = start;
            // Each try fails at once.
            let spent = loop {
                match backoff.failed(now, None) {
                    Verdict::Wait(wait) => now += wait,
                    Verdict::GiveUp { spent, .. } => break spent,
                }
                assert!(now - start <= SECOND * 4, "{seed}");
            };
            assert_eq!((spent, now - start), (SECOND * 4, SECOND * 4), "{seed}");
        }
        // Nothing at all is left of none.
        let mut none = Backoff::new(&RetryPolicy::default(), Duration::ZERO);
        let spent = Duration::ZERO;
        assert_eq!(none.failed(start, None), Verdict::GiveUp { tries: 1, spent });
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
