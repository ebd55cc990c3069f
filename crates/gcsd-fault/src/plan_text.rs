//! Reads the text of a plan.

use std::num::{NonZeroU8, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use crate::plan::{Direction, Ending, Fault, Phase, Place, Plan, Rule};
use crate::syntax::{self, PlanError, Words};

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (seed, rules) = syntax::parse_plan(text, |words| words.rule())?;
        Ok(Self { seed, rules })
    }
}

impl TryFrom<&str> for Plan {
    type Error = PlanError;

    fn try_from(text: &str) -> Result<Self, PlanError> {
        text.parse()
    }
}

impl Words<'_> {
    fn rule(&mut self) -> Result<Rule, String> {
        let mut rule = Rule::from(self.fault()?);
        let (mut on, mut probability) = (false, false);
        while !self.is_empty() {
            if !on && self.take("on") {
                on = true;
                rule.on = self.parse(
                    syntax::interval,
                    "a connection's number, or an interval such as 3..5",
                )?;
            } else if !probability && self.take("p") {
                probability = true;
                rule.probability = self.parse(syntax::probability, "a probability from 0 to 1")?;
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
                most: self.parse(
                    |word| syntax::size(word).and_then(NonZeroU64::new),
                    "a size above 0",
                )?,
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
            self.parse(syntax::duration, "a duration such as 500ms").map(Some)
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
        return syntax::probability(rate).map(Place::PerMib);
    }
    match word.split_once("..") {
        None => syntax::size(word).map(Place::At),
        Some((from, end)) => {
            let (from, end) = (syntax::size(from)?, syntax::size(end)?);
            (from < end).then_some(Place::Within { from, end })
        }
    }
}

fn mask(word: &str) -> Option<NonZeroU8> {
    let digits = word.strip_prefix("0x")?;
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok().and_then(NonZeroU8::new)
}
