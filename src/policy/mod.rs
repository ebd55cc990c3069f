//! Who may do what: the rules of the configuration, and what a request needs of them.
//!
//! ```text
//!   what a connection shows --Policy::identify--> Rule --Rule::admit(request)--> go on, or Denial
//! ```
//!
//! Nothing here does any I/O. Where there is no policy, everybody who gets in may do what the daemon's credentials permit; where
//! there is one, what no rule permits is denied.

mod config;
mod denial;
mod identity;
mod limits;
mod needs;
mod rule;
mod secret;
#[cfg(test)]
mod tests;
mod verb;

use std::sync::{Arc, PoisonError, RwLock};

pub use config::{Config, PolicyError, is_name};
pub use denial::Denial;
pub use identity::{Evidence, Shown};
pub use limits::{Limits, Place};
pub use needs::{Condition, Name, Need, Needs};
pub use rule::{Grant, Rule};
pub use secret::{SecretHash, new_secret};
pub use verb::{Verb, VerbError};

/// The rules, in the order of the configuration.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Arc<Rule>>,
}

impl Policy {
    /// The rule of whoever has shown this; `None` if there is none.
    ///
    /// A secret decides, if one was shown. Else it is the first rule, in their order, that fits the socket's peer or its
    /// certificate, and else the first that is for anybody.
    pub fn identify(&self, evidence: &Evidence) -> Option<&Arc<Rule>> {
        let first = |fits: &dyn Fn(&Rule) -> bool| self.rules.iter().find(|rule| fits(rule));
        match &evidence.secret {
            // All are asked: how long it takes does not tell which one fits.
            Some(shown) => {
                self.rules.iter().rev().fold(
                    None,
                    |found, rule| {
                        if rule.who.knows(shown) { Some(rule) } else { found }
                    },
                )
            }
            None => first(&|rule| rule.who.fits(evidence)).or_else(|| first(&|rule| rule.who.anybody)),
        }
    }

    /// The rule of this name.
    pub fn rule(&self, name: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.name() == name)
    }

    /// Whether a rule is for who knows the secret of `--auth-file`.
    pub fn knows_auth_file(&self) -> bool {
        self.rules.iter().any(|rule| rule.who.auth_file)
    }

    /// The rules, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|rule| &**rule)
    }

    /// Whether a rule is for whom a secret in Hello identifies.
    pub fn takes_secrets(&self) -> bool {
        let takes = |rule: &Arc<Rule>| rule.who.auth_file || !rule.who.secrets.is_empty();
        self.rules.iter().any(takes)
    }
}

/// The policy in force, if there is one, for all connections. It can be replaced while they are served.
#[derive(Debug, Clone, Default)]
pub struct Access(Arc<RwLock<Option<Arc<Policy>>>>);

impl Access {
    /// This policy; with `None`, none.
    pub fn new(policy: Option<Policy>) -> Self {
        Self(Arc::new(RwLock::new(policy.map(Arc::new))))
    }

    /// The policy in force.
    pub fn policy(&self) -> Option<Arc<Policy>> {
        // A change is one assignment.
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another policy in force: connections are held to it from their next request on. A rule that keeps its name and its
    /// limits keeps what is counted against them.
    pub fn replace(&self, policy: Option<Policy>) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut policy = policy;
        if let (Some(policy), Some(before)) = (&mut policy, current.as_deref()) {
            for rule in &mut policy.rules {
                let before = before
                    .rule(rule.name())
                    .filter(|before| before.limits == rule.limits);
                if let (Some(before), Some(rule)) = (before, Arc::get_mut(rule)) {
                    rule.usage = before.usage.clone();
                }
            }
        }
        *current = policy.map(Arc::new);
    }
}
