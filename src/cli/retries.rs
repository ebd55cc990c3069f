//! How long a command keeps trying after failures.

use std::time::Duration;

use clap::Args;

use super::units;
use gcsd_client::RetryPolicy;

/// How long a last look and clearing up may take behind the time for trying again: somebody waits for it.
const GRACE: Duration = Duration::from_secs(10);

/// The least of it, where there is hardly any time for trying again.
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// When to give up.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Failures")]
pub(super) struct Patience {
    /// How long to try again while it gets no further, not by one byte; 0 gives up at the first failure. Behind that, a last
    /// look at what is there and clearing up take at most as long again, and no more than 10s (2s, where TIME is less)
    /// [default: 10m, and 5s for the first connection to a daemon].
    #[arg(long, value_name = "TIME", value_parser = units::duration, env = "GCSD_RETRY_FOR")]
    retry_for: Option<Duration>,
}

/// How long to try where nobody says.
const RETRY_FOR: Duration = Duration::from_secs(600);

/// How long to wait for a daemon that never was there: one that starts at the same time has begun to listen by then.
const FIRST_CONTACT: Duration = Duration::from_secs(5);

impl Patience {
    /// As the library has it.
    pub(super) fn policy(&self) -> RetryPolicy {
        RetryPolicy::default()
            .with_budget(self.retry_for())
            .with_abort_budget(self.retry_for().clamp(LEAST_GRACE, GRACE))
    }

    fn retry_for(&self) -> Duration {
        self.retry_for.unwrap_or(RETRY_FOR)
    }

    /// How long to wait for the first connection.
    pub(super) fn first_contact(&self) -> Duration {
        self.retry_for.unwrap_or(FIRST_CONTACT)
    }

    /// Whether somebody said how long.
    pub(super) fn is_given(&self) -> bool {
        self.retry_for.is_some()
    }

    /// What a failure leads to, for people.
    pub(super) fn outlook(&self) -> String {
        format!(
            "trying again, for up to {}",
            units::show_duration(self.retry_for())
        )
    }
}

/// When to give up an upload.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Failures")]
pub(super) struct Retries {
    #[command(flatten)]
    pub(super) patience: Patience,
    /// How often an upload may begin again from its first byte, where nothing else helps.
    #[arg(long, value_name = "N", default_value_t = 3)]
    max_restarts: u32,
}

impl Retries {
    /// As the library has it.
    pub(super) fn policy(&self) -> RetryPolicy {
        self.patience.policy().with_max_restarts(self.max_restarts)
    }

    /// The same for an upload that an earlier run began: whether it begins again is for whoever started this one to say.
    pub(super) fn resuming(&self) -> RetryPolicy {
        self.policy().with_max_restarts(0)
    }
}
