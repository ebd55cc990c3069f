//! How often each kind of fault has happened.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident $name:literal;)*) => {
        /// The kinds of faults, as they are counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];

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
    /// A connection was closed in an orderly way, too early.
    Close "close";
    /// One direction of a connection stood still.
    Stall "stall";
    /// A byte was changed.
    Flip "flip";
    /// A read or a write moved less than it was asked to.
    Short "short";
}

const KINDS: usize = Kind::ALL.len();

/// Counts faults as they happen, from any thread. A fault that was planned and never met is not counted.
#[derive(Debug, Default)]
pub struct Counters([AtomicU64; KINDS]);

impl Counters {
    pub(super) fn add(&self, kind: Kind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What has happened so far.
    pub fn snapshot(&self) -> Counts {
        Counts(std::array::from_fn(|index| self.0[index].load(Ordering::Relaxed)))
    }
}

/// How often each kind of fault had happened at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; KINDS]);

impl Counts {
    /// How often `kind` had happened.
    pub fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// How often anything had happened.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// These and those.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index] + other.0[index]))
    }
}

/// `3 reset, 1 flip`, the kinds that happened only, or `none`.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for kind in Kind::ALL {
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
    use super::*;

    #[test]
    fn each_kind_has_its_own_count() {
        let counters = Counters::default();
        assert_eq!(counters.snapshot().to_string(), "none");
        for (times, kind) in Kind::ALL.iter().enumerate() {
            (0..times).for_each(|_| counters.add(*kind));
        }
        let counts = counters.snapshot();
        assert_eq!(counts.of(Kind::Refuse), 0);
        assert_eq!(counts.of(Kind::Short), 6);
        assert_eq!(counts.plus(&counts).total(), 42);
        assert_eq!(
            counts.to_string(),
            "1 hang, 2 reset, 3 close, 4 stall, 5 flip, 6 short"
        );
    }
}
