//! The policy as the configuration file has it: the table `[policy]`.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::Deserialize;

use super::identity::{Named, Who};
use super::limits::{Limits, Usage};
use super::rule::{Bucket, Grant, Rule};
use super::secret::SecretHash;
use super::{Policy, Verb};

/// The longest name of a rule or a secret, in bytes.
const MAX_NAME: usize = 64;

/// The table `[policy]` of a configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The rules. Where there are none, nobody may do anything.
    #[serde(default)]
    rule: Vec<RuleConfig>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleConfig {
    name: String,
    #[serde(default)]
    uids: Vec<u32>,
    #[serde(default)]
    gids: Vec<u32>,
    #[serde(default)]
    certificates: Vec<String>,
    #[serde(default)]
    secrets: Vec<SecretConfig>,
    #[serde(default)]
    auth_file: bool,
    #[serde(default)]
    anybody: bool,
    max_in_flight: Option<NonZeroU32>,
    max_object_size: Option<u64>,
    #[serde(default)]
    allow: Vec<GrantConfig>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SecretConfig {
    name: String,
    sha256: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GrantConfig {
    buckets: Vec<String>,
    prefixes: Option<Vec<String>>,
    verbs: Vec<Verb>,
}

/// Why a configuration is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A name that cannot be one.
    #[error("the {what} \"{name}\" needs another name: 1 to 64 of a-z, A-Z, 0-9, '.', '_', '@' and '-'")]
    Name {
        /// A rule or a secret.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Two have the same name.
    #[error("there are two {what}s \"{name}\": give one of them another name")]
    Twice {
        /// A rule or a secret.
        what: &'static str,
        /// Their name.
        name: String,
    },
    /// Nobody is meant.
    #[error(
        "the rule \"{0}\" is for nobody: say for whom, by uids, gids, certificates, secrets, auth-file or anybody"
    )]
    Nobody(String),
    /// A hash that is none.
    #[error("the secret \"{0}\" has no SHA-256 of 64 hexadecimal digits: make one with: gcsd secret new {0}")]
    Hash(String),
    /// A name in a certificate that is none.
    #[error(
        "the rule \"{rule}\" names the certificate \"{name}\": write subject:CN=..., dns:NAME, uri:URI or email:ADDRESS"
    )]
    Certificate {
        /// The rule.
        rule: String,
        /// What it says.
        name: String,
    },
    /// A bucket that cannot be one.
    #[error(
        "the rule \"{rule}\" names the bucket \"{bucket}\": write a bucket's name, the beginning of names and '*', or '*'"
    )]
    Bucket {
        /// The rule.
        rule: String,
        /// What it says.
        bucket: String,
    },
    /// A list of an `allow` that has nothing in it.
    #[error("the rule \"{rule}\" allows something with no {what}: {help}")]
    Empty {
        /// The rule.
        rule: String,
        /// The list.
        what: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// A verb on a prefix that it does not know.
    #[error(
        "the rule \"{rule}\" permits list-buckets on some buckets only: it tells of all, and goes with buckets = [\"*\"]"
    )]
    ListBuckets {
        /// The rule.
        rule: String,
    },
}

impl Policy {
    /// The policy that a configuration describes.
    pub fn new(config: Config) -> Result<Self, PolicyError> {
        let (mut rules, mut secrets) = (BTreeSet::new(), BTreeSet::new());
        for rule in &config.rule {
            check_name("rule", &rule.name, &mut rules)?;
            for secret in &rule.secrets {
                check_name("secret", &secret.name, &mut secrets)?;
            }
        }
        let rules = config.rule.into_iter().map(|rule| rule.read().map(Arc::new));
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

impl RuleConfig {
    fn read(self) -> Result<Rule, PolicyError> {
        for name in &self.certificates {
            let known = ["subject:", "dns:", "uri:", "email:"]
                .iter()
                .any(|kind| name.strip_prefix(kind).is_some_and(|value| !value.is_empty()));
            if !known {
                let (rule, name) = (self.name, name.clone());
                return Err(PolicyError::Certificate { rule, name });
            }
        }
        let secrets = self.secrets.into_iter().map(SecretConfig::read);
        let who = Who {
            uids: self.uids,
            gids: self.gids,
            certificates: self.certificates,
            secrets: secrets.collect::<Result<_, _>>()?,
            auth_file: self.auth_file,
            anybody: self.anybody,
        };
        if who.is_empty() {
            return Err(PolicyError::Nobody(self.name));
        }
        let limits = Limits {
            max_in_flight: self.max_in_flight.map(NonZeroU32::get),
            max_object_size: self.max_object_size,
        };
        let grants = self.allow.into_iter().map(|grant| grant.read(&self.name));
        Ok(Rule {
            grants: grants.collect::<Result<_, _>>()?,
            name: self.name.into(),
            usage: Usage::new(&limits),
            limits,
            who,
        })
    }
}

impl SecretConfig {
    fn read(self) -> Result<Named, PolicyError> {
        match SecretHash::from_hex(&self.sha256) {
            Some(hash) => Ok(Named {
                name: self.name,
                hash,
            }),
            None => Err(PolicyError::Hash(self.name)),
        }
    }
}

impl GrantConfig {
    fn read(self, rule: &str) -> Result<Grant, PolicyError> {
        let rule = || rule.to_owned();
        let empty = |what, help| PolicyError::Empty {
            rule: rule(),
            what,
            help,
        };
        if self.buckets.is_empty() {
            return Err(empty("buckets", "name some, or write buckets = [\"*\"]"));
        }
        if self.verbs.is_empty() {
            return Err(empty("verbs", "name some, or leave it out"));
        }
        let prefixes = self.prefixes.unwrap_or_else(|| vec![String::new()]);
        if prefixes.is_empty() {
            return Err(empty("prefixes", "leave prefixes out for all objects"));
        }
        let bucket = |name: String| match bucket(&name) {
            Some(bucket) => Ok(bucket),
            None => Err(PolicyError::Bucket {
                rule: rule(),
                bucket: name,
            }),
        };
        let buckets = self
            .buckets
            .into_iter()
            .map(bucket)
            .collect::<Result<Vec<_>, _>>()?;
        if self.verbs.contains(&Verb::ListBuckets) && !buckets.contains(&Bucket::Prefix(String::new())) {
            return Err(PolicyError::ListBuckets { rule: rule() });
        }
        Ok(Grant {
            buckets,
            prefixes,
            verbs: self.verbs,
        })
    }
}

/// A bucket, or the beginning of names of buckets.
fn bucket(text: &str) -> Option<Bucket> {
    match text.strip_suffix('*') {
        Some(prefix) => {
            let inner =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
            prefix
                .bytes()
                .all(inner)
                .then(|| Bucket::Prefix(prefix.to_owned()))
        }
        None => gcsd_types::BucketName::new(text)
            .ok()
            .map(|_| Bucket::Named(text.to_owned())),
    }
}

/// Whether a rule or a secret can have this name.
pub fn is_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'-');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(inner)
}

fn check_name(what: &'static str, name: &str, known: &mut BTreeSet<String>) -> Result<(), PolicyError> {
    if !is_name(name) {
        let name = name.to_owned();
        return Err(PolicyError::Name { what, name });
    }
    if !known.insert(name.to_owned()) {
        let name = name.to_owned();
        return Err(PolicyError::Twice { what, name });
    }
    Ok(())
}
