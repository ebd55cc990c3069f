//! Patterns of names: `*`, `?` and `[...]` stay within what two `/` enclose, `**` does not.

/// What ends the part of a pattern that stands for itself.
const SPECIAL: [char; 3] = ['*', '?', '['];

/// The part of `pattern` before its first special character.
pub(super) fn literal(pattern: &str) -> &str {
    &pattern[..pattern.find(SPECIAL).unwrap_or(pattern.len())]
}

/// Whether `pattern` stands for more than itself.
pub(super) fn is_pattern(pattern: &str) -> bool {
    pattern.contains(SPECIAL)
}

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Exactly(char),
    /// One character, but no `/`.
    One,
    /// One of these, or, `negated`, one that is none of these and no `/`.
    Set {
        members: Vec<(char, char)>,
        negated: bool,
    },
    /// Any number of characters, of `/` too if it was `**`.
    Many {
        slashes: bool,
    },
}

impl Pattern {
    /// Takes `pattern` apart. A `[` without its `]` stands for itself.
    pub(super) fn new(pattern: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = pattern.chars();
        while let Some(next) = rest.next() {
            steps.push(match next {
                '*' => {
                    let before = rest.clone();
                    let slashes = rest.next() == Some('*');
                    if !slashes {
                        rest = before;
                    }
                    Step::Many { slashes }
                }
                '?' => Step::One,
                '[' => match set(rest.as_str()) {
                    Some((step, behind)) => {
                        rest = behind.chars();
                        step
                    }
                    None => Step::Exactly('['),
                },
                other => Step::Exactly(other),
            });
        }
        Self(steps)
    }

    /// A pattern of nothing but `name`.
    pub(super) fn exactly(name: &str) -> Self {
        Self(name.chars().map(Step::Exactly).collect())
    }

    /// Whether `name` matches, all of it. It takes as many steps as name times pattern are long, at most.
    pub(super) fn matches(&self, name: &str) -> bool {
        // Up to which step everything so far can have matched.
        let mut reached = vec![false; self.0.len() + 1];
        reached[0] = true;
        self.skip(&mut reached);
        for c in name.chars() {
            let mut next = vec![false; reached.len()];
            for (at, step) in self.0.iter().enumerate().filter(|(at, _)| reached[*at]) {
                match step {
                    Step::Many { slashes } => next[at] |= *slashes || c != '/',
                    step => next[at + 1] |= step.takes(c),
                }
            }
            reached = next;
            self.skip(&mut reached);
        }
        reached[self.0.len()]
    }

    /// Any number of characters can be none.
    fn skip(&self, reached: &mut [bool]) {
        for (at, step) in self.0.iter().enumerate() {
            reached[at + 1] |= reached[at] && matches!(step, Step::Many { .. });
        }
    }
}

impl Step {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Exactly(this) => *this == c,
            Self::One => c != '/',
            Self::Set { members, negated } => {
                let is = members.iter().any(|(first, last)| (*first..=*last).contains(&c));
                c != '/' && is != *negated
            }
            Self::Many { .. } => false,
        }
    }
}

/// Reads what follows a `[`, and returns what follows the `]`. A `]` that stands first is a member.
fn set(text: &str) -> Option<(Step, &str)> {
    let inner = text.strip_prefix(['!', '^']);
    let (negated, text) = (inner.is_some(), inner.unwrap_or(text));
    let first = text.chars().next()?.len_utf8();
    let end = first + text.get(first..)?.find(']')?;
    let mut members = Vec::new();
    let mut rest = text[..end].chars();
    while let Some(from) = rest.next() {
        let before = rest.clone();
        match (rest.next(), rest.next()) {
            (Some('-'), Some(to)) => members.push((from, to)),
            _ => {
                rest = before;
                members.push((from, from));
            }
        }
    }
    Some((Step::Set { members, negated }, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, good, bad) in [
            ("", &[""][..], &["a"][..]),
            ("a", &["a"], &["", "b", "ab", "ba"]),
            ("*", &["", "a", "a.b", "☃"], &["/", "a/b"]),
            ("**", &["", "a", "a/b", "/"], &[]),
            ("a*c", &["ac", "abc", "abcbc"], &["a/c", "ab", "bac"]),
            ("a**c", &["ac", "a/c", "a/b/c"], &["a/b"]),
            ("**/c", &["/c", "a/c", "a/b/c"], &["c", "c/"]),
            ("**a*b", &["a/ab", "ab", "x/a-b"], &["a/b"]),
            ("a?c", &["abc", "a☃c"], &["ac", "a/c", "abbc"]),
            ("[a-cx]", &["a", "b", "c", "x"], &["d", "-", "", "ab"]),
            ("[!a-c]", &["d", "-"], &["a", "/", ""]),
            ("[?][*][[]", &["?*["], &["a*["]),
            ("[]]", &["]"], &["[]]"]),
            ("a[b", &["a[b"], &["ab"]),
            ("[-a]", &["-", "a"], &["b"]),
            ("***", &["", "a/b"], &[]),
        ] {
            let pattern_of = Pattern::new(pattern);
            for name in good {
                assert!(pattern_of.matches(name), "{pattern} {name}");
            }
            for name in bad {
                assert!(!pattern_of.matches(name), "{pattern} {name}");
            }
        }
        assert!(Pattern::exactly("a[*]").matches("a[*]") && !Pattern::exactly("a*").matches("ab"));
        let long = Pattern::new(&"*a".repeat(500));
        assert!(!long.matches(&"a".repeat(499)));
        assert!(long.matches(&"a".repeat(1024)));
    }

    #[test]
    fn what_stands_for_itself_comes_first() {
        assert_eq!(literal("a/b*c"), "a/b");
        assert_eq!(literal("ab"), "ab");
        assert_eq!(literal("[a]"), "");
        assert!(is_pattern("a?") && !is_pattern("a#{b,c}"));
    }
}
