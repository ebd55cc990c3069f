//! Why a request is denied.

use std::fmt;

use super::needs::Name;
use super::rule::Rule;
use super::verb::{Verb, names};

/// How many places a message names.
const MAX_PLACES: usize = 8;

/// What a rule does not permit. Its text tells the identity, the verb and the object, and what is permitted instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    text: String,
}

impl Denial {
    pub(super) fn new(rule: &Rule, verb: Verb, name: Name<'_>) -> Self {
        let on = match verb {
            Verb::ListBuckets => "the buckets of a project".to_owned(),
            Verb::StatBucket => format!("gs://{}", name.bucket),
            Verb::List => format!("gs://{}/{}*", name.bucket, name.object),
            _ => format!("gs://{}/{}", name.bucket, name.object),
        };
        let here = match verb {
            Verb::List | Verb::StatBucket | Verb::ListBuckets => Vec::new(),
            _ => rule.verbs_on(name),
        };
        let mut places: Vec<_> = rule.places(verb).take(MAX_PLACES + 1).collect();
        if places.len() > MAX_PLACES {
            places[MAX_PLACES] = "...".to_owned();
        }
        let instead = match (here.is_empty(), places.is_empty()) {
            (false, _) => format!("here it may {}", names(&here)),
            (true, false) => format!("it may do so on {}", places.join(", ")),
            (true, true) => "it may do so nowhere".to_owned(),
        };
        let text = format!(
            "the rule \"{}\" does not permit {verb} on {on}: {instead}",
            rule.name()
        );
        Self { text }
    }

    /// With what would be permitted: an object where there is none.
    pub(super) fn may_be_new(mut self) -> Self {
        self.text += ", and this request takes no condition that there is no object, or has another one";
        self
    }

    /// An object that is larger than the rule permits.
    pub(super) fn size(rule: &Rule, max: u64) -> Self {
        let text = format!(
            "the rule \"{}\" permits objects of at most {max} bytes",
            rule.name()
        );
        Self { text }
    }

    /// A request that makes an object of any size.
    pub(super) fn unbounded(rule: &Rule) -> Self {
        let text = format!(
            "the rule \"{}\" limits the size of objects, and this request makes one whose size is not known before",
            rule.name()
        );
        Self { text }
    }

    /// What should not happen.
    pub(super) fn defect(rule: &Rule) -> Self {
        let text = format!(
            "the rule \"{}\" permits new objects only, and this request takes no condition",
            rule.name()
        );
        Self { text }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Denial {}
