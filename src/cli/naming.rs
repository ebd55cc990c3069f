//! How a command line names objects that are there: by their names, by patterns, or by a list.
//!
//! One rule holds for all commands. What is to be made, the object of a `put` or the target of a `cp`, is called exactly as
//! it is written. What is there is named by a pattern where that has special characters, unless an object is called exactly
//! so: then it is that one.

use std::vec;

use clap::Args;

use super::exit::{Exit, Failure};
use super::gs_url::{BucketUrl, GsUrl};
use super::name_list::NameList;
use super::operands;
use super::quoting::shown;
use super::stderr;
use super::walk::{Found, Walk, Walking, fields};
use gcsd_client::{ObjectPages, ReliableRequests};
use gcsd_types::{ObjectName, ObjectQuery, ObjectRef};

/// How names are taken.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Names")]
pub(super) struct Naming {
    /// Take names as they are. Without it, '*', '?' and '[a-z]' make a pattern of a name, and '#' with a number at its end
    /// names a generation, unless there is an object of exactly that name.
    #[arg(long)]
    pub(super) literal: bool,
}

/// Where names come from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Names")]
pub(super) struct Listed {
    /// Read the names from standard input, one a line, as 'gcsd ls' prints them into a pipe. None of them is a pattern.
    #[arg(long)]
    pub(super) stdin: bool,
    /// With --stdin: each name ends with a NUL instead of a line break.
    #[arg(long, short = '0')]
    null: bool,
}

impl Listed {
    /// The names on standard input.
    pub(super) fn names(&self) -> Result<NameList, Failure> {
        NameList::stdin(if self.null { 0 } else { b'\n' })
    }
}

/// Names, one after the other.
pub(super) enum Names {
    /// Those on the command line.
    Given(vec::IntoIter<BucketUrl>),
    /// Those of a list.
    Listed(NameList, Naming),
}

impl Names {
    /// Those that `given` holds, or those of a list.
    pub(super) fn new(given: &[BucketUrl], naming: &Naming, listed: &Listed) -> Result<Self, Failure> {
        if listed.stdin {
            return Ok(Self::Listed(listed.names()?, naming.clone()));
        }
        if listed.null {
            // clap does not hold it against a command that has names, and so cannot have --stdin.
            return Err(Failure::usage("--null is about the names of --stdin"));
        }
        let given: Vec<_> = given.iter().map(|url| naming.taken(url.clone())).collect();
        Ok(Self::Given(given.into_iter()))
    }

    /// Whether there is one, and it stands on the command line.
    pub(super) fn is_one(&self) -> bool {
        matches!(self, Self::Given(urls) if urls.len() == 1)
    }

    /// The next one, or what is wrong with it.
    pub(super) async fn next(&mut self) -> Option<Result<Name, Failure>> {
        match self {
            Self::Given(urls) => urls.next().map(|url| Ok(Name { url, listed: false })),
            Self::Listed(names, naming) => {
                let name = names.next().await?;
                Some(name.and_then(|text| naming.listed(&text)))
            }
        }
    }

    /// All of them.
    pub(super) async fn all(self) -> Result<Vec<Name>, Failure> {
        match self {
            Self::Given(urls) => Ok(urls.map(|url| Name { url, listed: false }).collect()),
            Self::Listed(names, naming) => {
                let names = names.all().await?;
                names.iter().map(|text| naming.listed(text)).collect()
            }
        }
    }
}

/// A name, of whatever it may stand for.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) url: BucketUrl,
    /// It comes from a list, and is not a pattern.
    listed: bool,
}

impl Naming {
    /// A URL of the command line, and how to read it.
    pub(super) fn taken(&self, url: BucketUrl) -> BucketUrl {
        match self.literal {
            true => url.literally(),
            false => url,
        }
    }

    /// Reads a name of a list.
    fn listed(&self, text: &str) -> Result<Name, Failure> {
        let url: BucketUrl = operands::read(text)?;
        let url = self.taken(url);
        Ok(Name { url, listed: true })
    }
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Meaning {
    /// One object, whether it is there or not, or a version of it.
    Object { url: GsUrl, generation: Option<u64> },
    /// Whatever a walk finds.
    Walk(BucketUrl),
}

impl From<BucketUrl> for Name {
    fn from(url: BucketUrl) -> Self {
        Self { url, listed: false }
    }
}

impl Name {
    /// What it stands for. A walk by `how` is made for a pattern, and where objects below the name, or versions of it, are
    /// asked for. Where it could mean something else, too, that is said, unless `quiet`.
    pub(super) async fn meaning(&self, how: &Walking, quiet: bool) -> Result<Meaning, Failure> {
        let url = &self.url;
        let pattern = url.is_pattern() && !self.listed;
        let version = url.version();
        if !pattern && version.is_none() {
            return self.as_it_is(how);
        }
        if self.is_there(how).await.map_err(advised)? {
            let others = match version {
                _ if pattern => self.matches_others(how).await?,
                Some((name, generation)) => is_version(how, url, name, generation).await,
                None => false,
            };
            if others && !quiet {
                let other = if pattern {
                    "a pattern"
                } else {
                    "a name and a generation"
                };
                let url = url.to_string();
                let url = shown(&url);
                stderr::line(format_args!(
                    "gcsd: an object is called exactly so, and is taken; as {other}, it stands for others, too: {url}"
                ));
            }
            return self.as_it_is(how);
        }
        match version {
            _ if pattern => Ok(Meaning::Walk(url.clone())),
            Some((name, generation)) => {
                let name = ObjectName::new(name).map_err(|error| Failure::usage(error).at(url))?;
                let bucket = url.bucket.clone();
                Ok(Meaning::Object {
                    url: GsUrl { bucket, object: name },
                    generation: Some(generation),
                })
            }
            None => self.as_it_is(how),
        }
    }

    /// What it stands for where nothing in it means anything else.
    fn as_it_is(&self, how: &Walking) -> Result<Meaning, Failure> {
        let url = self.url.clone().literally();
        if how.descends() || how.versions {
            return Ok(Meaning::Walk(url));
        }
        let object = url.object().map_err(|error| Failure::usage(error).at(&url))?;
        Ok(Meaning::Object {
            url: object,
            generation: None,
        })
    }

    /// Whether something is called exactly so.
    async fn is_there(&self, how: &Walking) -> Result<bool, Failure> {
        let name = self.url.prefix.as_str();
        let found = |found: Option<String>| found.is_some_and(|found| found == name);
        if found(self.first(how, name.to_owned()).await?) {
            return Ok(true);
        }
        if !how.descends() {
            return Ok(false);
        }
        Ok(self.first(how, self.below()).await?.is_some())
    }

    /// What the names of objects below it begin with.
    fn below(&self) -> String {
        let name = self.url.prefix.as_str();
        format!("{}/", name.strip_suffix('/').unwrap_or(name))
    }

    /// The first name that begins with `prefix`.
    async fn first(&self, how: &Walking, prefix: String) -> Result<Option<String>, Failure> {
        let query = ObjectQuery {
            prefix: Some(prefix),
            max_results: Some(1),
            versions: how.versions,
            user_project: how.user_project.clone(),
            fields: fields(),
            ..ObjectQuery::new(self.url.bucket.clone())
        };
        let mut pages = ObjectPages::new(how.requests.clone(), query);
        while let Some(page) = pages
            .next()
            .await
            .map_err(|error| Failure::from(error).at(&self.url))?
        {
            if let Some(first) = page.objects.into_iter().next() {
                return Ok(Some(first.name));
            }
        }
        Ok(None)
    }

    /// Whether it stands for others than what is called exactly so, taken as a pattern.
    async fn matches_others(&self, how: &Walking) -> Result<bool, Failure> {
        let below = self.below();
        let exactly = |name: &str| {
            name == self.url.prefix || (how.descends() && (name.starts_with(&below) || name == below))
        };
        let mut walk = Walk::new(how.clone(), &self.url);
        while let Some(found) = walk.next().await? {
            let other = match &found {
                Found::Object(object) => !exactly(&object.name),
                Found::Prefix(prefix) => how.descends() && !exactly(prefix),
            };
            if other {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether there is such a version of an object.
async fn is_version(how: &Walking, url: &BucketUrl, name: &str, generation: u64) -> bool {
    let Ok(name) = ObjectName::new(name) else {
        return false;
    };
    let object = ObjectRef {
        generation: Some(generation),
        user_project: how.user_project.clone(),
        ..ObjectRef::new(url.bucket.clone(), name)
    };
    let requests: &ReliableRequests = &how.requests;
    requests.stat(&object).await.is_ok()
}

/// Without the permission to list, a name can still be given as it is.
fn advised(failure: Failure) -> Failure {
    match failure.exit() {
        Exit::NotPermitted => failure.advise_too("--literal takes the name as it is, and lists nothing"),
        _ => failure,
    }
}
