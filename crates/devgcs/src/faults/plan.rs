//! Which calls meet which faults: a seed and rules, as values and as text.

use std::fmt;
use std::str::FromStr;

use super::instruction::Fault;
use crate::inspect::CallKind;
use gcsd_fault::words::{self, Words};
use gcsd_fault::{Numbers, PlanError, Probability};

/// What shall go wrong.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Where everything random comes from.
    pub seed: u64,
    /// The rules; of those that match a call, the first holds.
    pub rules: Vec<Rule>,
}

/// What goes wrong with one call, all of it together, and the calls that meet it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// With what kind of call.
    pub on: Calls,
    /// With which of these, in the order in which they come.
    pub call: Numbers,
    /// How probable it is for each of these.
    pub probability: Probability,
}

macro_rules! calls {
    ($($(#[doc = $doc:literal])+ $calls:ident $name:literal;)*) => {
        /// Kinds of calls.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Calls {
            $($(#[doc = $doc])+ $calls,)*
        }

        impl Calls {
            /// Every kind.
            pub const ALL: &'static [Calls] = &[$(Calls::$calls),*];

            /// The kind's word in the text of a plan.
            pub fn name(self) -> &'static str {
                match self { $(Self::$calls => $name,)* }
            }
        }
    };
}

calls! {
    /// All.
    Any "any";
    /// The start of a session.
    Start "start";
    /// A request that brings bytes to a session, the last one too.
    Write "write";
    /// The request whose `Content-Range` says that the object ends with it, with bytes or without.
    Last "last";
    /// The question what is persisted.
    Query "query";
    /// The cancel of a session.
    Cancel "cancel";
    /// An object's metadata.
    Stat "stat";
    /// An object's bytes.
    Read "read";
    /// A list of objects.
    List "list";
    /// An object's deletion.
    Delete "delete";
    /// One object of several.
    Compose "compose";
    /// A part of a multipart upload of the XML API.
    Part "part";
    /// The end of a multipart upload, which makes the object.
    Complete "complete";
}

impl Calls {
    /// Whether a call of `kind` is one of them; `last` is what its `Content-Range` says.
    pub(super) fn contain(self, kind: CallKind, last: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Start => kind == CallKind::StartUpload,
            Self::Write => kind == CallKind::WriteUpload,
            Self::Last => last && matches!(kind, CallKind::WriteUpload | CallKind::FinishUpload),
            Self::Query => kind == CallKind::QueryUpload,
            Self::Cancel => kind == CallKind::CancelUpload,
            Self::Stat => kind == CallKind::GetObject,
            Self::Read => kind == CallKind::ReadObject,
            Self::List => kind == CallKind::ListObjects,
            Self::Delete => kind == CallKind::DeleteObject,
            Self::Compose => kind == CallKind::ComposeObject,
            Self::Part => kind == CallKind::UploadPart,
            Self::Complete => kind == CallKind::CompleteMultipart,
        }
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (seed, rules) = words::plan(text, rule)?;
        Ok(Self { seed, rules })
    }
}

impl TryFrom<&str> for Plan {
    type Error = PlanError;

    fn try_from(text: &str) -> Result<Self, PlanError> {
        text.parse()
    }
}

impl TryFrom<String> for Plan {
    type Error = PlanError;

    fn try_from(text: String) -> Result<Self, PlanError> {
        text.parse()
    }
}

/// Reads one instruction: the words of faults, joined by `+`.
pub(super) fn instruction(text: &str) -> Option<Vec<Fault>> {
    text.split('+').map(Fault::parse).collect()
}

fn rule(words: &mut Words<'_>) -> Result<Rule, String> {
    let mut rule = Rule {
        faults: words.parse(instruction, "a fault such as return-503")?,
        on: Calls::Any,
        call: Numbers::ALL,
        probability: Probability::CERTAIN,
    };
    let (mut on, mut call, mut probability) = (false, false, false);
    while !words.is_empty() {
        if !on && words.take("on") {
            on = true;
            rule.on = words.parse(
                calls,
                "any, start, write, last, query, cancel, stat, read, list, delete, compose, part or complete",
            )?;
        } else if !call && words.take("call") {
            call = true;
            rule.call = words.parse(words::numbers, "a call's number, or an interval such as 3..5")?;
        } else if !probability && words.take("p") {
            probability = true;
            rule.probability = words.parse(words::decimal, "a probability from 0 to 1")?;
        } else {
            words.end()?;
        }
    }
    Ok(rule)
}

fn calls(word: &str) -> Option<Calls> {
    Calls::ALL.iter().copied().find(|calls| calls.name() == word)
}

/// The text that [`FromStr`] reads back to the same plan.
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
        let mut separator = "";
        for fault in &self.faults {
            write!(f, "{separator}{fault}")?;
            separator = "+";
        }
        if self.on != Calls::Any {
            write!(f, " on {}", self.on.name())?;
        }
        if self.call != Numbers::ALL {
            write!(f, " call {}", self.call)?;
        }
        if self.probability != Probability::CERTAIN {
            write!(f, " p {}", self.probability.get())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back_as_they_were() {
        for text in [
            "off",
            "seed 3",
            "seed 7; return-503; return-429-after-all on write p 0.1",
            "seed 7; return-500-after-256K on write call 2; return-408-after-some call 1..",
            "seed 0; return-reset-connection; return-reset-connection-after-body on last",
            "seed 0; close-connection-after-all on last call 0..3 p 0.5",
            "seed 0; stall-for-1500ms-after-12K; stall-for-2s on query; stall-always on start",
            "seed 0; stall-always-after-256K on read",
            "seed 0; return-broken-stream; return-broken-stream-after-512K on read",
            "seed 0; return-broken-stream-final-chunk-after-10B",
            "seed 0; return-corrupted-data on read; persist-256K; persist-some on write",
            "seed 0; hide-some+close-connection-after-all on write; hide-512K+return-503-after-some",
            "seed 0; no-range; lose-session-410 on write; lose-session-404 on cancel",
            "seed 0; report-256K-less on query; report-1K-more on stat; return-501 on any",
        ] {
            let plan: Plan = text.parse().expect(text);
            assert_eq!(plan.to_string().replace("return-501", "return-501 on any"), text);
            assert_eq!(plan.to_string().parse::<Plan>().expect(text), plan);
        }
        let alias: Plan = "stall-at-256KiB".parse().expect("a word of the testbench");
        assert_eq!(alias.to_string(), "seed 0; stall-always-after-256K");
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in [
            "return",
            "return-",
            "return-200",
            "return-600",
            "return-503-after",
            "return-503-after-",
            "return-503-after-K",
            "return-503-after-1",
            "return-503-after-18014398509481984K",
            "return-503-after-none",
            "persist-",
            "persist-1B",
            "hide-all",
            "lose-session",
            "lose-session-200",
            "report-1K",
            "report-less",
            "stall",
            "stall-for-",
            "stall-for-5",
            "return-broken-stream-after-1B",
            "return-broken-stream-final-chunk-after-1K",
            "close",
            "no-range+",
            "+no-range",
            "no-range on",
            "no-range on reads",
            "no-range call x",
            "no-range p 2",
            "no-range no-range",
            "return-503 on any on any",
        ] {
            let error = text.parse::<Plan>().expect_err(text);
            assert!(error.to_string().starts_with("fault plan, at \""), "{error}");
        }
    }
}
