//! The objects that a URL stands for, as they are listed.
//!
//! A pattern is walked level by level: only what can match is listed, and of each level one page is held.

use std::collections::VecDeque;

use super::conditions::Payer;
use super::exclude::Excluded;
use super::exit::{Exit, Failure};
use super::gs_url::BucketUrl;
use super::pattern::{Pattern, is_pattern, literal};
use gcsd_client::{ListedObject, ObjectPage, ObjectPages, ReliableRequests};
use gcsd_types::ObjectQuery;

/// The fields of an object that a walk asks for unless all are wanted.
const FIELDS: &str = "items(name,generation,metageneration,size,crc32c,timeCreated),prefixes,nextPageToken";

/// What a walk finds.
#[derive(Debug)]
pub(super) enum Found {
    Object(Box<ListedObject>),
    /// The prefix of the names to list. It ends with `/`; empty, it is the bucket's own level.
    Prefix(String),
}

impl Found {
    fn name(&self) -> &str {
        match self {
            Self::Object(object) => &object.name,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// How to walk.
#[derive(Debug, Clone)]
pub(super) struct Walking {
    pub(super) requests: ReliableRequests,
    pub(super) user_project: Option<String>,
    /// Go into prefixes, rather than find them.
    pub(super) recursive: bool,
    /// Names that others begin with, up to a '/', are named as well as objects.
    pub(super) levels: bool,
    /// Find versions that are not live, too.
    pub(super) versions: bool,
    /// Ask for everything that GCS says of an object.
    pub(super) full: bool,
    /// How many entries are held of each list, at most; GCS's own limit (1,000) where absent.
    pub(super) page: Option<u32>,
    /// What is not found.
    pub(super) excluded: Excluded,
}

impl Walking {
    /// To live objects and to prefixes.
    pub(super) fn new(requests: ReliableRequests, payer: &Payer) -> Self {
        Self {
            requests,
            user_project: payer.user_project.clone(),
            recursive: false,
            levels: false,
            versions: false,
            full: false,
            page: None,
            excluded: Excluded::default(),
        }
    }

    /// Whether a name stands for what lies below it, too.
    pub(super) fn descends(&self) -> bool {
        self.recursive || self.levels
    }
}

/// The fields of an object that a walk asks for.
pub(super) fn fields() -> Option<String> {
    Some(FIELDS.to_owned())
}

/// A walk under way.
pub(super) struct Walk {
    how: Walking,
    url: BucketUrl,
    /// What stands between the slashes of the pattern.
    parts: Vec<String>,
    /// It ends with a slash: objects do not match.
    prefixes_only: bool,
    levels: Vec<Level>,
    ready: VecDeque<Found>,
    base: usize,
    /// An object was, or the walk has failed.
    found: bool,
    /// It ended, and there was none.
    nothing: bool,
}

/// One list of the walk.
struct Level {
    pages: ObjectPages,
    wanted: Wanted,
    /// What is left to look at of the last page.
    waiting: VecDeque<Found>,
}

/// What of a list is wanted.
enum Wanted {
    /// Everything.
    All,
    /// Everything up to the next slash.
    Level,
    /// Names that match.
    Whole(Pattern),
    /// What goes on behind `dir` as a part of the pattern says.
    Part {
        number: usize,
        dir: String,
        pattern: Pattern,
    },
}

impl Walk {
    /// The walk to what `url` stands for.
    pub(super) fn new(how: Walking, url: &BucketUrl) -> Self {
        let text = url.prefix.as_str();
        let stripped = text.strip_suffix('/').unwrap_or(text);
        let mut walk = Self {
            how,
            url: url.clone(),
            parts: stripped.split('/').map(str::to_owned).collect(),
            prefixes_only: text.len() > stripped.len(),
            levels: Vec::new(),
            ready: VecDeque::new(),
            base: 0,
            found: false,
            nothing: false,
        };
        if text.is_empty() {
            walk.enter(String::new());
        } else if url.is_pattern() && text.contains("**") {
            let start = literal(text);
            walk.base = start.rfind('/').map_or(0, |slash| slash + 1);
            let wanted = Wanted::Whole(Pattern::new(text));
            walk.list(start.to_owned(), wanted, None);
        } else {
            walk.base = walk.part(String::new(), 0);
        }
        walk
    }

    /// What lies directly below `prefix`, which ends with a slash or is empty.
    pub(super) fn level(how: Walking, url: &BucketUrl, prefix: &str) -> Self {
        let mut walk = Self {
            how,
            url: url.clone(),
            parts: Vec::new(),
            prefixes_only: false,
            levels: Vec::new(),
            ready: VecDeque::new(),
            base: prefix.len(),
            found: false,
            nothing: false,
        };
        walk.list(prefix.to_owned(), Wanted::Level, None);
        walk
    }

    /// Where in the names begins what tells them apart: behind the last slash before the pattern's first special
    /// character. Of a URL without any, its last part tells them apart, too, except `without_last`.
    pub(super) fn base(&self, without_last: bool) -> usize {
        let text = self.url.prefix.as_str();
        match text.strip_suffix('/').unwrap_or(text) {
            "" => 0,
            whole if without_last && !self.is_pattern(whole) => whole.len() + 1,
            _ => self.base,
        }
    }

    /// Whether it ended with nothing because there is nothing in the bucket.
    pub(super) fn is_of_empty_bucket(&self) -> bool {
        self.url.prefix.is_empty() && self.nothing
    }

    /// The path of an object below what the URL names.
    fn below<'a>(&self, name: &'a str) -> &'a str {
        name.get(self.base(true)..).unwrap_or(name)
    }

    /// The next object; `None` at the end. An error ends the walk, and to find no object at all is one.
    pub(super) async fn next_object(&mut self) -> Result<Option<ListedObject>, Failure> {
        loop {
            match self.next().await? {
                Some(Found::Object(object)) => {
                    self.found = true;
                    if !self.how.excluded.has(self.below(&object.name)) {
                        return Ok(Some(*object));
                    }
                }
                Some(Found::Prefix(_)) => {}
                None if self.found => return Ok(None),
                None => {
                    (self.found, self.nothing) = (true, true);
                    return Err(nothing(&self.url));
                }
            }
        }
    }

    /// The next object, or prefix unless the walk goes into those; `None` at the end. An error ends the walk.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, Failure> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Ok(Some(found));
            }
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            if let Some(next) = level.waiting.pop_front() {
                self.look_at(next);
                continue;
            }
            match level.pages.next().await {
                Ok(Some(page)) => level.waiting = in_order(page),
                Ok(None) => {
                    self.levels.pop();
                }
                Err(error) => {
                    self.levels.clear();
                    self.found = true;
                    return Err(Failure::from(error).at(&self.url));
                }
            }
        }
    }

    /// Decides what becomes of an entry of the innermost list.
    fn look_at(&mut self, entry: Found) {
        let Some(level) = self.levels.last() else { return };
        let (number, dir) = match &level.wanted {
            Wanted::All | Wanted::Level => return self.ready.push_back(entry),
            Wanted::Whole(pattern) => {
                if pattern.matches(entry.name()) {
                    self.ready.push_back(entry);
                }
                return;
            }
            Wanted::Part { number, dir, pattern } => {
                let rest = entry.name().strip_prefix(dir.as_str());
                let rest = rest.map(|rest| match entry {
                    Found::Prefix(_) => rest.strip_suffix('/').unwrap_or(rest),
                    Found::Object(_) => rest,
                });
                if !rest.is_some_and(|rest| pattern.matches(rest)) {
                    return;
                }
                (*number, dir.len())
            }
        };
        let last = number + 1 == self.parts.len();
        match entry {
            Found::Object(_) if last && !self.prefixes_only && entry.name().len() > dir => {
                self.ready.push_back(entry);
            }
            Found::Object(_) => {}
            Found::Prefix(prefix) if last => self.enter(prefix),
            Found::Prefix(prefix) => {
                self.part(prefix, number + 1);
            }
        }
    }

    /// A prefix matches: it is found, or what lies below it is.
    fn enter(&mut self, prefix: String) {
        if self.how.recursive {
            self.list(prefix, Wanted::All, None);
        } else {
            self.ready.push_back(Found::Prefix(prefix));
        }
    }

    /// Lists what may match from part `number` on, below `dir`. Parts that stand for themselves need no list, except the
    /// last. Returns how long the name of the directory is that is listed.
    fn part(&mut self, mut dir: String, mut number: usize) -> usize {
        while number + 1 < self.parts.len() && !self.is_pattern(&self.parts[number]) {
            dir = dir + &self.parts[number] + "/";
            number += 1;
        }
        let part = self.parts[number].clone();
        let len = dir.len();
        if self.prefixes_only && number + 1 == self.parts.len() && !self.is_pattern(&part) {
            // Named with its slash: nothing else can match, and who may list no more than what is below it can.
            self.enter(dir + &part + "/");
            return len;
        }
        let (prefix, end, pattern) = match self.is_pattern(&part) {
            true => (dir.clone() + literal(&part), None, Pattern::new(&part)),
            false => {
                let prefix = dir.clone() + &part;
                // What is called exactly so ends before the character behind the slash.
                let end = prefix.clone() + "0";
                (prefix, Some(end), Pattern::exactly(&part))
            }
        };
        let wanted = Wanted::Part { number, dir, pattern };
        self.list(prefix, wanted, end);
        len
    }

    /// Whether a part of the URL stands for more than itself.
    fn is_pattern(&self, part: &str) -> bool {
        !self.url.literal && is_pattern(part)
    }

    fn list(&mut self, prefix: String, wanted: Wanted, end_offset: Option<String>) {
        let delimiter = matches!(wanted, Wanted::Part { .. } | Wanted::Level).then(|| "/".to_owned());
        let query = ObjectQuery {
            prefix: Some(prefix).filter(|prefix| !prefix.is_empty()),
            delimiter,
            end_offset,
            versions: self.how.versions,
            user_project: self.how.user_project.clone(),
            max_results: self.how.page,
            fields: (!self.how.full).then(|| FIELDS.to_owned()),
            ..ObjectQuery::new(self.url.bucket.clone())
        };
        self.levels.push(Level {
            pages: ObjectPages::new(self.how.requests.clone(), query),
            wanted,
            waiting: VecDeque::new(),
        });
    }
}

/// What a page holds, by name.
fn in_order(page: ObjectPage) -> VecDeque<Found> {
    let objects = page.objects.into_iter();
    let objects = objects.map(|object| Found::Object(Box::new(object)));
    let mut all: Vec<_> = objects
        .chain(page.prefixes.into_iter().map(Found::Prefix))
        .collect();
    all.sort_by(|one, other| one.name().cmp(other.name()));
    all.into()
}

/// That a URL stands for nothing that is there.
pub(super) fn nothing(url: &BucketUrl) -> Failure {
    Failure::new(Exit::NotFound, "not_found", "no object matches").at(url)
}
