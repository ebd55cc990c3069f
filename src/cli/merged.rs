//! The objects of several sources, in the order of what they become.
//!
//! Lists are in the order of their names, and all names of one walk begin alike up to where their targets begin: so each
//! walk comes in the order of its targets, and of all of them together no more than a page each is held. Two objects with one
//! target come one after the other.

use std::vec;

use super::exit::{Exit, Failure};
use super::gs_url::BucketUrl;
use super::walk::Walk;
use gcsd_client::ListedObject;
use gcsd_types::BucketName;

/// How many entries of lists are held, at most, by all walks together.
const HELD: usize = 1000;

/// The fewest entries of a page that are asked for.
const LEAST: usize = 20;

/// How many entries each of so many walks may hold.
pub(super) fn page(walks: usize) -> Option<u32> {
    let page = HELD.checked_div(walks).unwrap_or(HELD).max(LEAST);
    u32::try_from(page).ok().filter(|_| walks > 1)
}

/// An object, and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) bucket: BucketName,
    pub(super) name: String,
    pub(super) generation: Option<u64>,
    /// It comes from a list, with the generation that is live there.
    pub(super) listed: bool,
    /// What it becomes. Two objects of one target have the same.
    pub(super) target: String,
}

impl Candidate {
    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        format!("gs://{}/{}", self.bucket, self.name)
    }

    /// Whether both are one object, and the same version as far as is known.
    pub(super) fn is(&self, other: &Self) -> bool {
        (&self.bucket, &self.name) == (&other.bucket, &other.name)
            && (self.generation.is_none()
                || other.generation.is_none()
                || self.generation == other.generation)
    }
}

/// What comes next.
pub(super) enum Next {
    Object(Candidate),
    /// A walk ends so.
    Failed(BucketUrl, Failure),
}

/// What an object becomes; `rest` is what its name has behind the beginning that all of its walk have. It is `None` for
/// the object that is called as the directory is, of which only what lies below it has a target of its own.
pub(super) type Target = Box<dyn Fn(Option<&str>) -> String + Send + Sync>;

/// All of them.
pub(super) struct Merged {
    /// Objects that are named one by one, in order.
    named: std::iter::Peekable<vec::IntoIter<Candidate>>,
    walks: Vec<Walking>,
    target: Target,
}

/// A walk, and the first of what it has not given yet.
struct Walking {
    walk: Walk,
    url: BucketUrl,
    /// Where in its names the targets begin.
    base: usize,
    first: Option<Candidate>,
    /// The target of what it gave last.
    last: String,
}

impl Merged {
    pub(super) fn new(mut named: Vec<Candidate>, target: Target) -> Self {
        named.sort_by(|one, other| one.target.cmp(&other.target));
        Self {
            named: named.into_iter().peekable(),
            walks: Vec::new(),
            target,
        }
    }

    /// Adds what `walk` to `url` finds; their targets begin at `base` in the names.
    pub(super) fn add(&mut self, walk: Walk, url: BucketUrl, base: usize) {
        self.walks.push(Walking {
            walk,
            url,
            base,
            first: None,
            last: String::new(),
        });
    }

    /// The next object; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Next> {
        let mut at = 0;
        while let Some(walking) = self.walks.get_mut(at) {
            match walking.look(&self.target).await {
                Ok(true) => at += 1,
                Ok(false) => drop(self.walks.remove(at)),
                Err(failure) => {
                    let walking = self.walks.remove(at);
                    return Some(Next::Failed(walking.url, failure));
                }
            }
        }
        let walks = self.walks.iter_mut().filter(|walking| walking.first.is_some());
        let least = walks.min_by(|one, other| one.target().cmp(&other.target()));
        let named = self.named.peek().map(|named| named.target.as_str());
        match least {
            Some(walking) if named.is_none_or(|named| walking.target() < Some(named)) => {
                let first = walking.first.take()?;
                walking.last.clone_from(&first.target);
                Some(Next::Object(first))
            }
            _ => self.named.next().map(Next::Object),
        }
    }
}

impl Walking {
    /// Sees to it that its first object is known. Says whether there is one.
    async fn look(&mut self, target: &Target) -> Result<bool, Failure> {
        if self.first.is_some() {
            return Ok(true);
        }
        let Some(listed) = self.walk.next_object().await? else {
            return Ok(false);
        };
        let next = self.candidate(listed, target);
        if next.target < self.last {
            // Two objects of one target could be missed.
            let what = "GCS's list is not in the order of its names";
            return Err(Failure::new(Exit::Failed, "bad_response", what));
        }
        self.first = Some(next);
        Ok(true)
    }

    fn target(&self) -> Option<&str> {
        self.first.as_ref().map(|first| first.target.as_str())
    }

    fn candidate(&self, listed: ListedObject, target: &Target) -> Candidate {
        let target = target(listed.name.get(self.base..));
        Candidate {
            bucket: self.url.bucket.clone(),
            generation: Some(listed.info.generation),
            name: listed.name,
            listed: true,
            target,
        }
    }
}
