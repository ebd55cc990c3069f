//! Scanning the JSON of a page of a list while it streams through.
//!
//! A page can be tens of MiB long, so it is never held: the scanner keeps only its position and the next page's token.

use gcsd_types::Page;

/// The longest `nextPageToken`, in bytes. GCS's are about as long as an object's name.
const MAX_TOKEN: usize = 8 * 1024;
/// The deepest nesting. An object resource goes down five levels.
const MAX_DEPTH: u32 = 100;

/// Scans a page byte by byte.
#[derive(Debug, Default)]
pub(super) struct PageScanner {
    /// Open braces and brackets.
    depth: u32,
    member: Member,
    /// In the top object: the next string is a member's name.
    names: bool,
    text: Text,
    items: u32,
    prefixes: u32,
    token: Option<Box<str>>,
    over: bool,
}

/// Which member of the top object the scanner is in.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Member {
    #[default]
    Other,
    Items,
    Prefixes,
    Token,
}

/// The string that the scanner is in, if any.
#[derive(Debug, Default)]
struct Text {
    inside: bool,
    escaped: bool,
    /// Its bytes so far, quotes included; `None` unless they are of interest.
    kept: Option<Vec<u8>>,
}

impl PageScanner {
    /// Scans the next bytes.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        bytes.iter().try_for_each(|byte| self.byte(*byte))
    }

    /// What the page held, after its last byte.
    pub(super) fn page(self) -> Result<Page, &'static str> {
        if !self.over {
            return Err("the list ends in its middle");
        }
        Ok(Page {
            items: self.items,
            prefixes: self.prefixes,
            next_page_token: self.token.map(Into::into),
        })
    }

    fn byte(&mut self, byte: u8) -> Result<(), &'static str> {
        if self.text.inside {
            return self.in_string(byte);
        }
        if byte.is_ascii_whitespace() {
            return Ok(());
        }
        if self.over || (self.depth == 0 && byte != b'{') {
            return Err("the list is not a JSON object");
        }
        match byte {
            b'"' => {
                let kept = self.depth == 1 && (self.names || self.member == Member::Token);
                if self.depth == 2 && self.member == Member::Prefixes {
                    self.prefixes = self.prefixes.saturating_add(1);
                }
                self.text = Text {
                    inside: true,
                    escaped: false,
                    kept: kept.then(|| vec![byte]),
                };
            }
            b'{' | b'[' => {
                if self.depth == MAX_DEPTH {
                    return Err("the list is nested too deeply");
                }
                if self.depth == 2 && byte == b'{' && self.member == Member::Items {
                    self.items = self.items.saturating_add(1);
                }
                self.names = self.depth == 0;
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth -= 1;
                self.over = self.depth == 0;
            }
            b':' if self.depth == 1 => self.names = false,
            b',' if self.depth == 1 => {
                self.names = true;
                self.member = Member::Other;
            }
            _ => {}
        }
        Ok(())
    }

    fn in_string(&mut self, byte: u8) -> Result<(), &'static str> {
        let text = &mut self.text;
        if let Some(kept) = &mut text.kept {
            if kept.len() > MAX_TOKEN {
                return Err("the list has a nextPageToken or a member's name that is too long");
            }
            kept.push(byte);
        }
        match byte {
            _ if text.escaped => text.escaped = false,
            b'\\' => text.escaped = true,
            b'"' => {
                text.inside = false;
                if let Some(kept) = text.kept.take() {
                    return self.kept(&kept);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A string of the top object is complete.
    fn kept(&mut self, quoted: &[u8]) -> Result<(), &'static str> {
        let text: Box<str> =
            serde_json::from_slice(quoted).map_err(|_| "the list has a string that is none")?;
        if self.names {
            self.member = match &*text {
                "items" => Member::Items,
                "prefixes" => Member::Prefixes,
                "nextPageToken" => Member::Token,
                _ => Member::Other,
            };
        } else {
            self.token = Some(text).filter(|text| !text.is_empty());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str, step: usize) -> Result<Page, &'static str> {
        let mut scanner = PageScanner::default();
        text.as_bytes()
            .chunks(step)
            .try_for_each(|chunk| scanner.pass(chunk))?;
        scanner.page()
    }

    #[test]
    fn entries_are_counted_and_the_token_is_found_wherever_it_stands() {
        let page = |items, prefixes, token: Option<&str>| Page {
            items,
            prefixes,
            next_page_token: token.map(str::to_owned),
        };
        let cases = [
            ("{}", page(0, 0, None)),
            (r#" { "kind": "storage#objects" } "#, page(0, 0, None)),
            (
                r#"{"nextPageToken":"a\"b\u00fc\\","items":[{"name":"{[\"","metadata":{"items":"[{"}},{"acl":[{},{}]}],"prefixes":["a/","b\\/"]}"#,
                page(2, 2, Some("a\"bü\\")),
            ),
            (
                r#"{"prefixes":[],"items":[{}],"nextPageToken":"t"}"#,
                page(1, 0, Some("t")),
            ),
            (
                r#"{"nextPageToken":null,"x":{"items":[{}],"nextPageToken":"inner"},"items":[]}"#,
                page(0, 0, None),
            ),
            (
                r#"{"x":"nextPageToken","y":"t","nextPageToken":""}"#,
                page(0, 0, None),
            ),
        ];
        for (text, expected) in cases {
            for step in [1, 2, 7, 1000] {
                assert_eq!(scan(text, step), Ok(expected.clone()), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_whole_object_is_an_error() {
        for text in [
            "",
            " ",
            "[]",
            "x",
            r#"{"items":[{}"#,
            r#"{"a":"b"#,
            "{}{}",
            "{} x",
            "}",
            "\"\"",
        ] {
            assert!(scan(text, 3).is_err(), "{text}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(1000));
        assert!(scan(&deep, 100).is_err());
        let long = format!("{{\"nextPageToken\":\"{}\"}}", "x".repeat(MAX_TOKEN + 1));
        assert!(scan(&long, 100).is_err());
        // Other strings may be of any length.
        let long = format!("{{\"items\":[{{\"a\":\"{}\"}}]}}", "x".repeat(MAX_TOKEN + 1));
        assert_eq!(scan(&long, 100).map(|page| page.items), Ok(1));
    }
}
