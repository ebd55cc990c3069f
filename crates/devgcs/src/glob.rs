//! `matchGlob`: which names a listing shows
//! (<https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob>).

use super::error::Error;

/// The longest pattern, and the most alternatives that its braces may make of it.
const MAX_PATTERN: usize = 1024;
const MAX_ALTERNATIVES: usize = 64;

/// A pattern, with its braces expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(Vec<Vec<Step>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// This character.
    Exactly(char),
    /// One character that is not `/`.
    One,
    /// One character of a set, or one that is not in it.
    Set {
        members: Vec<(char, char)>,
        negated: bool,
    },
    /// Any number of characters; of `/` too if it was `**`.
    Many { slashes: bool },
    /// Nothing, or what the next step matches: `**/` at the beginning of a name's part matches no directory, too.
    SkipNext,
    /// Characters up to any `/`, and that.
    Directories,
}

impl Glob {
    /// Reads a pattern.
    pub(crate) fn parse(pattern: &str) -> Result<Self, Error> {
        let invalid = || Error::invalid(format!("Invalid value '{pattern}' for the parameter matchGlob."));
        if pattern.len() > MAX_PATTERN {
            return Err(invalid());
        }
        let mut alternatives = vec![pattern.to_owned()];
        // Each turn resolves the first pair of braces of every alternative.
        while let Some(at) = alternatives.iter().position(|text| text.contains('{')) {
            let text = alternatives.swap_remove(at);
            let (before, rest) = text.split_once('{').ok_or_else(invalid)?;
            let (inner, after) = rest.split_once('}').ok_or_else(invalid)?;
            if inner.contains('{') {
                return Err(invalid());
            }
            alternatives.extend(inner.split(',').map(|choice| format!("{before}{choice}{after}")));
            if alternatives.len() > MAX_ALTERNATIVES {
                return Err(invalid());
            }
        }
        let steps = alternatives.iter().map(|text| steps(text).ok_or_else(invalid));
        Ok(Self(steps.collect::<Result<_, _>>()?))
    }

    /// How many steps [`Self::matches`] takes at most.
    pub(crate) fn cost(&self, name: &str) -> usize {
        self.0
            .iter()
            .map(|steps| (steps.len() + 1) * (name.len() + 1))
            .sum()
    }

    /// Whether all of `name` matches.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        self.0.iter().any(|steps| matches(steps, &name))
    }
}

fn steps(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let step = match character {
            '\\' => Step::Exactly(rest.next()?),
            '?' => Step::One,
            '*' => {
                let slashes = rest.next_if_eq(&'*').is_some();
                let begins = matches!(steps.last(), None | Some(Step::Exactly('/') | Step::Directories));
                if slashes && begins && rest.next_if_eq(&'/').is_some() {
                    steps.push(Step::SkipNext);
                    Step::Directories
                } else {
                    Step::Many { slashes }
                }
            }
            '[' => {
                let negated = rest.next_if(|next| matches!(next, '!' | '^')).is_some();
                let mut members = Vec::new();
                loop {
                    let first = match rest.next()? {
                        ']' if !members.is_empty() => break,
                        '\\' => rest.next()?,
                        other => other,
                    };
                    let mut ahead = rest.clone();
                    let last = if ahead.next() == Some('-') && ahead.peek().is_some_and(|next| *next != ']') {
                        rest.next();
                        rest.next()?
                    } else {
                        first
                    };
                    members.push((first, last));
                }
                Step::Set { members, negated }
            }
            other => Step::Exactly(other),
        };
        steps.push(step);
    }
    Some(steps)
}

/// Follows all paths through the pattern at once, in time proportional to the product of both lengths.
fn matches(steps: &[Step], name: &[char]) -> bool {
    // reached[n]: the steps before n match the characters so far.
    let mut reached = vec![false; steps.len() + 1];
    reached[0] = true;
    pass_over_nothing(steps, &mut reached);
    for character in name {
        let mut next = vec![false; steps.len() + 1];
        for (at, step) in steps.iter().enumerate().filter(|(at, _)| reached[*at]) {
            match step {
                Step::Exactly(wanted) => next[at + 1] |= wanted == character,
                Step::One => next[at + 1] |= *character != '/',
                Step::Set { members, negated } => {
                    let within = members
                        .iter()
                        .any(|(first, last)| (first..=last).contains(&character));
                    next[at + 1] |= within != *negated && *character != '/';
                }
                Step::Many { slashes } => next[at] |= *slashes || *character != '/',
                Step::SkipNext => {}
                Step::Directories => {
                    next[at] = true;
                    next[at + 1] |= *character == '/';
                }
            }
        }
        pass_over_nothing(steps, &mut next);
        reached = next;
    }
    reached[steps.len()]
}

fn pass_over_nothing(steps: &[Step], reached: &mut [bool]) {
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Many { .. } if reached[at] => reached[at + 1] = true,
            Step::SkipNext if reached[at] => {
                reached[at + 1] = true;
                reached[at + 2] = true;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_documented() {
        for (pattern, name, wanted) in [
            ("foo*bar", "foobar", true),
            ("foo*bar", "fooxyzbar", true),
            ("foo*bar", "foo/bar", false),
            ("foo**bar", "foo/x/bar", true),
            ("**/baz", "a/b/baz", true),
            ("**/baz", "baz", true),
            ("**/baz", "abaz", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "ab", false),
            ("a/**/**/b", "a/b", true),
            ("a**/b", "a/b", true),
            ("a**/b", "ax/y/b", true),
            ("**/*.{txt,md}", "x.md", true),
            ("**", "a/b", true),
            ("f?o", "foo", true),
            ("f?o", "f/o", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]x", "]x", true),
            ("*.{txt,md}", "a.md", true),
            ("*.{txt,md}", "a.rs", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("", "", true),
            ("*", "", true),
            ("é*", "éa", true),
        ] {
            assert_eq!(
                Glob::parse(pattern).expect("valid").matches(name),
                wanted,
                "{pattern} {name}"
            );
        }
        for bad in [
            "[a",
            "{a",
            "a\\",
            "{a,{b,c}}",
            &"{a,b}".repeat(8),
            &"x".repeat(1025),
        ] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_no_hang() {
        let pattern = "*a".repeat(500);
        assert!(!Glob::parse(&pattern).expect("valid").matches(&"a".repeat(400)));
    }
}
