//! What goes wrong: a seed and rules.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU64};
use std::time::Duration;

use crate::counts::FaultKind;
use crate::selection::{Interval, Probability};
use crate::syntax::{self, Size, Span};

/// What goes wrong with connections: a seed, and the rules that it decides for.
///
/// A plan is built from values or read from text. Everything random in it follows from the seed, the connection's number
/// and the rule's place in the plan, and from nothing else: the same plan does the same to the same bytes of the same
/// connection, whenever it runs.
///
/// ```
/// use gcsd_fault::{Fault, Plan, Rule};
///
/// let built = Plan::new(7).with(Rule::from(Fault::Refuse).on(0..3));
/// let read: Plan = "seed 7; refuse on 0..3".parse()?;
/// assert_eq!(built, read);
/// assert_eq!(built.to_string(), "seed 7; refuse on 0..3");
/// # Ok::<(), gcsd_fault::PlanError>(())
/// ```
///
/// # The text
///
/// ```text
/// plan      = "off" / item *( ";" item )         ; a line break is a ";", empty items are skipped
/// item      = "seed" number / fault *selector    ; words are separated by spaces
/// fault     = "refuse"
///           / "hang" [ "for" duration ]
///           / ( "reset" / "close" ) ( "before" / "in" / "after" ) direction place
///           / "stall" direction place [ "for" duration ]
///           / "flip" direction place [ "mask" byte ]
///           / "short" direction size
/// direction = "write" / "read"                   ; as the side that dialed sees it
/// place     = size                               ; this byte of the direction, counted from 0
///           / size ".." size                     ; a random byte from the first to before the second
///           / decimal "/MiB"                     ; in each MiB with this probability, at a random byte
/// selector  = "on" number                        ; this connection, counted from 0
///           / "on" number ".." [ number ]        ; from this one to before the other
///           / "p" decimal                        ; each connection with this probability
/// size      = number [ "KiB" / "MiB" / "GiB" ]
/// duration  = number ( "ns" / "us" / "ms" / "s" )
/// byte      = "0x" hexadecimal                   ; the bits to flip, 0x01 by default
/// ```
///
/// `seed 7; refuse p 0.05; reset after write 64KiB on 1; stall read 0 for 2s on 3..5; flip write 0.01/MiB`
///
/// Without `on`, a rule is for every connection; without `p`, it is certain; without `for`, a hang or a stall never
/// ends.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Plan {
    /// Where everything random comes from.
    pub seed: u64,
    /// The rules. Every rule that matches a connection applies to it.
    pub rules: Vec<Rule>,
}

impl Plan {
    /// A plan without rules.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rules: Vec::new(),
        }
    }

    /// Adds a rule, or a fault that every connection meets.
    #[must_use]
    pub fn with(mut self, rule: impl Into<Rule>) -> Self {
        self.rules.push(rule.into());
        self
    }
}

/// One fault, and the connections that meet it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// Which connections can meet it.
    pub on: Interval,
    /// How probable it is for each of them.
    pub probability: Probability,
}

impl From<Fault> for Rule {
    /// The fault, certain, on every connection.
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            on: Interval::ALL,
            probability: Probability::CERTAIN,
        }
    }
}

impl Rule {
    /// Restricts the rule to these connections, counted from 0: `3`, `3..5` or `3..`.
    #[must_use]
    pub fn on(mut self, connections: impl Into<Interval>) -> Self {
        self.on = connections.into();
        self
    }

    /// Sets how probable the fault is for each of these connections.
    #[must_use]
    pub fn with_probability(mut self, probability: Probability) -> Self {
        self.probability = probability;
        self
    }
}

/// One thing that goes wrong with a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The connect fails, as if nobody listened.
    Refuse,
    /// The connect takes this much longer, or never returns.
    Hang {
        /// How long; `None` means forever.
        duration: Option<Duration>,
    },
    /// The connection ends.
    Cut {
        /// How the end looks.
        ending: Ending,
        /// Whether the byte at `place` still passes, and who notices.
        phase: Phase,
        /// The direction that `place` is in.
        direction: Direction,
        /// At which byte.
        place: Place,
    },
    /// The direction stalls before the byte at `place`; the other one continues.
    Stall {
        /// The direction that stalls.
        direction: Direction,
        /// Before which byte.
        place: Place,
        /// How long; `None` means forever.
        duration: Option<Duration>,
    },
    /// Bits of the byte at `place` are flipped.
    Flip {
        /// The direction that `place` is in.
        direction: Direction,
        /// Which byte.
        place: Place,
        /// The bits to flip.
        mask: NonZeroU8,
    },
    /// Each call moves a random number of bytes, from 1 to `most`.
    Short {
        /// Reads or writes.
        direction: Direction,
        /// The most bytes that one call moves.
        most: NonZeroU64,
    },
}

impl Fault {
    /// The kind that it is counted as.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Refuse => FaultKind::Refuse,
            Self::Hang { .. } => FaultKind::Hang,
            Self::Cut { ending, .. } => ending.kind(),
            Self::Stall { .. } => FaultKind::Stall,
            Self::Flip { .. } => FaultKind::Flip,
            Self::Short { .. } => FaultKind::Short,
        }
    }
}

/// A direction, as seen from the side that dialed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What it sends.
    Write,
    /// What it receives.
    Read,
}

/// How the end of a connection looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As an RST: reads and writes fail with [`ConnectionReset`](std::io::ErrorKind::ConnectionReset).
    Reset,
    /// As a FIN: reads return the end of the stream, writes fail with
    /// [`BrokenPipe`](std::io::ErrorKind::BrokenPipe).
    Close,
}

impl Ending {
    pub(crate) fn kind(self) -> FaultKind {
        match self {
            Self::Reset => FaultKind::Reset,
            Self::Close => FaultKind::Close,
        }
    }
}

/// When a connection ends, relative to one of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// When the byte is about to be written or read: it does not pass, those before it have.
    Before,
    /// While the byte is in flight. A byte that is written reaches the peer, yet its write fails. A byte that is read
    /// was sent by the peer and is lost: at the first byte of a reply, the request was carried out and is never
    /// answered.
    In,
    /// As soon as the byte has passed: its write or read succeeds, and the next call finds the end.
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

/// The text that [`FromStr`](std::str::FromStr) reads back to the same plan.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        syntax::write_plan(f, self.seed, &self.rules)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault)?;
        if self.on != Interval::ALL {
            write!(f, " on {}", self.on)?;
        }
        if self.probability != Probability::CERTAIN {
            write!(f, " p {}", self.probability)?;
        }
        Ok(())
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
            Self::Short { direction, most } => write!(f, " {direction} {}", Size(most.get())),
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
            Self::At(at) => write!(f, "{}", Size(*at)),
            Self::Within { from, end } => write!(f, "{}..{}", Size(*from), Size(*end)),
            Self::PerMib(probability) => write!(f, "{probability}/MiB"),
        }
    }
}

fn write_duration(f: &mut fmt::Formatter<'_>, duration: Option<Duration>) -> fmt::Result {
    match duration {
        None => Ok(()),
        Some(duration) => write!(f, " for {}", Span(duration)),
    }
}
