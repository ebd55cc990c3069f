//! Who is at the other end of a connection, and which rule of the policy is theirs.

use std::sync::Arc;

use super::{Context, Failure};
use crate::policy::{Evidence, Policy, Rule, SecretHash, Shown};
use gcsd_wire::hello::Args;
use gcsd_wire::{Kind, Retry};

/// Who is at the other end of a connection, as far as they have shown.
///
/// What a connection may do follows from the policy in force at each request. Who it is does not change: uploads are bound to it.
#[derive(Debug)]
pub struct Caller {
    evidence: Evidence,
    /// Whether the secret of `--auth-file` is required, where there is no policy.
    required: bool,
    /// The rule, once a request was permitted by it, with the policy that it is of.
    settled: Option<(Arc<Policy>, Arc<Rule>)>,
}

impl Caller {
    /// Whoever has shown this.
    pub fn new(context: &Context, evidence: Evidence) -> Self {
        Self {
            evidence,
            required: context.secret.is_some(),
            settled: None,
        }
    }

    /// The rule for the next request that is no Hello; `None` if there is no policy. Fails if it is not known who it is.
    pub fn rule(&self, context: &Context) -> Result<Option<Arc<Rule>>, Failure> {
        let Some(policy) = context.access.policy() else {
            return match self.required && self.evidence.secret.is_none() {
                true => Err(unauthenticated(
                    "this daemon requires a secret: send it in Hello first",
                )),
                false => Ok(None),
            };
        };
        if let Some((of, rule)) = &self.settled
            && Arc::ptr_eq(of, &policy)
        {
            return Ok(Some(rule.clone()));
        }
        let rule = policy
            .identify(&self.evidence)
            .ok_or_else(|| match policy.takes_secrets() {
                true => unauthenticated(
                    "no rule of this daemon's policy is for this connection: send a secret in Hello first",
                ),
                false => unauthenticated("no rule of this daemon's policy is for this connection"),
            })?;
        match &self.settled {
            Some((_, before)) if before.name() != rule.name() => Err(other_identity()),
            _ => Ok(Some(rule.clone())),
        }
    }

    /// A request is answered by this rule: whoever it is, they are so until the connection ends.
    pub fn settle(&mut self, context: &Context, rule: &Arc<Rule>) {
        if let Some(policy) = context.access.policy()
            // It may have been replaced just now: the next request sees to it.
            && policy.rule(rule.name()).is_some_and(|its| Arc::ptr_eq(its, rule))
        {
            self.settled = Some((policy, rule.clone()));
        }
    }

    /// Whether the next request may be something else than Hello.
    pub fn is_known(&self, context: &Context) -> bool {
        self.rule(context).is_ok()
    }

    /// Looks at the secret that a Hello has brought.
    pub(super) fn greeted(&mut self, context: &Context, args: &Args) -> Result<(), Failure> {
        let is_that_of_the_file = || {
            let secret = context.secret.as_ref();
            args.name.is_none() && secret.is_some_and(|secret| secret.is(&args.secret))
        };
        let Some(policy) = context.access.policy() else {
            if context.secret.is_none() {
                // What is not asked for is ignored.
                return Ok(());
            }
            if args.name.is_some() {
                return Err(unauthenticated(
                    "the secret of this daemon has no name: leave it out",
                ));
            }
            if !is_that_of_the_file() {
                return Err(unauthenticated(
                    "the secret is not the one that this daemon expects",
                ));
            }
            self.evidence.secret = Some(Shown::AuthFile);
            return Ok(());
        };
        let brings_none = args.secret.is_empty() && args.name.is_none();
        if brings_none || !policy.takes_secrets() {
            return Ok(());
        }
        let secret = match is_that_of_the_file() {
            true => Shown::AuthFile,
            false => Shown::Hashed(args.name.clone(), SecretHash::of(&args.secret)),
        };
        let evidence = Evidence {
            secret: Some(secret),
            ..self.evidence.clone()
        };
        let Some(rule) = policy.identify(&evidence) else {
            return Err(unauthenticated("this daemon knows no such secret"));
        };
        if let Some((_, before)) = &self.settled
            && before.name() != rule.name()
        {
            return Err(other_identity());
        }
        self.evidence = evidence;
        Ok(())
    }
}

fn unauthenticated(message: &str) -> Failure {
    Failure::new(Kind::Unauthenticated, Retry::Never, message)
}

fn other_identity() -> Failure {
    unauthenticated("this connection has been somebody else until now: open another one")
}
