//! The one loop that makes a request again, and the policy behind every other one.

use std::future::{Future, ready};
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::Error;
use super::backoff::{Backoff, Verdict};
use super::given_up::GivenUp;
use super::options::RetryPolicy;
use gcsd_wire::Retry;

/// The failures of some work since its last progress: says whether and when to try again.
#[derive(Debug)]
pub(super) struct Attempts(Backoff);

impl Attempts {
    /// No failures yet. From the first on, `budget` may pass without progress.
    pub(super) fn new(policy: &RetryPolicy, budget: Duration) -> Self {
        Self(Backoff::new(policy, budget))
    }

    /// The budget runs from now on, if it does not yet.
    pub(super) fn begin(&mut self) {
        self.0.begin(Instant::now());
    }

    /// What is left of the budget.
    pub(super) fn left(&self) -> Duration {
        self.0.left(Instant::now())
    }

    /// There was progress: everything before is forgotten.
    pub(super) fn progressed(&mut self) {
        self.0.progressed();
    }

    /// The producer has nothing to send: the time until [`busy`](Self::busy) does not count.
    pub(super) fn idle(&mut self) {
        self.0.idle(Instant::now());
    }

    /// The producer has something to send again.
    pub(super) fn busy(&mut self) {
        self.0.busy(Instant::now());
    }

    /// Counts a failure. Returns how long to wait before the next attempt, if one can help.
    pub(super) fn failed(&mut self, error: &Error) -> Result<Duration, GivenUp> {
        if error.retry() == Retry::Never {
            return Err(GivenUp::Refused(error.clone()));
        }
        match self.0.failed(Instant::now(), error.retry_after()) {
            Verdict::Wait(delay) => Ok(delay),
            Verdict::GiveUp { tries, spent } => Err(GivenUp::Exhausted {
                error: error.clone(),
                tries,
                spent,
            }),
        }
    }
}

/// A request that can be made again. A closure that makes it is one.
pub(crate) trait Repeatable: Send {
    /// What it is answered with.
    type Answer: Send;

    /// Makes it once.
    fn attempt(&mut self) -> impl Future<Output = Result<Self::Answer, Error>> + Send;

    /// Whether an attempt that failed so may have been carried out.
    fn may_have_happened(&self, error: &Error) -> bool {
        error.may_have_happened()
    }

    /// Looks at a failed attempt before the request is made again or given up, and can end it with an answer: the error may
    /// show that the request was carried out before, or something else that is asked may.
    fn examine(&mut self, _failed: Failed) -> impl Future<Output = ControlFlow<Self::Answer>> + Send {
        ready(ControlFlow::Continue(()))
    }
}

impl<R, F, T> Repeatable for R
where
    R: FnMut() -> F + Send,
    F: Future<Output = Result<T, Error>> + Send,
    T: Send,
{
    type Answer = T;

    fn attempt(&mut self) -> impl Future<Output = Result<T, Error>> + Send {
        self()
    }
}

/// When `patience` is over.
pub(crate) fn after(patience: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);
    Instant::now() + patience.min(FAR)
}

/// A failed attempt.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// There will be no other attempt.
    pub(crate) last: bool,
    /// This attempt or an earlier one may have been carried out.
    pub(crate) unsure: bool,
    /// What is left of the time for the request.
    pub(crate) left: Duration,
}

/// Makes a request until it succeeds, is refused, or has failed for too long.
pub(crate) struct Retrier<C> {
    attempts: Attempts,
    unsure: bool,
    recovered: C,
}

impl<C: FnMut(&Error)> Retrier<C> {
    /// From its first failure on, the request may take `budget`. `recovered` is called with each failure after which it is
    /// made again.
    pub(crate) fn new(policy: &RetryPolicy, budget: Duration, recovered: C) -> Self {
        Self {
            attempts: Attempts::new(policy, budget),
            unsure: false,
            recovered,
        }
    }

    /// With `true`, the request may have been carried out before, by another process.
    pub(crate) fn unsure(self, unsure: bool) -> Self {
        Self { unsure, ..self }
    }

    /// Its first attempt takes of the budget, too: it belongs to something that has failed already.
    pub(crate) fn at_once(mut self) -> Self {
        self.attempts.begin();
        self
    }

    /// Makes `request`.
    pub(crate) async fn run<R: Repeatable>(mut self, mut request: R) -> Result<R::Answer, GivenUp> {
        loop {
            let error = match request.attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.unsure |= request.may_have_happened(&error);
            let next = self.attempts.failed(&error);
            let failed = Failed {
                error: error.clone(),
                last: next.is_err(),
                unsure: self.unsure,
                left: self.attempts.left(),
            };
            if let ControlFlow::Break(answer) = request.examine(failed).await {
                return Ok(answer);
            }
            let delay = next?;
            (self.recovered)(&error);
            sleep(delay).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::tests::seeded;
    use super::*;
    use gcsd_wire::Kind;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> RetryPolicy {
        RetryPolicy {
            jitter: seeded(1),
            ..RetryPolicy::default()
        }
    }

    fn retrier() -> Retrier<impl FnMut(&Error)> {
        Retrier::new(&policy(), SECOND * 600, |_| {})
    }

    fn error(kind: Kind, retry: Retry) -> Error {
        Error::of(kind, retry, "scripted")
    }

    /// A request that fails with each of the errors, and then succeeds.
    #[derive(Default)]
    struct Scripted {
        errors: VecDeque<Error>,
        calls: usize,
        /// What is examined; the last failure is answered.
        examined: Option<Vec<(bool, bool)>>,
    }

    impl Scripted {
        fn new(errors: impl IntoIterator<Item = Error>) -> Self {
            Self {
                errors: errors.into_iter().collect(),
                ..Self::default()
            }
        }
    }

    impl Repeatable for &mut Scripted {
        type Answer = &'static str;

        async fn attempt(&mut self) -> Result<&'static str, Error> {
            self.calls += 1;
            self.errors.pop_front().map_or(Ok("done"), Err)
        }

        async fn examine(&mut self, failed: Failed) -> ControlFlow<&'static str> {
            let Some(examined) = &mut self.examined else {
                return ControlFlow::Continue(());
            };
            examined.push((failed.last, failed.unsure));
            match failed.last {
                true => ControlFlow::Break("found"),
                false => ControlFlow::Continue(()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_made_until_it_succeeds_and_each_failure_is_counted() {
        let classes = [Retry::Same, Retry::Query, Retry::Restart, Retry::Reconnect];
        let mut request = Scripted::new(classes.map(|retry| error(Kind::Unavailable, retry)));
        let mut counted = Vec::new();
        let retrier = Retrier::new(&policy(), SECOND * 600, |error: &Error| {
            counted.push(error.retry());
        });
        assert_eq!(retrier.run(&mut request).await, Ok("done"));
        assert_eq!((request.calls, counted), (5, classes.to_vec()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_the_end_at_once() {
        let refused = error(Kind::Forbidden, Retry::Never);
        let mut request = Scripted::new([refused.clone()]);
        let start = Instant::now();
        let result = retrier().run(&mut request).await;
        assert_eq!(result, Err(GivenUp::Refused(refused)));
        assert_eq!((request.calls, start.elapsed()), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_is_kept_to() {
        let start = Instant::now();
        let unavailable = error(Kind::Unavailable, Retry::Same);
        let result = retrier().run(|| ready(Err::<(), _>(unavailable.clone()))).await;
        let Err(GivenUp::Exhausted { error, tries, spent }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(error, unavailable);
        // The clock of the test has steps of 1 ms.
        let kept = SECOND * 600..SECOND * 601;
        assert!(tries > 20 && kept.contains(&spent), "{tries} {spent:?}");
        assert!(kept.contains(&start.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_gcs_asks_to_wait_is_waited() {
        let reply = gcsd_wire::ErrorReply {
            retry_after_ms: 120_000,
            ..Default::default()
        };
        let status = gcsd_wire::Status::new(Kind::RateLimited, Retry::Same);
        let asked = crate::StatusError::new(status, 429, reply).into();
        let start = Instant::now();
        let mut request = Scripted::new([asked]);
        assert_eq!(retrier().run(&mut request).await, Ok("done"));
        assert_eq!(start.elapsed(), SECOND * 120);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_examines_knows_whether_the_request_may_have_been_carried_out() {
        let not_sent = error(Kind::ConnectFailed, Retry::Same);
        let may = error(Kind::Unavailable, Retry::Same);
        let refused = error(Kind::NotFound, Retry::Never);
        for (first, before, unsure) in [
            (not_sent.clone(), false, false),
            (may, false, true),
            (not_sent, true, true),
        ] {
            let mut request = Scripted::new([first.clone(), refused.clone()]);
            request.examined = Some(Vec::new());
            let result = retrier().unsure(before).run(&mut request).await;
            assert_eq!(result, Ok("found"));
            let examined = request.examined.unwrap_or_default();
            assert_eq!(examined, [(false, unsure), (true, unsure)], "{first:?}");
        }
    }
}
