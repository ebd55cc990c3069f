//! A part of an object's bytes.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

/// Which bytes of an object: `0..100`, `100..`, `..=99` and the like, or [`Suffix`](Self::Suffix).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From an offset to the object's end.
    From(u64),
    /// `len` bytes (not 0) from an offset, or as many as there are.
    Of {
        /// The first byte.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
    /// The last bytes (not 0), or as many as there are.
    Suffix(u64),
}

impl ByteRange {
    /// Whether it asks for no byte at all, as `5..5` does. GCS has no such range.
    pub fn is_empty(self) -> bool {
        matches!(self, Self::Of { len: 0, .. } | Self::Suffix(0))
    }
}

/// All bytes.
impl Default for ByteRange {
    fn default() -> Self {
        Self::From(0)
    }
}

impl From<RangeFull> for ByteRange {
    fn from(_: RangeFull) -> Self {
        Self::From(0)
    }
}

impl From<RangeFrom<u64>> for ByteRange {
    fn from(range: RangeFrom<u64>) -> Self {
        Self::From(range.start)
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self::Of {
            offset: range.start,
            len: range.end.saturating_sub(range.start),
        }
    }
}

impl From<RangeTo<u64>> for ByteRange {
    fn from(range: RangeTo<u64>) -> Self {
        (0..range.end).into()
    }
}

/// An end of `u64::MAX` counts as one less: no object is that large.
impl From<RangeInclusive<u64>> for ByteRange {
    fn from(range: RangeInclusive<u64>) -> Self {
        (*range.start()..range.end().saturating_add(1)).into()
    }
}

impl From<RangeToInclusive<u64>> for ByteRange {
    fn from(range: RangeToInclusive<u64>) -> Self {
        (0..=range.end).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_language() {
        let of = |offset, len| ByteRange::Of { offset, len };
        assert_eq!(ByteRange::from(..), ByteRange::default());
        assert_eq!(ByteRange::from(7..), ByteRange::From(7));
        assert_eq!(ByteRange::from(7..10), of(7, 3));
        assert_eq!(ByteRange::from(7..=10), of(7, 4));
        assert_eq!(ByteRange::from(..10), of(0, 10));
        assert_eq!(ByteRange::from(..=10), of(0, 11));
        assert_eq!(ByteRange::from(1..=u64::MAX), of(1, u64::MAX - 1));
        // One that ends before it begins must not become one that never ends.
        for end in [7, 3, 0] {
            assert!(ByteRange::from(7..end).is_empty());
        }
        assert!(ByteRange::Suffix(0).is_empty());
        for some in [ByteRange::From(0), ByteRange::Suffix(1), ByteRange::from(..=0)] {
            assert!(!some.is_empty());
        }
    }
}
