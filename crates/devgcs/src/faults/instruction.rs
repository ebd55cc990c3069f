//! What goes wrong with a call, as values and as words.

use std::fmt;
use std::time::Duration;

use crate::digits::digits;
use gcsd_fault::syntax;

/// A number of KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kib(pub u64);

impl Kib {
    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0.saturating_mul(1024)
    }
}

/// One thing that goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The answer has this status.
    Return {
        /// The status, from 300 to 599.
        status: u16,
        /// When.
        when: When,
    },
    /// The connection is reset (RST), without an answer.
    Reset {
        /// When.
        when: When,
    },
    /// The connection is closed (FIN), without an answer.
    Close {
        /// When.
        when: When,
    },
    /// The call stalls, then continues.
    Stall {
        /// How long; `None` means an hour, after which the connection is closed.
        duration: Option<Duration>,
        /// When.
        when: When,
    },
    /// The connection is closed within the answer's body.
    Break {
        /// How much of the body is sent; `None` means 4 bytes.
        after: Option<Kib>,
    },
    /// The answer that shows the finished object is cut to this many bytes, as if that were all.
    Shorten {
        /// How many bytes of the body are sent.
        bytes: u64,
    },
    /// One bit of the object's bytes is flipped in the answer.
    Corrupt,
    /// The whole body is read, but only bytes before an offset are persisted.
    Persist {
        /// The offset in the object; whole multiples of 256 KiB before it count.
        until: Amount,
    },
    /// What the call persisted last is not reported until after the next query.
    Hide {
        /// How much of it.
        amount: Amount,
    },
    /// A 308 does not say what is persisted.
    NoRange,
    /// The upload session ends for good, with this status.
    LoseSession {
        /// The status, from 300 to 599.
        status: u16,
    },
    /// A 308 reports less than is persisted, which GCS never does.
    ReportLess {
        /// By how much.
        by: Kib,
    },
    /// A 308 reports more than is persisted, which GCS never does.
    ReportMore {
        /// By how much.
        by: Kib,
    },
}

/// When in the course of a call a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// Before anything is done; the body is not read.
    AtOnce,
    /// When the upload has reached this offset; a stall also when the object that is read has. A call that does not pass
    /// the offset is spared.
    After(Kib),
    /// At a random multiple of 256 KiB among the bytes of the call.
    AfterSome,
    /// When the whole body has been read; its last bytes, less than 256 KiB, are not persisted yet.
    AfterBody,
    /// When everything is done, before the answer or instead of it.
    AfterAll,
}

/// How many bytes a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// This many.
    Exactly(Kib),
    /// A random multiple of 256 KiB that the call allows.
    Random,
}

impl Fault {
    /// The word that it is counted under ([`Server::fault_counts`](crate::Server::fault_counts)).
    pub fn name(&self) -> &'static str {
        match self {
            Self::Return { .. } => "return",
            Self::Reset { .. } => "reset",
            Self::Close { .. } => "close",
            Self::Stall { .. } => "stall",
            Self::Break { .. } => "break",
            Self::Shorten { .. } => "shorten",
            Self::Corrupt => "corrupt",
            Self::Persist { .. } => "persist",
            Self::Hide { .. } => "hide",
            Self::NoRange => "no-range",
            Self::LoseSession { .. } => "lose-session",
            Self::ReportLess { .. } => "report-less",
            Self::ReportMore { .. } => "report-more",
        }
    }

    /// When it happens, if that is up to the plan.
    pub(super) fn when(&self) -> Option<When> {
        match self {
            Self::Return { when, .. }
            | Self::Reset { when }
            | Self::Close { when }
            | Self::Stall { when, .. } => Some(*when),
            _ => None,
        }
    }

    /// Reads one word.
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "return-broken-stream" => return Some(Self::Break { after: None }),
            "return-corrupted-data" => return Some(Self::Corrupt),
            "no-range" => return Some(Self::NoRange),
            "stall-at-256KiB" => return Self::parse("stall-always-after-256K"),
            _ => {}
        }
        if let Some(bytes) = word.strip_prefix("return-broken-stream-final-chunk-after-") {
            let bytes = syntax::number(bytes.strip_suffix('B')?)?;
            Some(Self::Shorten { bytes })
        } else if let Some(text) = word.strip_prefix("return-broken-stream-after-") {
            let after = Some(kib(text)?);
            Some(Self::Break { after })
        } else if let Some(text) = word.strip_prefix("persist-") {
            amount(text).map(|until| Self::Persist { until })
        } else if let Some(text) = word.strip_prefix("hide-") {
            amount(text).map(|amount| Self::Hide { amount })
        } else if let Some(text) = word.strip_prefix("lose-session-") {
            status(text).map(|status| Self::LoseSession { status })
        } else if let Some(text) = word.strip_prefix("report-") {
            match text.split_once('-')? {
                (by, "less") => kib(by).map(|by| Self::ReportLess { by }),
                (by, "more") => kib(by).map(|by| Self::ReportMore { by }),
                _ => None,
            }
        } else {
            Self::parse_timed(word)
        }
    }

    /// Reads a word that says when.
    fn parse_timed(word: &str) -> Option<Self> {
        let (what, when) = match word.split_once("-after-") {
            None => (word, When::AtOnce),
            Some((what, "some")) => (what, When::AfterSome),
            Some((what, "body")) => (what, When::AfterBody),
            Some((what, "all")) => (what, When::AfterAll),
            Some((what, offset)) => (what, When::After(kib(offset)?)),
        };
        match what {
            "return-reset-connection" => Some(Self::Reset { when }),
            "close-connection" => Some(Self::Close { when }),
            "stall-always" => Some(Self::Stall { duration: None, when }),
            _ if what.starts_with("stall-for-") => {
                let duration = Some(syntax::duration(what.strip_prefix("stall-for-")?)?);
                Some(Self::Stall { duration, when })
            }
            _ => status(what.strip_prefix("return-")?).map(|status| Self::Return { status, when }),
        }
    }
}

fn status(text: &str) -> Option<u16> {
    digits(text).filter(|status| (300..600).contains(status))
}

fn amount(text: &str) -> Option<Amount> {
    match text {
        "some" => Some(Amount::Random),
        bytes => kib(bytes).map(Amount::Exactly),
    }
}

fn kib(text: &str) -> Option<Kib> {
    let kib = syntax::number(text.strip_suffix('K')?)?;
    kib.checked_mul(1024).map(|_| Kib(kib))
}

/// The word that is read back to the same fault.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Return { status, when } => write!(f, "return-{status}{when}"),
            Self::Reset { when } => write!(f, "return-reset-connection{when}"),
            Self::Close { when } => write!(f, "close-connection{when}"),
            Self::Stall { duration: None, when } => write!(f, "stall-always{when}"),
            Self::Stall {
                duration: Some(duration),
                when,
            } => write!(f, "stall-for-{}{when}", syntax::Span(*duration)),
            Self::Break { after: None } => f.write_str("return-broken-stream"),
            Self::Break { after: Some(after) } => write!(f, "return-broken-stream-after-{after}"),
            Self::Shorten { bytes } => write!(f, "return-broken-stream-final-chunk-after-{bytes}B"),
            Self::Corrupt => f.write_str("return-corrupted-data"),
            Self::Persist { until } => write!(f, "persist-{until}"),
            Self::Hide { amount } => write!(f, "hide-{amount}"),
            Self::NoRange => f.write_str("no-range"),
            Self::LoseSession { status } => write!(f, "lose-session-{status}"),
            Self::ReportLess { by } => write!(f, "report-{by}-less"),
            Self::ReportMore { by } => write!(f, "report-{by}-more"),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOnce => Ok(()),
            Self::After(offset) => write!(f, "-after-{offset}"),
            Self::AfterSome => f.write_str("-after-some"),
            Self::AfterBody => f.write_str("-after-body"),
            Self::AfterAll => f.write_str("-after-all"),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(kib) => kib.fmt(f),
            Self::Random => f.write_str("some"),
        }
    }
}

impl fmt::Display for Kib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}K", self.0)
    }
}
