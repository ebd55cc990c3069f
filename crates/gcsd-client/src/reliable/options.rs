//! How a [`ReliableWriter`](super::ReliableWriter) cuts, holds and waits.

use std::time::Duration;

use tokio::sync::Semaphore;

use super::jitter::Jitter;
use gcsd_types::CHUNK_ALIGNMENT;

/// The settings of a [`ReliableWriter`](super::ReliableWriter).
///
/// ```
/// use gcsd_client::WriterOptions;
///
/// let options = WriterOptions::default()
///     .with_chunks(256 << 10, 4 << 20)
///     .with_max_held(8 << 20);
/// options.check()?;
/// assert!(options.with_max_held(256 << 10).check().is_err());
/// # Ok::<(), gcsd_client::OptionsError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriterOptions {
    /// The fewest bytes that are sent before the object's end is known: a multiple of 256 KiB.
    ///
    /// While one request is under way the producer fills the next, so that requests grow by themselves as far as
    /// the way to GCS asks for it.
    pub min_chunk: u64,
    /// The most bytes of one request: a multiple of 256 KiB. Only the last may be no such multiple.
    pub max_chunk: u64,
    /// The most bytes held for resending; further writes wait. At least `min_chunk` + 512 KiB.
    ///
    /// What counts is the bytes themselves: a [`Bytes`](bytes::Bytes) that is a part of something larger keeps all
    /// of that alive.
    pub max_held: usize,
    /// When to try again, and when to give up.
    pub retries: RetryPolicy,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            min_chunk: 1 << 20,
            max_chunk: 16 << 20,
            max_held: 32 << 20,
            retries: RetryPolicy::default(),
        }
    }
}

/// When to try again, and when to give up.
///
/// ```
/// use std::time::Duration;
///
/// use gcsd_client::RetryPolicy;
///
/// let patient = RetryPolicy::default().with_budget(Duration::from_secs(24 * 3600));
/// let none = RetryPolicy::default().with_budget(Duration::ZERO).with_max_restarts(0);
/// assert!(none.budget < patient.budget);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The longest wait after the first failure. The waits are random between nothing and a bound that doubles with
    /// each failure (full jitter).
    pub first: Duration,
    /// The longest that the bound grows to. What GCS asks for (`Retry-After`) is waited for even if it is longer.
    pub cap: Duration,
    /// How long may go by from the first failure on without one more byte committed, looks at what is there included.
    /// Neither a slow producer nor a slow request that has not failed counts.
    pub budget: Duration,
    /// How long what comes behind the budget may take, all of it together: a last look at what is there where an answer was
    /// lost, and then an [`abort`](super::ReliableWriter::abort), which somebody waits for. What GCS does not answer by then
    /// is given up.
    pub abort_budget: Duration,
    /// How many times an upload may begin again from byte 0.
    pub max_restarts: u32,
    /// Where the random part of the waits comes from.
    pub jitter: Jitter,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(32),
            budget: Duration::from_secs(600),
            abort_budget: Duration::from_secs(30),
            max_restarts: 3,
            jitter: Jitter::default(),
        }
    }
}

impl RetryPolicy {
    /// Waits up to `first` after the first failure, up to twice as long after the second, and so on, and never up to
    /// more than `cap`.
    #[must_use]
    pub fn with_waits(mut self, first: Duration, cap: Duration) -> Self {
        (self.first, self.cap) = (first, cap);
        self
    }

    /// Bounds the time from the first failure on without one more byte committed.
    #[must_use]
    pub fn with_budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Bounds the time of what comes behind the budget.
    #[must_use]
    pub fn with_abort_budget(mut self, budget: Duration) -> Self {
        self.abort_budget = budget;
        self
    }

    /// Bounds how many times an upload may begin again from byte 0.
    #[must_use]
    pub fn with_max_restarts(mut self, restarts: u32) -> Self {
        self.max_restarts = restarts;
        self
    }

    /// Where the random part of the waits comes from.
    #[must_use]
    pub fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }
}

/// Options that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// `min_chunk` or `max_chunk` is not a multiple of 256 KiB, or 0.
    #[error("a chunk of {0} bytes is not a multiple of 262144")]
    Alignment(u64),
    /// `min_chunk` is greater than `max_chunk`.
    #[error("min_chunk is {min} and max_chunk only {max}")]
    Order {
        /// The one.
        min: u64,
        /// The other.
        max: u64,
    },
    /// `max_held` cannot hold what a request needs, or is more than can be counted.
    #[error("max_held is {held}: it must lie between min_chunk + 524288, which is {least}, and {most}")]
    Held {
        /// What was asked for.
        held: usize,
        /// The least.
        least: u64,
        /// The most.
        most: usize,
    },
}

impl WriterOptions {
    /// Requests of `min` to `max` bytes, both a multiple of 256 KiB.
    #[must_use]
    pub fn with_chunks(mut self, min: u64, max: u64) -> Self {
        (self.min_chunk, self.max_chunk) = (min, max);
        self
    }

    /// Bounds the bytes held for resending.
    #[must_use]
    pub fn with_max_held(mut self, bytes: usize) -> Self {
        self.max_held = bytes;
        self
    }

    /// When to try again, and when to give up.
    #[must_use]
    pub fn with_retries(mut self, retries: RetryPolicy) -> Self {
        self.retries = retries;
        self
    }

    /// Whether they can work.
    pub fn check(&self) -> Result<(), OptionsError> {
        for chunk in [self.min_chunk, self.max_chunk] {
            if chunk == 0 || !chunk.is_multiple_of(CHUNK_ALIGNMENT) {
                return Err(OptionsError::Alignment(chunk));
            }
        }
        let (min, max) = (self.min_chunk, self.max_chunk);
        if min > max {
            return Err(OptionsError::Order { min, max });
        }
        // A producer that waits has left out less than 256 KiB, and what cannot be sent is less than that beyond
        // `min_chunk`: with less room, both would wait for each other.
        let least = min.saturating_add(2 * CHUNK_ALIGNMENT);
        let (held, most) = (self.max_held, Semaphore::MAX_PERMITS);
        if held > most || u64::try_from(held).is_ok_and(|held| held < least) {
            return Err(OptionsError::Held { held, least, most });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let check = |min_chunk, max_chunk, max_held| {
            let options = WriterOptions {
                min_chunk,
                max_chunk,
                max_held,
                ..WriterOptions::default()
            };
            options.check()
        };
        const KIB: u64 = 1024;
        assert_eq!(WriterOptions::default().check(), Ok(()));
        assert_eq!(check(256 * KIB, 256 * KIB, 768 << 10), Ok(()));
        assert_eq!(check(0, 256 * KIB, 1 << 20), Err(OptionsError::Alignment(0)));
        assert_eq!(
            check(256 * KIB, 257 * KIB, 1 << 20),
            Err(OptionsError::Alignment(257 * KIB))
        );
        assert!(matches!(
            check(512 * KIB, 256 * KIB, 1 << 20),
            Err(OptionsError::Order { .. })
        ));
        assert!(matches!(
            check(256 * KIB, 256 * KIB, (768 << 10) - 1),
            Err(OptionsError::Held { .. })
        ));
        assert!(matches!(
            check(256 * KIB, 256 * KIB, usize::MAX),
            Err(OptionsError::Held { .. })
        ));
    }
}
