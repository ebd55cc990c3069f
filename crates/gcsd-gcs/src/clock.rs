//! How long each side of an exchange may keep the other waiting.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use gcsd_net::Acknowledgements;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long an answer may take to arrive after a write failed: it has been received already, or never will be.
const BROKEN_GRACE: Duration = Duration::from_secs(1);

/// How long each side may keep the other waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// GCS, or its network.
    pub(super) stall: Duration,
    /// The body's source.
    pub(super) source: Duration,
}

/// Who must move next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitingFor {
    Gcs,
    Source,
    /// A write failed: only bytes that were received before can still be read.
    Nobody,
}

/// What moves during an exchange. Any change restarts the clock, and so does what GCS acknowledges while it is waited
/// for: a slow link drains for long after the socket took the last byte.
///
/// What the server sends is left out: a head that trickles in would keep the exchange alive for ever, and
/// each chunk of a body ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Activity {
    pub(super) waiting_for: WaitingFor,
    pub(super) source: u64,
    pub(super) sent: u64,
}

/// Both clocks: only that of the side that is waited for runs.
pub(super) struct Clock {
    pub(super) limits: Limits,
    last: Option<Activity>,
    since: Instant,
    /// Made at the first wait, for the first look at what was acknowledged. May be set too early, never too late.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            last: None,
            since: Instant::now(),
            alarm: None,
        }
    }

    /// Starts anew: time that passed while nobody was waiting does not count.
    pub(super) fn restart(&mut self) {
        self.last = None;
    }

    /// Ready when the side that is waited for has let its time pass.
    ///
    /// `acknowledged` says whether GCS has acknowledged more since it was called last. It is called a few times within a
    /// limit.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        activity: Activity,
        mut acknowledged: impl FnMut(&mut Context<'_>) -> bool,
    ) -> Poll<()> {
        if self.last != Some(activity) {
            self.last = Some(activity);
            self.since = Instant::now();
        }
        let limit = match activity.waiting_for {
            WaitingFor::Gcs => self.limits.stall,
            WaitingFor::Source => self.limits.source,
            WaitingFor::Nobody => self.limits.stall.min(BROKEN_GRACE),
        };
        let look = limit / Acknowledgements::LOOKS;
        let mut deadline = self.since + limit;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + look)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if activity.waiting_for == WaitingFor::Gcs && acknowledged(cx) {
                self.since = now;
                deadline = now + limit;
            }
            if now >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline.min(now + look));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        stall: Duration::from_secs(80),
        source: Duration::from_secs(40),
    };

    /// How many seconds the clock waits while GCS acknowledges more at each of the first `looks` looks.
    async fn waits(waiting_for: WaitingFor, looks: u32) -> u64 {
        let begun = Instant::now();
        let mut clock = Clock::new(LIMITS);
        let mut left = looks;
        let activity = Activity {
            waiting_for,
            source: 0,
            sent: 0,
        };
        std::future::poll_fn(|cx| {
            clock.poll(cx, activity, |_| {
                let more = left > 0;
                left = left.saturating_sub(1);
                more
            })
        })
        .await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn what_gcs_acknowledges_is_progress() {
        assert_eq!(waits(WaitingFor::Gcs, 0).await, 80);
        // It looks every ten seconds.
        assert_eq!(waits(WaitingFor::Gcs, 1).await, 10 + 80);
        assert_eq!(waits(WaitingFor::Gcs, 30).await, 300 + 80);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_else_is_excused_by_it() {
        assert_eq!(waits(WaitingFor::Source, 30).await, 40);
        assert_eq!(waits(WaitingFor::Nobody, 30).await, 1);
    }
}
