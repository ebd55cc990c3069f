//! Which calls meet which faults: a seed and rules, as values and as text.

use std::fmt;
use std::str::FromStr;

use super::instruction::Fault;
use crate::error::Error;
use crate::inspect::CallKind;
use gcsd_fault::syntax::{self, Words};
use gcsd_fault::{Interval, PlanError, Probability};

/// What goes wrong with calls: a seed, and the rules that it decides for.
///
/// A plan is built from values or read from its [text](super). The same plan does the same to the same sequence of calls.
///
/// ```
/// use devgcs::faults::{CallSelector, Fault, Plan, Rule, When};
///
/// let lost = Fault::Close { when: When::AfterAll };
/// let built = Plan::new(7).with(Rule::from(lost).on(CallSelector::Last).calls(0));
/// let read: Plan = "seed 7; close-connection-after-all on last call 0".parse()?;
/// assert_eq!(built, read);
/// # Ok::<(), devgcs::faults::PlanError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Plan {
    /// Where everything random comes from.
    pub seed: u64,
    /// The rules. The first that matches a call applies to it.
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

    /// Adds a rule, or a fault that every call meets.
    #[must_use]
    pub fn with(mut self, rule: impl Into<Rule>) -> Self {
        self.rules.push(rule.into());
        self
    }
}

/// Faults that happen to the same call, and the calls that meet them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rule {
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Which kind of call can meet it.
    pub on: CallSelector,
    /// Which of these, counted from 0 in the order in which they come.
    pub calls: Interval,
    /// How probable it is for each of them.
    pub probability: Probability,
}

impl From<Fault> for Rule {
    /// The fault, certain, on every call.
    fn from(fault: Fault) -> Self {
        Self::new(vec![fault])
    }
}

impl Rule {
    fn new(faults: Vec<Fault>) -> Self {
        Self {
            faults,
            on: CallSelector::Any,
            calls: Interval::ALL,
            probability: Probability::CERTAIN,
        }
    }

    /// Adds a fault that happens to the same call.
    #[must_use]
    pub fn and(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Restricts the rule to this kind of call.
    #[must_use]
    pub fn on(mut self, selector: CallSelector) -> Self {
        self.on = selector;
        self
    }

    /// Restricts the rule to some of these calls, counted from 0: `3`, `3..5` or `3..`.
    #[must_use]
    pub fn calls(mut self, calls: impl Into<Interval>) -> Self {
        self.calls = calls.into();
        self
    }

    /// Sets how probable the faults are for each of these calls.
    #[must_use]
    pub fn with_probability(mut self, probability: Probability) -> Self {
        self.probability = probability;
        self
    }
}

macro_rules! selectors {
    ($($(#[doc = $doc:literal])+ $selector:ident $name:literal;)*) => {
        /// A kind of call, or several, that a [`Rule`] is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum CallSelector {
            $($(#[doc = $doc])+ $selector,)*
        }

        impl CallSelector {
            /// Every selector.
            pub const ALL: &'static [Self] = &[$(Self::$selector),*];

            /// Its word in the text of a plan.
            pub fn name(self) -> &'static str {
                match self { $(Self::$selector => $name,)* }
            }
        }
    };
}

selectors! {
    /// Every call.
    Any "any";
    /// The start of an upload session.
    Start "start";
    /// A request with bytes for a session, the last one included.
    Write "write";
    /// The request whose `Content-Range` says that the object ends with it, with or without bytes.
    Last "last";
    /// The question how many bytes of a session are persisted.
    Query "query";
    /// The cancellation of a session.
    Cancel "cancel";
    /// Reading an object's metadata.
    Stat "stat";
    /// Reading an object's bytes.
    Read "read";
    /// Listing objects.
    List "list";
    /// Deleting an object.
    Delete "delete";
    /// Composing an object.
    Compose "compose";
    /// Uploading a part of a multipart upload of the XML API.
    Part "part";
    /// Listing the parts of a multipart upload.
    Parts "parts";
    /// Completing a multipart upload.
    Complete "complete";
}

impl CallSelector {
    /// Whether it selects a call of `kind`; `last` is what the call's `Content-Range` says.
    pub(super) fn selects(self, kind: CallKind, last: bool) -> bool {
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
            Self::Parts => kind == CallKind::ListParts,
            Self::Complete => kind == CallKind::CompleteMultipart,
        }
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (seed, rules) = syntax::parse_plan(text, rule)?;
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
fn instruction(text: &str) -> Option<Vec<Fault>> {
    text.split('+').map(Fault::parse).collect()
}

/// Reads an instruction that a client sent.
pub(super) fn known_instruction(text: &str) -> Result<Vec<Fault>, Error> {
    if is_of_grpc(text) {
        return Ok(Vec::new());
    }
    // The testbench's way to say how often: from the third request on, nothing happens.
    let again = text
        .split_once("/retry-")
        .and_then(|(word, count)| Some((word, syntax::number(count)?)));
    let text = match again {
        Some((_, 3..)) => return Ok(Vec::new()),
        Some((word, _)) => word,
        None => text,
    };
    instruction(text).ok_or_else(|| {
        let text: String = text.chars().take(80).collect();
        Error::invalid(format!("Unknown fault instruction '{text}'."))
    })
}

/// Whether this is a word of the testbench that nothing happens by over HTTP.
fn is_of_grpc(word: &str) -> bool {
    let status = word
        .strip_prefix("return-")
        .and_then(|rest| rest.strip_suffix("-if-dp-enforced"));
    word == "inject-upload-data-error"
        || word.starts_with("redirect-send-token-")
        || word.starts_with("redirect-send-handle-and-token-")
        || word.starts_with("return-unreachable-buckets-")
        || status.is_some_and(|status| syntax::number(status).is_some())
}

fn rule(words: &mut Words<'_>) -> Result<Rule, String> {
    let mut rule = Rule::new(words.parse(instruction, "a fault such as return-503")?);
    let (mut on, mut call, mut probability) = (false, false, false);
    while !words.is_empty() {
        if !on && words.take("on") {
            on = true;
            rule.on = words.parse(
                selector,
                "any, start, write, last, query, cancel, stat, read, list, delete, compose, part or complete",
            )?;
        } else if !call && words.take("call") {
            call = true;
            rule.calls = words.parse(syntax::interval, "a call's number, or an interval such as 3..5")?;
        } else if !probability && words.take("p") {
            probability = true;
            rule.probability = words.parse(syntax::probability, "a probability from 0 to 1")?;
        } else {
            words.end()?;
        }
    }
    Ok(rule)
}

fn selector(word: &str) -> Option<CallSelector> {
    let mut selectors = CallSelector::ALL.iter().copied();
    selectors.find(|selector| selector.name() == word)
}

/// The text that [`FromStr`] reads back to the same plan.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        syntax::write_plan(f, self.seed, &self.rules)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for fault in &self.faults {
            write!(f, "{separator}{fault}")?;
            separator = "+";
        }
        if self.on != CallSelector::Any {
            write!(f, " on {}", self.on.name())?;
        }
        if self.calls != Interval::ALL {
            write!(f, " call {}", self.calls)?;
        }
        if self.probability != Probability::CERTAIN {
            write!(f, " p {}", self.probability)?;
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
