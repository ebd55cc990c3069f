//! What shall go wrong: a seed and rules, as values and as text.
//!
//! # The text
//!
//! ```text
//! plan      = "off" / item *( ";" item )         ; a line break is a ";", empty items are skipped
//! item      = "seed" number / fault *selector    ; words are separated by spaces
//! fault     = "refuse"
//!           / "hang" [ "for" duration ]
//!           / ( "reset" / "close" ) ( "before" / "in" / "after" ) direction place
//!           / "stall" direction place [ "for" duration ]
//!           / "flip" direction place [ "mask" byte ]
//!           / "short" direction size
//! direction = "write" / "read"                   ; as the side that dialed sees it
//! place     = size                               ; this byte of the direction, counted from 0
//!           / size ".." size                     ; a random byte from the first to before the second
//!           / decimal "/MiB"                     ; in each MiB with this probability, at a random byte
//! selector  = "on" number                        ; this connection, counted from 0
//!           / "on" number ".." [ number ]        ; from this one to before the other
//!           / "p" decimal                        ; each connection with this probability
//! size      = number [ "KiB" / "MiB" / "GiB" ]
//! duration  = number ( "ns" / "us" / "ms" / "s" )
//! byte      = "0x" hexadecimal                   ; the bits that are turned over, 0x01 if not said
//! ```
//!
//! `seed 7; refuse p 0.05; reset after write 64KiB on 1; stall read 0 for 2s on 3..5; flip write 0.01/MiB`
//!
//! Without `on`, a rule is for every connection; without `p`, it is certain. A duration that is not said
//! is for good. All that is random follows from the seed, the connection's number and the rule's place in
//! the plan, and from nothing else: the same text does the same to the same connection.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU64};
use std::time::Duration;

use super::counts::Kind;
use super::words::Text;

/// What shall go wrong.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Where everything random comes from.
    pub seed: u64,
    /// The rules; all that match a connection hold for it.
    pub rules: Vec<Rule>,
}

/// One fault, and the connections that meet it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// For which connections.
    pub on: Numbers,
    /// How probable it is for each of these.
    pub probability: Probability,
}

/// One thing that goes wrong with a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// The connect fails, as where nobody listens.
    Refuse,
    /// The connect takes this much longer, or never ends.
    Hang {
        /// How long; `None` is for good.
        duration: Option<Duration>,
    },
    /// The connection ends.
    Cut {
        /// As what it ends.
        ending: Ending,
        /// Whether the byte at `place` passes, and who learns of it.
        phase: Phase,
        /// Whose byte `place` is.
        direction: Direction,
        /// At which byte.
        place: Place,
    },
    /// The direction stands still before the byte at `place`; the other one goes on.
    Stall {
        /// The direction that stands still.
        direction: Direction,
        /// Before which byte.
        place: Place,
        /// How long; `None` is for good.
        duration: Option<Duration>,
    },
    /// The byte at `place` arrives as another one.
    Flip {
        /// Whose byte `place` is.
        direction: Direction,
        /// Which byte.
        place: Place,
        /// The bits that are turned over.
        mask: NonZeroU8,
    },
    /// Each call moves from 1 to `most` bytes, at random.
    Short {
        /// Reads or writes.
        direction: Direction,
        /// The most bytes that one call moves.
        most: NonZeroU64,
    },
}

impl Fault {
    /// What it is counted as.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refuse => Kind::Refuse,
            Self::Hang { .. } => Kind::Hang,
            Self::Cut { ending, .. } => ending.kind(),
            Self::Stall { .. } => Kind::Stall,
            Self::Flip { .. } => Kind::Flip,
            Self::Short { .. } => Kind::Short,
        }
    }
}

/// A direction, as the side that dialed sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What it sends.
    Write,
    /// What it receives.
    Read,
}

/// What the end of a connection looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As an RST: reads and writes fail with [`ConnectionReset`](std::io::ErrorKind::ConnectionReset).
    Reset,
    /// As a FIN: reads say that the stream is over, writes fail with
    /// [`BrokenPipe`](std::io::ErrorKind::BrokenPipe).
    Close,
}

impl Ending {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Reset => Kind::Reset,
            Self::Close => Kind::Close,
        }
    }
}

/// When a connection ends, seen from one byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// When the byte is about to be written or read: it does not pass, all before it have.
    Before,
    /// While the byte is under way. A byte written reaches the peer, and the writer is told that its write
    /// failed. A byte read has come, so the peer has sent it, and is lost: before the first byte of a
    /// reply, this is the request that was carried out and never answered.
    In,
    /// As soon as the byte has passed: its writer or reader is told so, and finds the end at the next call.
    After,
}

/// Where in a direction something happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// At this byte, counted from 0.
    At(u64),
    /// Once, at a random byte of this interval.
    Within {
        /// The first byte that it can be.
        from: u64,
        /// One more than the last byte that it can be.
        end: u64,
    },
    /// In each MiB with this probability, at a random byte of it.
    PerMib(Probability),
}

/// Some of all connections, or of all calls, by their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The first of them.
    pub from: u64,
    /// One more than the last; `None` where they have no end.
    pub end: Option<u64>,
}

impl Numbers {
    /// All of them.
    pub const ALL: Self = Self { from: 0, end: None };

    /// This one alone.
    pub fn only(number: u64) -> Self {
        let end = number.checked_add(1);
        Self { from: number, end }
    }

    /// Whether `number` is one of them.
    pub fn contains(&self, number: u64) -> bool {
        number >= self.from && self.end.is_none_or(|end| number < end)
    }
}

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// What always happens.
    pub const CERTAIN: Self = Self(1.0);

    /// `None` where `value` is not a number from 0 to 1.
    pub fn new(value: f64) -> Option<Self> {
        // Adding 0 makes a negative zero a positive one, so that it prints as it was read.
        (0.0..=1.0).contains(&value).then_some(Self(value + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<Fault> for Rule {
    /// The fault, certain, for every connection.
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            on: Numbers::ALL,
            probability: Probability::CERTAIN,
        }
    }
}

/// The text that [`FromStr`](std::str::FromStr) reads back to the same plan.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seed == 0 && self.rules.is_empty() {
            return f.write_str("off");
        }
        write!(f, "seed {}", self.seed)?;
        for rule in &self.rules {
            write!(f, "; {rule}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault)?;
        if self.on != Numbers::ALL {
            write!(f, " on {}", self.on)?;
        }
        if self.probability != Probability::CERTAIN {
            write!(f, " p {}", self.probability.0)?;
        }
        Ok(())
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, end } = self;
        match end {
            _ if *self == Self::only(*from) => write!(f, "{from}"),
            None => write!(f, "{from}.."),
            Some(end) => write!(f, "{from}..{end}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())?;
        match self {
            Self::Refuse => Ok(()),
            Self::Hang { duration } => write_duration(f, *duration),
            Self::Cut {
                phase,
                direction,
                place,
                ..
            } => {
                let phase = match phase {
                    Phase::Before => "before",
                    Phase::In => "in",
                    Phase::After => "after",
                };
                write!(f, " {phase} {direction} {place}")
            }
            Self::Stall {
                direction,
                place,
                duration,
            } => {
                write!(f, " {direction} {place}")?;
                write_duration(f, *duration)
            }
            Self::Flip {
                direction,
                place,
                mask,
            } => write!(f, " {direction} {place} mask {mask:#04x}"),
            Self::Short { direction, most } => write!(f, " {direction} {}", Text(most.get())),
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write => "write",
            Self::Read => "read",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(f, "{}", Text(*at)),
            Self::Within { from, end } => write!(f, "{}..{}", Text(*from), Text(*end)),
            Self::PerMib(probability) => write!(f, "{}/MiB", probability.0),
        }
    }
}

fn write_duration(f: &mut fmt::Formatter<'_>, duration: Option<Duration>) -> fmt::Result {
    match duration {
        None => Ok(()),
        Some(duration) => write!(f, " for {}", Text(duration)),
    }
}
