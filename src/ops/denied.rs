//! What the policy decides on a request, before anything is done for it.

use std::sync::Arc;

use super::Failure;
use crate::policy::{Denial, Needs, Rule, Verb};
use gcsd_types::{BucketName, ObjectName};
use gcsd_wire::{Kind, Request, Retry};

/// By which rule a request is permitted, and for what: for the audit log.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The rule of whoever has made it.
    pub rule: Arc<Rule>,
    /// What it needs.
    pub verbs: Vec<Verb>,
}

/// Decides on a request; may put a condition on it, so that it replaces nothing. `body_len` is that of its head, if that is known.
pub fn decide(
    rule: &Arc<Rule>,
    request: &mut Request,
    body_len: Option<u64>,
) -> (Decided, Result<(), Failure>) {
    let size = match request {
        Request::StartUpload(args) => args.size,
        Request::PutObject(_) => body_len,
        Request::WriteAt(args) => {
            let end = body_len.map(|len| args.offset.saturating_add(len));
            args.total.max(end)
        }
        Request::FinishUpload(args) => Some(args.total),
        _ => None,
    };
    let permitted = rule
        .admit(request)
        .and_then(|()| rule.admit_size(size.unwrap_or(0)));
    let permitted = permitted.map_err(Failure::from);
    let decided = Decided {
        rule: rule.clone(),
        verbs: Needs::of(request).verbs(),
    };
    (decided, permitted)
}

/// Decides on a request on an upload that becomes this object. Without a policy, everything is permitted.
pub fn decide_upload(rule: Option<&Rule>, bucket: &BucketName, object: &ObjectName) -> Result<(), Failure> {
    match rule {
        Some(rule) => Ok(rule.admit_upload(bucket.as_str(), object.as_str())?),
        None => Ok(()),
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self::new(Kind::Denied, Retry::Never, denial.to_string())
    }
}
