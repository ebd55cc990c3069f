//! What a plan means for one connection: the bytes at which faults happen.

use std::time::Duration;

use crate::plan::{Direction, Ending, Fault, Phase, Place, Plan};
use crate::random::Random;
use crate::selection::Probability;

const MIB: u64 = 1 << 20;

/// How far ahead a rate is drawn. At its end the stream only continues drawing.
const LOOKAHEAD: u64 = 4096 * MIB;

/// What goes wrong with one connection: what [`Plan::script`] returns, for a [`FaultyStream`](crate::FaultyStream).
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub(crate) refuse: bool,
    /// How long a connect hangs; the inner `None` means forever.
    pub(crate) hang: Option<Option<Duration>>,
    pub(crate) write: Lane,
    pub(crate) read: Lane,
}

impl Script {
    /// Whether a stream under this script meets no fault.
    pub fn is_harmless(&self) -> bool {
        self.write.is_empty() && self.read.is_empty()
    }
}

impl Plan {
    /// What goes wrong with connection `number`, counted from 0.
    pub fn script(&self, number: u64) -> Script {
        let mut script = Script::default();
        let connection = Random::new(self.seed).split(number);
        for (index, rule) in (0..).zip(&self.rules) {
            let mut random = connection.split(index);
            if !rule.on.contains(number) || random.unit() >= rule.probability.get() {
                continue;
            }
            match rule.fault {
                Fault::Refuse => script.refuse = true,
                Fault::Hang { duration } => script.hang = Some(duration),
                Fault::Cut {
                    ending,
                    phase,
                    direction,
                    place,
                } => script.lane(direction).cut(ending, phase, place, random),
                Fault::Stall {
                    direction,
                    place,
                    duration,
                } => script.lane(direction).add(Act::Stall(duration), place, 0, random),
                Fault::Flip {
                    direction,
                    place,
                    mask,
                } => script
                    .lane(direction)
                    .add(Act::Flip(mask.get()), place, 0, random),
                Fault::Short { direction, most } => script.lane(direction).shorten(most.get(), random),
            }
        }
        script
    }
}

impl Script {
    fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::Write => &mut self.write,
            Direction::Read => &mut self.read,
        }
    }
}

/// One direction of a connection: how many bytes have passed, and the faults ahead.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane {
    position: u64,
    marks: Vec<Mark>,
    short: Option<Short>,
}

/// What the next call of a direction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Up to `most` bytes pass unchanged; `short` if a short read or write is the limit.
    Pass { most: u64, short: bool },
    /// Nothing passes for this long. Returned once.
    Stall(Option<Duration>),
    /// One byte passes with these bits flipped; then the connection ends, if there is an ending.
    Byte { mask: u8, ending: Option<Ending> },
    /// The connection ends.
    End(Ending),
}

#[derive(Debug, Clone)]
struct Mark {
    /// The byte before which, or at which, it acts.
    at: u64,
    act: Act,
    rate: Option<Rate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Before the byte, when it is about to pass.
    End(Ending),
    /// Before the byte, as soon as the one before it has passed.
    EndAtOnce(Ending),
    /// While the byte passes.
    EndMidway(Ending),
    Stall(Option<Duration>),
    Flip(u8),
}

/// Where the marks of a rate come from.
#[derive(Debug, Clone)]
struct Rate {
    probability: Probability,
    random: Random,
    /// The start of the MiB that is drawn for next.
    block: u64,
    /// Nothing happens at the mark: it is the end of the look-ahead.
    idle: bool,
}

#[derive(Debug, Clone)]
struct Short {
    most: u64,
    random: Random,
    /// What the next call may move. Redrawn only when bytes have moved, so that a call that finds the inner stream not
    /// ready changes nothing.
    next: u64,
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.marks.is_empty() && self.short.is_none()
    }

    fn cut(&mut self, ending: Ending, phase: Phase, place: Place, random: Random) {
        let (act, shift) = match phase {
            Phase::Before => (Act::End(ending), 0),
            Phase::In => (Act::EndMidway(ending), 0),
            Phase::After => (Act::EndAtOnce(ending), 1),
        };
        self.add(act, place, shift, random);
    }

    fn add(&mut self, act: Act, place: Place, shift: u64, mut random: Random) {
        let (at, rate) = match place {
            Place::At(at) => (at.saturating_add(shift), None),
            Place::Within { from, end } => {
                let at = from + random.below(end.saturating_sub(from));
                (at.saturating_add(shift), None)
            }
            Place::PerMib(probability) => {
                let mut rate = Rate {
                    probability,
                    random,
                    block: shift,
                    idle: false,
                };
                (rate.draw(), Some(rate))
            }
        };
        self.marks.push(Mark { at, act, rate });
    }

    fn shorten(&mut self, most: u64, random: Random) {
        if self.short.as_ref().is_none_or(|short| most < short.most) {
            let mut short = Short {
                most,
                random,
                next: 0,
            };
            short.draw();
            self.short = Some(short);
        }
    }

    /// What may happen now. The caller has at least one byte to move.
    pub(crate) fn step(&mut self) -> Step {
        let position = self.position;
        self.retire(|mark| mark.at == position && mark.is_idle());
        let here = |mark: &&Mark| mark.at == position;
        if let Some((index, duration)) = self.stall_here() {
            self.retire_one(index);
            return Step::Stall(duration);
        }
        let (mut mask, mut ending, mut midway) = (0, None, None);
        for mark in self.marks.iter().filter(here) {
            match mark.act {
                Act::End(how) | Act::EndAtOnce(how) => ending = ending.or(Some(how)),
                Act::EndMidway(how) => midway = midway.or(Some(how)),
                Act::Flip(bits) => mask ^= bits,
                Act::Stall(_) => {}
            }
        }
        if let Some(ending) = ending {
            return Step::End(ending);
        }
        if mask != 0 || midway.is_some() {
            return Step::Byte { mask, ending: midway };
        }
        // A mark here that does nothing, such as two flips that undo each other, passes with its byte.
        let ahead = self.marks.iter().map(|mark| mark.at).filter(|at| *at > position);
        let room = ahead.min().map_or(u64::MAX, |at| at - position);
        match &self.short {
            Some(short) if short.next < room => Step::Pass {
                most: short.next,
                short: true,
            },
            _ => Step::Pass {
                most: room,
                short: false,
            },
        }
    }

    /// Notes that `count` bytes have passed; returns how the connection ends, if it does now.
    pub(crate) fn passed(&mut self, count: u64) -> Option<Ending> {
        if count == 0 {
            return None;
        }
        self.position = self.position.saturating_add(count);
        if let Some(short) = &mut self.short {
            short.draw();
        }
        let position = self.position;
        self.retire(|mark| mark.at < position);
        let now = self.marks.iter().filter(|mark| mark.at == position);
        now.filter(|mark| !mark.is_idle())
            .find_map(|mark| match mark.act {
                Act::EndAtOnce(ending) => Some(ending),
                _ => None,
            })
    }

    fn stall_here(&self) -> Option<(usize, Option<Duration>)> {
        self.marks
            .iter()
            .enumerate()
            .find_map(|(index, mark)| match mark.act {
                Act::Stall(duration) if mark.at == self.position => Some((index, duration)),
                _ => None,
            })
    }

    /// Removes the marks that `done` picks, or moves them on if they have a rate.
    fn retire(&mut self, done: impl Fn(&Mark) -> bool) {
        self.marks.retain_mut(|mark| !done(mark) || mark.move_on());
    }

    fn retire_one(&mut self, index: usize) {
        if !self.marks[index].move_on() {
            self.marks.remove(index);
        }
    }
}

impl Mark {
    fn is_idle(&self) -> bool {
        self.rate.as_ref().is_some_and(|rate| rate.idle)
    }

    /// Moves to the next byte of the rate; false if there is no rate.
    fn move_on(&mut self) -> bool {
        match &mut self.rate {
            None => false,
            Some(rate) => {
                self.at = rate.draw();
                true
            }
        }
    }
}

impl Rate {
    /// The next byte that the rate hits, or the end of the look-ahead.
    fn draw(&mut self) -> u64 {
        let end = self.block.saturating_add(LOOKAHEAD);
        while self.block < end {
            let block = self.block;
            self.block += MIB.min(end - block);
            if self.random.unit() < self.probability.get() {
                self.idle = false;
                return block + self.random.below(MIB);
            }
        }
        self.idle = true;
        end
    }
}

impl Short {
    fn draw(&mut self) {
        self.next = 1 + self.random.below(self.most);
    }
}
