//! The syntax that fault plans have in common, for crates with faults of their own.
//!
//! A plan is `off`, or items separated by `;` or line breaks; an item is words separated by white space. One item can
//! be `seed NUMBER`; every other one is a rule, which the crate reads from its [`Words`].
//!
//! ```
//! use gcsd_fault::syntax::{self, Words};
//!
//! // A rule of its own: "drop", perhaps with the number of a message.
//! fn rule(words: &mut Words<'_>) -> Result<Option<u64>, String> {
//!     words.parse(|word| (word == "drop").then_some(()), "drop")?;
//!     if words.take("message") {
//!         words.parse(syntax::number, "a message's number").map(Some)
//!     } else {
//!         Ok(None)
//!     }
//! }
//!
//! let (seed, rules) = syntax::parse_plan("seed 7; drop; drop message 3", rule)?;
//! assert_eq!((seed, rules), (7, vec![None, Some(3)]));
//!
//! let error = syntax::parse_plan("drop message x", rule).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "fault plan, at \"drop message x\": expected a message's number, found x"
//! );
//! # Ok::<(), gcsd_fault::PlanError>(())
//! ```

use std::convert::Infallible;
use std::fmt;
use std::str::SplitWhitespace;
use std::time::Duration;

use crate::selection::{Interval, Probability};

/// The most rules that the text of a plan can have.
pub const MAX_RULES: usize = 256;

/// Why a text is not a plan: the item, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault plan, at \"{item}\": {problem}")]
pub struct PlanError {
    item: String,
    problem: String,
}

/// Lets a function take a plan or its text.
impl From<Infallible> for PlanError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Reads a plan: its seed, 0 if it has none, and its rules, each of which `rule` reads.
///
/// # Errors
///
/// `rule` returned what is wrong with an item, or left words unread; there is more than one seed, nothing at all, or
/// more than [`MAX_RULES`] rules.
pub fn parse_plan<R>(
    text: &str,
    rule: impl Fn(&mut Words<'_>) -> Result<R, String>,
) -> Result<(u64, Vec<R>), PlanError> {
    let (mut seed, mut rules) = (None, Vec::new());
    if text.trim() == "off" {
        return Ok((0, rules));
    }
    let items = text.split([';', '\n']).map(str::trim);
    for item in items.filter(|item| !item.is_empty()) {
        let refuse = |problem: String| PlanError {
            item: item.chars().take(80).collect(),
            problem,
        };
        let mut words = Words::new(item);
        if words.take("seed") {
            if seed.is_some() {
                return Err(refuse("there is a seed already".into()));
            }
            seed = Some(words.parse(number, "a number").map_err(refuse)?);
        } else {
            if rules.len() == MAX_RULES {
                return Err(refuse(format!("there are more than {MAX_RULES} rules")));
            }
            rules.push(rule(&mut words).map_err(refuse)?);
        }
        words.end().map_err(refuse)?;
    }
    if seed.is_none() && rules.is_empty() {
        return Err(PlanError {
            item: String::new(),
            problem: "there is no rule; to have none, write \"off\"".into(),
        });
    }
    Ok((seed.unwrap_or(0), rules))
}

/// Writes a plan so that [`parse_plan`] reads it back.
///
/// # Errors
///
/// Those of `f`.
pub fn write_plan(f: &mut fmt::Formatter<'_>, seed: u64, rules: &[impl fmt::Display]) -> fmt::Result {
    if seed == 0 && rules.is_empty() {
        return f.write_str("off");
    }
    write!(f, "seed {seed}")?;
    rules.iter().try_for_each(|rule| write!(f, "; {rule}"))
}

/// The words of one item that have not been read yet.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    next: Option<&'a str>,
    rest: SplitWhitespace<'a>,
}

impl<'a> Words<'a> {
    fn new(item: &'a str) -> Self {
        let mut rest = item.split_whitespace();
        Self {
            next: rest.next(),
            rest,
        }
    }

    /// Skips the next word if it is `word`; says whether it was.
    pub fn take(&mut self, word: &str) -> bool {
        let found = self.next == Some(word);
        if found {
            self.next = self.rest.next();
        }
        found
    }

    /// Reads the next word with `read`.
    ///
    /// # Errors
    ///
    /// If `read` returns `None`, or there is no word left: that `expected` was expected.
    pub fn parse<T>(&mut self, read: impl FnOnce(&str) -> Option<T>, expected: &str) -> Result<T, String> {
        let found = self.next.unwrap_or("the end");
        let value = self
            .next
            .and_then(read)
            .ok_or_else(|| format!("expected {expected}, found {found}"))?;
        self.next = self.rest.next();
        Ok(value)
    }

    /// Whether every word has been read.
    pub fn is_empty(&self) -> bool {
        self.next.is_none()
    }

    /// Checks that every word has been read.
    ///
    /// # Errors
    ///
    /// The next word does not belong here.
    pub fn end(&self) -> Result<(), String> {
        match self.next {
            None => Ok(()),
            Some(word) => Err(format!("{word} does not belong here")),
        }
    }
}

/// Reads a number, or an interval of numbers that is not empty: `3`, `3..5`, `3..`.
pub fn interval(word: &str) -> Option<Interval> {
    match word.split_once("..") {
        None => number(word).map(Interval::only),
        Some((start, "")) => number(start).map(|start| Interval::from(start..)),
        Some((start, end)) => {
            let range = number(start)?..number(end)?;
            (!range.is_empty()).then(|| range.into())
        }
    }
}

/// Reads a whole number without a sign.
pub fn number(word: &str) -> Option<u64> {
    // `parse` alone would accept a sign.
    word.starts_with(|c: char| c.is_ascii_digit())
        .then(|| word.parse().ok())
        .flatten()
}

/// Reads a number from 0 to 1.
pub fn probability(word: &str) -> Option<Probability> {
    word.parse().ok().and_then(Probability::new)
}

/// Reads a number of bytes: `100`, `64KiB`, `3MiB`, `1GiB`.
pub fn size(word: &str) -> Option<u64> {
    with_unit(word, &SIZES)
}

/// Reads a duration: `3s`, `250ms`, `1500us`, `7ns`.
pub fn duration(word: &str) -> Option<Duration> {
    with_unit(word, &DURATIONS).map(Duration::from_nanos)
}

fn with_unit(word: &str, units: &[(u64, &str)]) -> Option<u64> {
    let split = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (digits, name) = word.split_at(split);
    let (unit, _) = units.iter().find(|(_, unit)| *unit == name)?;
    number(digits)?.checked_mul(*unit)
}

/// The units of a size, the largest first.
const SIZES: [(u64, &str); 4] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "")];

/// The units of a duration in nanoseconds, the largest first.
const DURATIONS: [(u64, &str); 4] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];

/// Writes a number of bytes in the largest unit that is exact, as [`size`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZES
            .iter()
            .find(|(unit, _)| self.0 != 0 && self.0.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Writes a duration in the largest unit that is exact, as [`duration`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let exact = DURATIONS
            .iter()
            .find(|(unit, _)| nanos.is_multiple_of(u128::from(*unit)));
        let (unit, name) = exact.unwrap_or(&(1, "ns"));
        write!(f, "{}{name}", nanos / u128::from(*unit))
    }
}
