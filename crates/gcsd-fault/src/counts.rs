//! How often each kind of fault happens.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident $name:literal;)*) => {
        /// A kind of fault that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum FaultKind {
            $($(#[doc = $doc])+ $kind,)*
        }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [FaultKind] = &[$(FaultKind::$kind),*];

            /// The kind's word in the text of a plan.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// A connect was refused.
    Refuse "refuse";
    /// A connect hung.
    Hang "hang";
    /// A connection was reset.
    Reset "reset";
    /// A connection was closed too early.
    Close "close";
    /// One direction of a connection stalled.
    Stall "stall";
    /// Bits of a byte were flipped.
    Flip "flip";
    /// A read or a write moved less than it was asked for.
    Short "short";
}

const KINDS: usize = FaultKind::ALL.len();

/// Counts faults when they happen, from any thread.
#[derive(Debug, Default)]
pub struct Counters([AtomicU64; KINDS]);

impl Counters {
    pub(crate) fn add(&self, kind: FaultKind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn snapshot(&self) -> Counts {
        Counts(std::array::from_fn(|index| self.0[index].load(Ordering::Relaxed)))
    }
}

/// How often each kind of fault had happened, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; KINDS]);

impl Counts {
    /// How often `kind` had happened.
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.0[kind as usize]
    }

    /// How many faults had happened.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The sums of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index] + other.0[index]))
    }
}

/// `3 reset, 1 flip`: only the kinds that happened, or `none`.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for kind in FaultKind::ALL {
            let count = self.of(*kind);
            if count > 0 {
                write!(f, "{separator}{count} {}", kind.name())?;
                separator = ", ";
            }
        }
        if separator.is_empty() {
            f.write_str("none")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::*;

    #[test]
    fn each_kind_has_its_own_count() {
        let counters = Counters::default();
        assert_eq!(counters.snapshot().to_string(), "none");
        for (times, kind) in FaultKind::ALL.iter().enumerate() {
            (0..times).for_each(|_| counters.add(*kind));
        }
        let counts = counters.snapshot();
        assert_eq!(counts.of(FaultKind::Refuse), 0);
        assert_eq!(counts.of(FaultKind::Short), 6);
        assert_eq!(counts.plus(&counts).total(), 42);
        assert_eq!(
            counts.to_string(),
            "1 hang, 2 reset, 3 close, 4 stall, 5 flip, 6 short"
        );
    }
}
