//! Reads the text of a plan.

use std::num::{NonZeroU8, NonZeroU64};
use std::str::{FromStr, SplitWhitespace};
use std::time::Duration;

use super::plan::{
    Connections, DURATIONS, Direction, Ending, Fault, MAX_RULES, Phase, Place, Plan, Probability, Rule, SIZES,
};

/// Why a text is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault plan, at \"{item}\": {problem}")]
pub struct PlanError {
    item: String,
    problem: String,
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        if text.trim() == "off" {
            return Ok(plan);
        }
        let mut seeded = false;
        let items = text.split([';', '\n']).map(str::trim);
        for item in items.filter(|item| !item.is_empty()) {
            let refuse = |problem: String| PlanError {
                item: item.chars().take(80).collect(),
                problem,
            };
            let mut words = Words::new(item);
            if words.take("seed") {
                if seeded {
                    return Err(refuse("there is a seed already".into()));
                }
                seeded = true;
                plan.seed = words.parse(number, "a number").map_err(refuse)?;
                words.end().map_err(refuse)?;
            } else {
                if plan.rules.len() == MAX_RULES {
                    return Err(refuse(format!("there are more than {MAX_RULES} rules")));
                }
                plan.rules.push(words.rule().map_err(refuse)?);
            }
        }
        if !seeded && plan.rules.is_empty() {
            return Err(PlanError {
                item: String::new(),
                problem: "there is no rule; to have none, write \"off\"".into(),
            });
        }
        Ok(plan)
    }
}

/// The words of one item that have not been read yet.
struct Words<'a> {
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

    fn take(&mut self, word: &str) -> bool {
        let found = self.next == Some(word);
        if found {
            self.next = self.rest.next();
        }
        found
    }

    /// Reads the next word with `read`, or says that `wanted` was expected.
    fn parse<T>(&mut self, read: impl FnOnce(&str) -> Option<T>, wanted: &str) -> Result<T, String> {
        let found = self.next.unwrap_or("the end");
        let value = self
            .next
            .and_then(read)
            .ok_or_else(|| format!("expected {wanted}, found {found}"))?;
        self.next = self.rest.next();
        Ok(value)
    }

    fn end(&self) -> Result<(), String> {
        match self.next {
            None => Ok(()),
            Some(word) => Err(format!("{word} does not belong here")),
        }
    }

    fn rule(&mut self) -> Result<Rule, String> {
        let mut rule = Rule::from(self.fault()?);
        let (mut on, mut probability) = (false, false);
        while self.next.is_some() {
            if !on && self.take("on") {
                on = true;
                rule.on = self.parse(connections, "a connection's number, or an interval such as 3..5")?;
            } else if !probability && self.take("p") {
                probability = true;
                rule.probability = self.parse(decimal, "a probability from 0 to 1")?;
            } else {
                self.end()?;
            }
        }
        Ok(rule)
    }

    fn fault(&mut self) -> Result<Fault, String> {
        let fault = match self.parse(fault_word, "refuse, hang, reset, close, stall, flip or short")? {
            Word::Refuse => Fault::Refuse,
            Word::Hang => Fault::Hang {
                duration: self.duration()?,
            },
            Word::Cut(ending) => Fault::Cut {
                ending,
                phase: self.parse(phase, "before, in or after")?,
                direction: self.direction()?,
                place: self.place()?,
            },
            Word::Stall => Fault::Stall {
                direction: self.direction()?,
                place: self.place()?,
                duration: self.duration()?,
            },
            Word::Flip => Fault::Flip {
                direction: self.direction()?,
                place: self.place()?,
                mask: if self.take("mask") {
                    self.parse(mask, "a byte such as 0x80, not 0x00")?
                } else {
                    NonZeroU8::MIN
                },
            },
            Word::Short => Fault::Short {
                direction: self.direction()?,
                most: self.parse(|word| size(word).and_then(NonZeroU64::new), "a size above 0")?,
            },
        };
        Ok(fault)
    }

    fn direction(&mut self) -> Result<Direction, String> {
        let direction = |word: &str| match word {
            "write" => Some(Direction::Write),
            "read" => Some(Direction::Read),
            _ => None,
        };
        self.parse(direction, "write or read")
    }

    fn place(&mut self) -> Result<Place, String> {
        self.parse(
            place,
            "a byte such as 64KiB, an interval such as 0..1MiB, or a rate such as 0.5/MiB",
        )
    }

    fn duration(&mut self) -> Result<Option<Duration>, String> {
        if self.take("for") {
            self.parse(duration, "a duration such as 500ms").map(Some)
        } else {
            Ok(None)
        }
    }
}

enum Word {
    Refuse,
    Hang,
    Cut(Ending),
    Stall,
    Flip,
    Short,
}

fn fault_word(word: &str) -> Option<Word> {
    Some(match word {
        "refuse" => Word::Refuse,
        "hang" => Word::Hang,
        "reset" => Word::Cut(Ending::Reset),
        "close" => Word::Cut(Ending::Close),
        "stall" => Word::Stall,
        "flip" => Word::Flip,
        "short" => Word::Short,
        _ => return None,
    })
}

fn phase(word: &str) -> Option<Phase> {
    match word {
        "before" => Some(Phase::Before),
        "in" => Some(Phase::In),
        "after" => Some(Phase::After),
        _ => None,
    }
}

fn place(word: &str) -> Option<Place> {
    if let Some(rate) = word.strip_suffix("/MiB") {
        return decimal(rate).map(Place::PerMib);
    }
    match word.split_once("..") {
        None => size(word).map(Place::At),
        Some((from, end)) => {
            let (from, end) = (size(from)?, size(end)?);
            (from < end).then_some(Place::Within { from, end })
        }
    }
}

fn connections(word: &str) -> Option<Connections> {
    match word.split_once("..") {
        None => number(word).map(Connections::only),
        Some((from, "")) => Some(Connections {
            from: number(from)?,
            end: None,
        }),
        Some((from, end)) => {
            let (from, end) = (number(from)?, number(end)?);
            let end = Some(end).filter(|end| from < *end)?;
            Some(Connections { from, end: Some(end) })
        }
    }
}

fn number(word: &str) -> Option<u64> {
    // `parse` alone would take a sign.
    word.starts_with(|c: char| c.is_ascii_digit())
        .then(|| word.parse().ok())
        .flatten()
}

fn decimal(word: &str) -> Option<Probability> {
    word.parse().ok().and_then(Probability::new)
}

fn mask(word: &str) -> Option<NonZeroU8> {
    let digits = word.strip_prefix("0x")?;
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok().and_then(NonZeroU8::new)
}

fn size(word: &str) -> Option<u64> {
    with_unit(word, &SIZES)
}

fn duration(word: &str) -> Option<Duration> {
    with_unit(word, &DURATIONS).map(Duration::from_nanos)
}

fn with_unit(word: &str, units: &[(u64, &str)]) -> Option<u64> {
    let split = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (digits, name) = word.split_at(split);
    let (unit, _) = units.iter().find(|(_, unit)| *unit == name)?;
    number(digits)?.checked_mul(*unit)
}
