//! Which faults a call meets, and how often each has happened.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cut::Cut;
use super::instruction::Fault;
use super::plan::{Plan, Rule, known_instruction};
use super::retry_test::{Due, RetryTests};
use crate::error::Error;
use crate::lock::locked;
use crate::operation::Operation;
use crate::resumable;
use gcsd_fault::Random;
use http::HeaderMap;

/// The faults of a running server.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    rules: Vec<Counted>,
    pub(super) tests: RetryTests,
    happened: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Debug)]
struct Counted {
    rule: Rule,
    /// How many calls its selector has selected.
    calls: AtomicU64,
}

/// What a call meets.
#[derive(Debug)]
pub(crate) struct Injected {
    pub(super) faults: Vec<Fault>,
    pub(super) random: Random,
    /// The retry test behind it, which moves on when the fault has happened.
    due: Option<Due>,
    /// The connection ends instead of an answer.
    pub(super) cut: Option<Cut>,
}

impl Injected {
    pub(crate) fn nothing() -> Self {
        Self::new(Vec::new(), Random::new(0))
    }

    fn new(faults: Vec<Fault>, random: Random) -> Self {
        Self {
            faults,
            random,
            due: None,
            cut: None,
        }
    }
}

impl Faults {
    pub(crate) fn new(plan: &Plan) -> Self {
        let counted = |rule: &Rule| Counted {
            rule: rule.clone(),
            calls: AtomicU64::new(0),
        };
        Self {
            seed: plan.seed,
            rules: plan.rules.iter().map(counted).collect(),
            tests: RetryTests::default(),
            happened: Mutex::default(),
        }
    }

    /// Draws the faults of a call with these headers, which take precedence over the plan.
    pub(crate) fn draw(&self, operation: Operation, headers: &HeaderMap) -> Result<Injected, Error> {
        let kind = operation.kind;
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let own = header("x-goog-emulator-instructions").or_else(|| header("x-goog-testbench-instructions"));
        if let Some(text) = own {
            let faults = known_instruction(text)?;
            return Ok(Injected::new(faults, Random::new(self.seed)));
        }
        if let Some(id) = header("x-retry-test-id")
            && let Some((faults, due)) = self.tests.due(id, operation.name)?
        {
            return Ok(Injected {
                due: Some(due),
                ..Injected::new(faults, Random::new(self.seed))
            });
        }
        if self.rules.is_empty() {
            return Ok(Injected::nothing());
        }
        let last = resumable::is_last(headers);
        let mut hit = None;
        for (index, counted) in (0..).zip(&self.rules) {
            let rule = &counted.rule;
            if !rule.on.selects(kind, last) {
                continue;
            }
            let number = counted.calls.fetch_add(1, Ordering::Relaxed);
            let mut random = Random::new(self.seed).split(index).split(number);
            let hits = rule.calls.contains(number) && random.unit() < rule.probability.get();
            if hits && hit.is_none() {
                hit = Some(Injected::new(rule.faults.clone(), random));
            }
        }
        Ok(hit.unwrap_or_else(Injected::nothing))
    }

    /// Counts a fault of the call that has happened.
    pub(super) fn happened(&self, injected: &mut Injected, fault: &Fault) {
        tracing::debug!(%fault, "devgcs: injected");
        *locked(&self.happened).entry(fault.name()).or_default() += 1;
        if let Some(due) = injected.due.take() {
            self.tests.done(&due);
        }
    }

    /// How often each fault has happened, by its name.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        locked(&self.happened).clone()
    }
}
