//! Names as people see them: a name can hold characters that move the cursor or turn the text around.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` for a message or a terminal: as a shell takes it where it holds what does not show, and as it is otherwise. Two
/// names that differ look different.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    match text.contains(hidden) {
        true => Cow::Owned(escaped(text)),
        false => Cow::Borrowed(text),
    }
}

/// `text` for a terminal, as GNU ls shows names: in quotes where a shell would not take it as it is.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    match text.is_empty() || text.contains(|c| hidden(c) || special(c)) {
        true => Cow::Owned(escaped(text)),
        false => Cow::Borrowed(text),
    }
}

/// Whether a character changes what is around it instead of showing: control characters, line and paragraph separators,
/// and those that turn the direction of text around.
fn hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a shell takes a character for something else than itself.
fn special(c: char) -> bool {
    c.is_whitespace() || "!\"$&'()*;<>?[\\]`{|}".contains(c)
}

/// `'gs://bucket/a'$'\033''b'`.
fn escaped(text: &str) -> String {
    let mut quoted = String::new();
    let mut rest = text;
    while !rest.is_empty() || quoted.is_empty() {
        let plain = rest.find(hidden).unwrap_or(rest.len());
        let (start, behind) = rest.split_at(plain);
        if plain > 0 || rest.is_empty() {
            quoted += &format!("'{}'", start.replace('\'', "'\\''"));
        }
        let end = behind.find(|c| !hidden(c)).unwrap_or(behind.len());
        if end > 0 {
            quoted += "$'";
            for byte in behind[..end].bytes() {
                // Writing to a string cannot fail.
                let _written = match byte {
                    b'\t' => write!(quoted, "\\t"),
                    byte => write!(quoted, "\\{byte:03o}"),
                };
            }
            quoted.push('\'');
        }
        rest = &behind[end..];
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [(&str, &str, &str); 10] = [
        ("gs://b/a", "gs://b/a", "gs://b/a"),
        ("gs://b/ü☃#1", "gs://b/ü☃#1", "gs://b/ü☃#1"),
        ("gs://b/a b", "gs://b/a b", "'gs://b/a b'"),
        ("gs://b/*.txt", "gs://b/*.txt", "'gs://b/*.txt'"),
        ("gs://b/it's", "gs://b/it's", "'gs://b/it'\\''s'"),
        ("a\u{1b}[2Jb", "'a'$'\\033''[2Jb'", "'a'$'\\033''[2Jb'"),
        ("\t\u{7f}", "$'\\t\\177'", "$'\\t\\177'"),
        ("a\u{85}", "'a'$'\\302\\205'", "'a'$'\\302\\205'"),
        (
            "a\u{202e}b",
            "'a'$'\\342\\200\\256''b'",
            "'a'$'\\342\\200\\256''b'",
        ),
        ("", "", "''"),
    ];

    #[test]
    fn names_are_shown_so_that_they_differ() {
        for (name, message, terminal) in NAMES {
            assert_eq!(shown(name), message, "{name:?}");
            assert_eq!(quoted(name), terminal, "{name:?}");
        }
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for (name, _, terminal) in NAMES {
            let script = format!("printf %s {terminal}");
            let bash = std::process::Command::new("bash").args(["-c", &script]).output();
            assert_eq!(
                String::from_utf8(bash.expect("bash runs").stdout).expect("UTF-8"),
                name
            );
        }
    }
}
