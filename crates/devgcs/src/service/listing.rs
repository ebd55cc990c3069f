//! One page of a bucket's objects.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::digits::digits;
use crate::glob::Glob;
use crate::resource::{Object, Versions};
use crate::time::Time;

/// The most names examined for one page, and the most work for a glob: a page that finds little ends
/// early, as GCS's may.
const MAX_SCAN: usize = 20_000;
const MAX_WORK: usize = 20_000_000;

/// What to list.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) prefix: String,
    /// Names that have this after the prefix are listed as one prefix.
    pub(crate) delimiter: Option<String>,
    /// Also list an object whose name is such a prefix as an object.
    pub(crate) include_trailing: bool,
    /// The first name.
    pub(crate) start: Option<String>,
    /// The name before which to stop.
    pub(crate) end: Option<String>,
    /// Noncurrent generations, too.
    pub(crate) versions: bool,
    /// Soft-deleted generations, and no others.
    pub(crate) soft_deleted: bool,
    pub(crate) now: Option<Time>,
    pub(crate) glob: Option<Glob>,
    /// Objects and prefixes on the page.
    pub(crate) limit: usize,
    pub(crate) after: Option<Cursor>,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// After this object, and this generation of it.
    Object(String, u64),
    /// After all names with this prefix.
    Prefix(String),
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Object>>,
    pub(crate) prefixes: Vec<String>,
    /// Where the next page begins; `None` at the end.
    pub(crate) next: Option<Cursor>,
}

impl Cursor {
    /// The token that the client sends back.
    pub(crate) fn to_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(match self {
            Self::Object(name, generation) => format!("o{generation}/{name}"),
            Self::Prefix(prefix) => format!("p{prefix}"),
        })
    }

    pub(crate) fn from_token(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        if let Some(prefix) = text.strip_prefix('p') {
            return Some(Self::Prefix(prefix.to_owned()));
        }
        let (generation, name) = text.strip_prefix('o')?.split_once('/')?;
        Some(Self::Object(name.to_owned(), digits(generation)?))
    }
}

impl Listing {
    /// Reads the page.
    pub(super) fn page(&self, objects: &BTreeMap<String, Versions>) -> Page {
        let mut page = Page::default();
        let mut from = self.first();
        let mut last = None;
        let mut work = 0;
        for _ in 0..MAX_SCAN {
            if work > MAX_WORK {
                break;
            }
            let Some((name, versions)) =
                from.and_then(|from| objects.range::<str, _>((as_str(&from), Bound::Unbounded)).next())
            else {
                return page;
            };
            if !name.starts_with(&self.prefix) || self.end.as_ref().is_some_and(|end| name >= end) {
                return page;
            }
            if page.objects.len() + page.prefixes.len() >= self.limit {
                page.next = last;
                return page;
            }
            work += self.glob.as_ref().map_or(0, |glob| glob.cost(name));
            let group = self.group(name);
            let shown: Vec<&Arc<Object>> = self.shown(name, versions).collect();
            match group {
                Some(group) if !shown.is_empty() => {
                    if self.include_trailing && group == *name {
                        page.objects.extend(shown.into_iter().cloned());
                    }
                    last = Some(Cursor::Prefix(group.clone()));
                    from = after_prefix(&group).map(Bound::Included);
                    page.prefixes.push(group);
                }
                _ => {
                    for object in shown {
                        if page.objects.len() + page.prefixes.len() >= self.limit {
                            page.next = last;
                            return page;
                        }
                        last = Some(Cursor::Object(name.clone(), object.generation));
                        page.objects.push(Arc::clone(object));
                    }
                    last = Some(Cursor::Object(name.clone(), u64::MAX));
                    from = Some(Bound::Excluded(name.clone()));
                }
            }
        }
        page.next = last;
        page
    }

    /// Adds the folders right below the prefix that belong on this page.
    pub(crate) fn add_folders<'a>(&self, page: &mut Page, folders: impl Iterator<Item = &'a String>) {
        let Some(begin) = self.first() else { return };
        let begin = match &begin {
            Bound::Included(name) | Bound::Excluded(name) => name.as_str(),
            Bound::Unbounded => "",
        };
        let end = page.next.as_ref().map(|next| match next {
            Cursor::Object(name, _) | Cursor::Prefix(name) => name.clone(),
        });
        for folder in folders {
            let below = folder.len() > self.prefix.len() && self.group(folder).as_ref() == Some(folder);
            let here = folder.as_str() >= begin && end.as_ref().is_none_or(|end| folder <= end);
            if below && here && folder.starts_with(&self.prefix) && !page.prefixes.contains(folder) {
                page.prefixes.push(folder.clone());
            }
        }
        page.prefixes.sort();
    }

    /// Where the page begins.
    fn first(&self) -> Option<Bound<String>> {
        let start = self.start.as_ref().filter(|start| **start > self.prefix);
        let start = start.unwrap_or(&self.prefix).clone();
        let resumed = match &self.after {
            None => start.clone(),
            // More generations of the same name may follow.
            Some(Cursor::Object(name, _)) => name.clone(),
            Some(Cursor::Prefix(prefix)) => after_prefix(prefix)?,
        };
        Some(Bound::Included(resumed.max(start)))
    }

    /// The prefix that `name` is shown as, if it is.
    fn group(&self, name: &str) -> Option<String> {
        let delimiter = self.delimiter.as_deref().filter(|text| !text.is_empty())?;
        let rest = name.get(self.prefix.len()..)?;
        let at = rest.find(delimiter)?;
        Some(name[..self.prefix.len() + at + delimiter.len()].to_owned())
    }

    /// The generations of `name` that the listing shows, oldest first.
    fn shown<'a>(&'a self, name: &'a str, versions: &'a Versions) -> impl Iterator<Item = &'a Arc<Object>> {
        let seen = match &self.after {
            Some(Cursor::Object(last, generation))
                if last == name && (self.versions || self.soft_deleted) =>
            {
                *generation
            }
            Some(Cursor::Object(last, _)) if last == name => u64::MAX,
            _ => 0,
        };
        let wanted = self.glob.as_ref().is_none_or(|glob| glob.matches(name));
        let older = versions.noncurrent.iter().filter(move |_| self.versions);
        let is_gone = move |object: &Object| self.now.is_some_and(|now| object.is_gone(now));
        let soft = versions.soft_deleted.iter();
        let soft = soft.filter(move |object| self.soft_deleted && !is_gone(object));
        let shown = older.chain(versions.live.iter().filter(move |_| !self.soft_deleted));
        shown
            .chain(soft)
            .filter(move |object| wanted && object.generation > seen)
    }
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(text) => Bound::Included(text),
        Bound::Excluded(text) => Bound::Excluded(text),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// The first name after all that begin with `prefix`; `None` if there can be none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // Skip the surrogates, which are not characters.
        let next = if last == '\u{d7ff}' {
            Some('\u{e000}')
        } else {
            char::from_u32(u32::from(last) + 1)
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}
