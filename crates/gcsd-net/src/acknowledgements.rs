//! A clock's view of a stream that somebody else holds.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::stream::Stream;

/// Whether a peer keeps acknowledging what it was sent, for a clock that would give it up otherwise.
///
/// A stream inside an HTTP connection, or one that was split, cannot be asked from outside. So its owner answers
/// when it is polled, and does not touch the kernel unless a clock has asked:
///
/// ```
/// use gcsd_net::Acknowledgements;
///
/// let acknowledgements = Acknowledgements::default();
/// acknowledgements.ask();
/// // ... the stream is polled:
/// acknowledgements.answer(|| Some(1000));
/// assert!(acknowledgements.advanced());
/// assert!(!acknowledgements.advanced(), "not since then");
/// ```
#[derive(Debug, Default)]
pub struct Acknowledgements {
    asked: AtomicBool,
    /// What [`Stream::acknowledged`] said last.
    told: AtomicU64,
    /// What it had said when the clock looked last.
    seen: AtomicU64,
}

impl Acknowledgements {
    /// How often a clock looks within the time that it allows: a peer that has stopped is given up later by at most
    /// this part of it.
    pub const LOOKS: u32 = 8;

    /// Has the stream's holder look when it polls it next.
    pub fn ask(&self) {
        self.asked.store(true, Relaxed);
    }

    /// Looks, if that was asked for.
    pub fn answer(&self, acknowledged: impl FnOnce() -> Option<u64>) {
        if self.asked.load(Relaxed) {
            self.asked.store(false, Relaxed);
            if let Some(acknowledged) = acknowledged() {
                self.told.store(acknowledged, Relaxed);
            }
        }
    }

    /// Looks at `stream` now.
    pub fn look(&self, stream: &dyn Stream) {
        self.ask();
        self.answer(|| stream.acknowledged());
    }

    /// Whether the last answer was another than when this was called before.
    pub fn advanced(&self) -> bool {
        let told = self.told.load(Relaxed);
        self.seen.swap(told, Relaxed) != told
    }
}
