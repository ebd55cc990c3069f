//! A rule: whom it is for, and what it permits.

use std::sync::Arc;

use gcsd_wire::Request;

use super::denial::Denial;
use super::identity::Who;
use super::limits::{Limits, Place, Usage};
use super::needs::{self, Condition, Name, Need, Needs, conditions};
use super::verb::Verb;

/// A rule of the policy. Its name is the identity of whomever it fits.
#[derive(Debug)]
pub struct Rule {
    pub(super) name: Arc<str>,
    pub(super) who: Who,
    pub(super) grants: Vec<Grant>,
    pub(super) limits: Limits,
    pub(super) usage: Usage,
}

/// What a rule permits: verbs on the objects of buckets.
#[derive(Debug, Clone)]
pub struct Grant {
    pub(super) buckets: Vec<Bucket>,
    /// What the names of objects begin with; `""` for all.
    pub(super) prefixes: Vec<String>,
    pub(super) verbs: Vec<Verb>,
}

/// Which buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bucket {
    /// The one of this name.
    Named(String),
    /// All whose names begin with this.
    Prefix(String),
}

impl Bucket {
    fn is(&self, bucket: &str) -> bool {
        match self {
            Self::Named(name) => name == bucket,
            Self::Prefix(prefix) => bucket.starts_with(prefix.as_str()),
        }
    }
}

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl Grant {
    /// Whether it permits the verb on the object, or on all names that begin with `name.object`.
    fn permits(&self, verb: Verb, name: Name<'_>) -> bool {
        self.verbs.contains(&verb)
            && self.has(name.bucket)
            && self
                .prefixes
                .iter()
                .any(|prefix| name.object.starts_with(prefix.as_str()))
    }

    fn has(&self, bucket: &str) -> bool {
        self.buckets.iter().any(|it| it.is(bucket))
    }

    /// Whether it is for every bucket.
    fn has_all(&self) -> bool {
        self.buckets.contains(&Bucket::Prefix(String::new()))
    }

    /// Whether it permits something on the bucket itself, which has no prefix.
    fn permits_bucket(&self, verb: Verb, bucket: &str) -> bool {
        self.verbs.contains(&verb) && self.has(bucket)
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on ", super::verb::names(&self.verbs))?;
        let places = self.buckets.iter().flat_map(|bucket| {
            let prefixes = self.prefixes.iter();
            prefixes.map(move |prefix| format!("gs://{bucket}/{prefix}*"))
        });
        f.write_str(&places.collect::<Vec<_>>().join(", "))
    }
}

impl Rule {
    /// The identity of whomever it fits.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, to be kept.
    pub fn identity(&self) -> Arc<str> {
        self.name.clone()
    }

    /// The grant that permits a verb on an object, if there is one. For [`Verb::List`] the object is what the names begin with, for
    /// [`Verb::StatBucket`] and [`Verb::ListBuckets`] it is nothing.
    pub fn grant(&self, verb: Verb, bucket: &str, object: &str) -> Option<&Grant> {
        let name = Name { bucket, object };
        self.grants.iter().find(|grant| match verb {
            Verb::ListBuckets => grant.verbs.contains(&verb) && grant.has_all(),
            Verb::StatBucket => grant.permits_bucket(verb, bucket),
            _ => grant.permits(verb, name),
        })
    }

    /// What its identity may have.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Waits for the place of another request of its identity. Cancel safe.
    pub async fn begin(&self) -> Place {
        self.usage.begin().await
    }

    /// Decides on the size of an object that is sent: as far as it is known.
    pub fn admit_size(&self, size: u64) -> Result<(), Denial> {
        match self.limits.max_object_size {
            Some(max) if size > max => Err(Denial::size(self, max)),
            _ => Ok(()),
        }
    }

    /// What it permits.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Why it does not permit a verb there.
    pub fn denial(&self, verb: Verb, bucket: &str, object: &str) -> Denial {
        Denial::new(self, verb, Name { bucket, object })
    }

    /// Decides on a request before anything is done for it. Where objects may be made but not replaced, a request that says nothing of
    /// what is there is changed into one that replaces nothing.
    ///
    /// A request on an upload is let through: [`admit_upload`](Self::admit_upload) decides on it, once the object is known.
    pub fn admit(&self, request: &mut Request) -> Result<(), Denial> {
        let needs = match Needs::of(request) {
            Needs::Nothing | Needs::Upload => return Ok(()),
            Needs::Each(needs) => needs,
        };
        if self.limits.max_object_size.is_some() && needs::has_no_size(request) {
            return Err(Denial::unbounded(self));
        }
        let mut only_new = false;
        for need in needs {
            only_new |= self.permits(need)? == Permitted::IfAbsent;
        }
        if only_new {
            let Some(conditions) = conditions(request) else {
                // A request whose condition is open can have one.
                return Err(Denial::defect(self));
            };
            conditions.if_generation_match = Some(0);
        }
        Ok(())
    }

    /// Decides on a request on an upload that becomes this object.
    pub fn admit_upload(&self, bucket: &str, object: &str) -> Result<(), Denial> {
        self.permits(Need::Continue(Name { bucket, object })).map(drop)
    }

    fn permits(&self, need: Need<'_>) -> Result<Permitted, Denial> {
        let may = |verb, name: Name<'_>| self.grant(verb, name.bucket, name.object).is_some();
        let on = |verb, name| match may(verb, name) {
            true => Ok(Permitted::AsItIs),
            false => Err(Denial::new(self, verb, name)),
        };
        match need {
            Need::On(verb, name) => on(verb, name),
            Need::List(name) => on(Verb::List, name),
            Need::Bucket(bucket) => on(Verb::StatBucket, Name { bucket, object: "" }),
            Need::Buckets => on(
                Verb::ListBuckets,
                Name {
                    bucket: "",
                    object: "",
                },
            ),
            Need::Continue(name) => match may(Verb::Create, name) || may(Verb::Replace, name) {
                true => Ok(Permitted::AsItIs),
                false => Err(Denial::new(self, Verb::Create, name)),
            },
            Need::Make(name, condition) => {
                match (may(Verb::Create, name), may(Verb::Replace, name), condition) {
                    (true, true, _)
                    | (true, false, Condition::Absent)
                    | (false, true, Condition::Present) => Ok(Permitted::AsItIs),
                    (true, false, Condition::Open) => Ok(Permitted::IfAbsent),
                    (true, false, Condition::Present | Condition::Other) => {
                        Err(Denial::new(self, Verb::Replace, name).may_be_new())
                    }
                    (false, _, _) => Err(Denial::new(self, Verb::Create, name)),
                }
            }
        }
    }

    /// Where the rule permits a verb, as people write it.
    pub(super) fn places(&self, verb: Verb) -> impl Iterator<Item = String> {
        let grants = self
            .grants
            .iter()
            .filter(move |grant| grant.verbs.contains(&verb));
        grants.flat_map(|grant| {
            grant.buckets.iter().flat_map(|bucket| {
                let prefixes = grant.prefixes.iter();
                prefixes.map(move |prefix| format!("gs://{bucket}/{prefix}*"))
            })
        })
    }

    /// What the rule permits on this object.
    pub(super) fn verbs_on(&self, name: Name<'_>) -> Vec<Verb> {
        let permitted = |verb: &&Verb| self.grant(**verb, name.bucket, name.object).is_some();
        Verb::ALL.iter().filter(permitted).copied().collect()
    }
}

/// How a request is permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permitted {
    /// As it is.
    AsItIs,
    /// If it replaces nothing.
    IfAbsent,
}
