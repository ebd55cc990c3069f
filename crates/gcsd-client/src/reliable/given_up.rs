//! A request that is not made again.

use std::time::Duration;

use super::super::{Error, Seen};

/// Why a request is not made again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GivenUp {
    /// It was refused, and would be again.
    #[error(transparent)]
    Refused(Error),
    /// It failed for as long as the [`RetryPolicy`](super::RetryPolicy) allows.
    #[error("gave up after {tries} failure{} and {} s", if *tries == 1 { "" } else { "s" }, spent.as_secs())]
    Exhausted {
        /// The last failure.
        #[source]
        error: Error,
        /// How many failures there were since it last made progress.
        tries: u32,
        /// How long ago the first of them was; the time of a slow producer does not count.
        spent: Duration,
    },
    /// **It may have been carried out.** An answer was lost, and what is there now does not tell.
    #[error("it is unknown whether this was done: {seen}")]
    Unknown {
        /// The last failure.
        #[source]
        error: Error,
        /// What is there.
        seen: Box<Seen>,
    },
}

impl GivenUp {
    /// The last failure.
    pub fn error(&self) -> &Error {
        match self {
            Self::Refused(error) | Self::Exhausted { error, .. } | Self::Unknown { error, .. } => error,
        }
    }

    /// Whether it is unknown what became of the request.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// That `error` leaves it unknown, since the look at what is there was given up, too.
    pub(crate) fn unseen(self, error: Error) -> Self {
        let seen = Box::new(Seen::Unseen(self.error().clone()));
        Self::Unknown { error, seen }
    }

    /// An answer that makes no sense.
    pub(super) fn bad_response(message: impl Into<String>) -> Self {
        Self::Refused(Error::bad_response(message))
    }
}
