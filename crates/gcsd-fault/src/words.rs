//! The text of plans, word by word: what this module's plans and devgcs's have in common.

use std::convert::Infallible;
use std::fmt;
use std::str::SplitWhitespace;
use std::time::Duration;

use super::plan::{Numbers, Probability};

/// The most rules that the text of a plan can hold.
pub const MAX_RULES: usize = 256;

/// Why a text is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault plan, at \"{item}\": {problem}")]
pub struct PlanError {
    item: String,
    problem: String,
}

/// So that what takes a plan or its text can take either.
impl From<Infallible> for PlanError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Reads `off`, or items that are each a seed or what `rule` reads.
pub fn plan<R>(
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

/// The words of one item that have not been read yet.
pub struct Words<'a> {
    next: Option<&'a str>,
    rest: SplitWhitespace<'a>,
}

impl<'a> Words<'a> {
    /// The words of `item`, which white space parts.
    pub fn new(item: &'a str) -> Self {
        let mut rest = item.split_whitespace();
        Self {
            next: rest.next(),
            rest,
        }
    }

    /// Goes past `word`, if it is the next one.
    pub fn take(&mut self, word: &str) -> bool {
        let found = self.next == Some(word);
        if found {
            self.next = self.rest.next();
        }
        found
    }

    /// Reads the next word with `read`, or says that `wanted` was expected.
    pub fn parse<T>(&mut self, read: impl FnOnce(&str) -> Option<T>, wanted: &str) -> Result<T, String> {
        let found = self.next.unwrap_or("the end");
        let value = self
            .next
            .and_then(read)
            .ok_or_else(|| format!("expected {wanted}, found {found}"))?;
        self.next = self.rest.next();
        Ok(value)
    }

    /// Whether every word has been read.
    pub fn is_empty(&self) -> bool {
        self.next.is_none()
    }

    /// That there is no word left.
    pub fn end(&self) -> Result<(), String> {
        match self.next {
            None => Ok(()),
            Some(word) => Err(format!("{word} does not belong here")),
        }
    }
}

/// A number, or an interval of numbers.
pub fn numbers(word: &str) -> Option<Numbers> {
    match word.split_once("..") {
        None => number(word).map(Numbers::only),
        Some((from, "")) => Some(Numbers {
            from: number(from)?,
            end: None,
        }),
        Some((from, end)) => {
            let (from, end) = (number(from)?, number(end)?);
            let end = Some(end).filter(|end| from < *end)?;
            Some(Numbers { from, end: Some(end) })
        }
    }
}

/// A whole number without a sign.
pub fn number(word: &str) -> Option<u64> {
    // `parse` alone would take a sign.
    word.starts_with(|c: char| c.is_ascii_digit())
        .then(|| word.parse().ok())
        .flatten()
}

/// A number from 0 to 1.
pub fn decimal(word: &str) -> Option<Probability> {
    word.parse().ok().and_then(Probability::new)
}

/// A number of bytes.
pub fn size(word: &str) -> Option<u64> {
    with_unit(word, &SIZES)
}

/// A time.
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

/// A size or a duration, in the largest unit that says it in full.
pub struct Text<T>(pub T);

impl fmt::Display for Text<u64> {
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

impl fmt::Display for Text<Duration> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let exact = DURATIONS
            .iter()
            .find(|(unit, _)| nanos.is_multiple_of(u128::from(*unit)));
        let (unit, name) = exact.unwrap_or(&(1, "ns"));
        write!(f, "{}{name}", nanos / u128::from(*unit))
    }
}
