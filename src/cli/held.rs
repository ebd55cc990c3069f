//! Objects that are held back until it is known that no other has the same target.
//!
//! They come in the order of their targets. One is held for as long as what comes can still be in its way, which needs a
//! target that goes on behind its own: few are held at any time, however many come.

use super::exit::{Exit, Failure};
use super::merged::Candidate;
use super::quoting::shown;

/// Why an object is passed over that was named before.
pub(super) const TWICE: &str = "it is named twice";

/// That an object would become what `other` becomes.
pub(super) fn same_target(other: &str) -> Failure {
    let what = format!("it would become the same as {}", shown(other));
    Failure::new(Exit::Failed, "same_target", what)
}

/// That an object's name has no last part that a target could have.
pub(super) fn ends_with_slash() -> Failure {
    Failure::usage("its name ends with '/'; --recursive takes what lies below it")
}

/// What becomes of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is in its way.
    Go(Candidate),
    /// It was named before, and has one target.
    Twice(Candidate),
    /// Another object, of this URL, would become the same.
    Same(Candidate, String),
    /// It would be a file where the directory of another one is, of this URL.
    Directory(Candidate, String),
}

/// Objects that wait.
#[derive(Debug)]
pub(super) struct Held {
    /// Each one's target begins with those of all before it.
    waiting: Vec<Waiting>,
    /// Targets are files: what is one cannot be a directory, too.
    files: bool,
}

#[derive(Debug)]
struct Waiting {
    candidate: Candidate,
    same: Option<String>,
    directory: Option<String>,
}

impl Waiting {
    fn verdict(self) -> Verdict {
        match (self.same, self.directory) {
            (Some(other), _) => Verdict::Same(self.candidate, other),
            (None, Some(other)) => Verdict::Directory(self.candidate, other),
            (None, None) => Verdict::Go(self.candidate),
        }
    }
}

impl Held {
    /// For targets that are files, or objects.
    pub(super) fn new(files: bool) -> Self {
        Self {
            waiting: Vec::new(),
            files,
        }
    }

    /// Takes the next object, whose target is not before that of the last one. Returns what is known now.
    pub(super) fn next(&mut self, next: Candidate) -> Vec<Verdict> {
        let mut known = Vec::new();
        while let Some(last) = self.waiting.pop() {
            let same = next.target == last.candidate.target;
            if same || self.files && next.target.starts_with(&last.candidate.target) {
                self.waiting.push(last);
                break;
            }
            known.push(last.verdict());
        }
        if let Some(last) = self.waiting.last_mut()
            && last.candidate.target == next.target
        {
            known.push(match last.candidate.is(&next) {
                true => Verdict::Twice(next),
                false => {
                    last.same.get_or_insert_with(|| next.place());
                    Verdict::Same(next, last.candidate.place())
                }
            });
            return known;
        }
        for above in &mut self.waiting {
            let rest = next.target.strip_prefix(&above.candidate.target);
            if rest.is_some_and(|rest| rest.starts_with('/')) {
                above.directory.get_or_insert_with(|| next.place());
            }
        }
        self.waiting.push(Waiting {
            candidate: next,
            same: None,
            directory: None,
        });
        known
    }

    /// What is left: nothing more comes.
    pub(super) fn end(&mut self) -> Vec<Verdict> {
        self.waiting.drain(..).map(Waiting::verdict).collect()
    }
}

/// Of objects that are named one by one, the first two that would become the same.
pub(super) fn clash<'a>(
    named: impl Iterator<Item = &'a Candidate>,
) -> Option<(&'a Candidate, &'a Candidate)> {
    let mut sorted: Vec<_> = named.collect();
    sorted.sort_by(|one, other| one.target.cmp(&other.target));
    let mut pairs = sorted.windows(2).filter_map(|pair| match pair {
        [one, other] => Some((*one, *other)),
        _ => None,
    });
    pairs.find(|(one, other)| one.target == other.target && !one.is(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcsd_types::BucketName;

    fn candidate(name: &str, target: &str) -> Candidate {
        Candidate {
            bucket: BucketName::new("bucket").expect("a name"),
            name: name.to_owned(),
            generation: None,
            listed: false,
            target: target.to_owned(),
        }
    }

    /// What becomes of objects with these targets, each of its own name, in order of their names.
    fn verdicts(files: bool, targets: &[&str]) -> Vec<(String, &'static str)> {
        let mut held = Held::new(files);
        let mut all = Vec::new();
        for (number, target) in targets.iter().enumerate() {
            all.extend(held.next(candidate(&format!("{number}"), target)));
            assert!(held.waiting.len() <= target.len() + 1, "few are held");
        }
        all.extend(held.end());
        let mut all: Vec<_> = all
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Go(candidate) => (candidate.name, "go"),
                Verdict::Twice(candidate) => (candidate.name, "twice"),
                Verdict::Same(candidate, _) => (candidate.name, "same"),
                Verdict::Directory(candidate, _) => (candidate.name, "directory"),
            })
            .collect();
        all.sort();
        all
    }

    #[track_caller]
    fn become_of(files: bool, targets: &[(&str, &'static str)]) {
        let names: Vec<&str> = targets.iter().map(|(target, _)| *target).collect();
        let expected: Vec<_> = targets
            .iter()
            .enumerate()
            .map(|(number, (_, verdict))| (number.to_string(), *verdict))
            .collect();
        assert_eq!(verdicts(files, &names), expected);
    }

    #[test]
    fn what_has_one_target_is_seen_before_it_begins() {
        become_of(true, &[("a", "go"), ("b", "go")]);
        become_of(true, &[("a", "same"), ("a", "same"), ("a", "same"), ("b", "go")]);
        become_of(false, &[("a", "same"), ("a", "same"), ("a/b", "go")]);
        // As a list has them: '-' comes before '/'.
        become_of(
            true,
            &[
                ("a", "directory"),
                ("a-1", "go"),
                ("a-2", "go"),
                ("a/b", "go"),
                ("a0", "go"),
            ],
        );
        become_of(
            true,
            &[
                ("a", "directory"),
                ("a/b", "directory"),
                ("a/b/c", "go"),
                ("a/bc", "go"),
                ("aa", "go"),
            ],
        );
        become_of(false, &[("a", "go"), ("a/b", "go")]);
        become_of(true, &[("a", "same"), ("a", "same"), ("a/b", "go")]);
    }

    #[test]
    fn both_are_named_and_one_object_is_no_other() {
        let mut held = Held::new(true);
        assert_eq!(held.next(candidate("x/a", "a")), []);
        let same = Verdict::Same(candidate("y/a", "a"), "gs://bucket/x/a".to_owned());
        assert_eq!(held.next(candidate("y/a", "a")), [same]);
        assert_eq!(
            held.next(candidate("x/a", "a")),
            [Verdict::Twice(candidate("x/a", "a"))]
        );
        let other = Verdict::Same(candidate("x/a", "a"), "gs://bucket/y/a".to_owned());
        assert_eq!(held.end(), [other]);
        let named = [
            candidate("x/b", "b"),
            candidate("x/a", "a"),
            candidate("y/b", "b"),
        ];
        assert_eq!(clash(named.iter()), Some((&named[0], &named[2])));
        assert_eq!(clash(named[..2].iter()), None);
        let version = |generation| Candidate {
            generation: Some(generation),
            ..candidate("x", "x")
        };
        assert!(clash([version(1), version(2)].iter()).is_some());
        assert!(clash([version(1), version(1)].iter()).is_none());
    }
}
