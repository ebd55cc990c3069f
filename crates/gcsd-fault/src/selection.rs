//! Which connections or calls a rule is about: by their numbers, and by chance.

use std::fmt;
use std::ops::{Range, RangeFrom, RangeFull};

/// A half-open interval of numbers: some of all connections, or of all calls, counted from 0.
///
/// It is made from a number or a range: `3`, `3..5`, `3..` or `..`. An empty range contains nothing, and has no
/// text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The first number in it.
    pub start: u64,
    /// One more than the last; `None` if it has no end.
    pub end: Option<u64>,
}

impl Interval {
    /// All numbers.
    pub const ALL: Self = Self { start: 0, end: None };

    /// This number alone.
    pub fn only(number: u64) -> Self {
        Self {
            start: number,
            end: number.checked_add(1),
        }
    }

    /// Whether `number` is in it.
    pub fn contains(&self, number: u64) -> bool {
        number >= self.start && self.end.is_none_or(|end| number < end)
    }
}

impl From<u64> for Interval {
    fn from(number: u64) -> Self {
        Self::only(number)
    }
}

impl From<Range<u64>> for Interval {
    fn from(range: Range<u64>) -> Self {
        Self {
            start: range.start,
            end: Some(range.end),
        }
    }
}

impl From<RangeFrom<u64>> for Interval {
    fn from(range: RangeFrom<u64>) -> Self {
        Self {
            start: range.start,
            end: None,
        }
    }
}

impl From<RangeFull> for Interval {
    fn from(_: RangeFull) -> Self {
        Self::ALL
    }
}

/// `3`, `3..5` or `3..`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end } = self;
        match end {
            _ if *self == Self::only(*start) => write!(f, "{start}"),
            None => write!(f, "{start}.."),
            Some(end) => write!(f, "{start}..{end}"),
        }
    }
}

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// What always happens.
    pub const CERTAIN: Self = Self(1.0);

    /// `None` unless `value` is a number from 0 to 1.
    pub fn new(value: f64) -> Option<Self> {
        // Adding 0 turns a negative zero into a positive one, so that it prints as it was read.
        (0.0..=1.0).contains(&value).then_some(Self(value + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
