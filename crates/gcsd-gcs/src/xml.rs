//! XML as GCS's XML API writes it: elements that hold elements or text
//! (<https://cloud.google.com/storage/docs/xml-api/reference-methods>).
//!
//! Attributes, comments, processing instructions and name spaces say nothing here and are skipped. Documents with a
//! DTD are refused: GCS sends none.

use std::fmt::Write as _;

/// How deep elements may lie in each other.
const MAX_DEPTH: usize = 8;

/// An element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name, without its name space.
    pub(super) name: String,
    /// The text that stands directly in it.
    pub(super) text: String,
    /// The elements in it.
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Reads a document. `None` where it is not well-formed, as far as that is looked at.
    pub(super) fn parse(document: &str) -> Option<Self> {
        let mut open: Vec<Self> = Vec::new();
        let mut root = None;
        let mut rest = document;
        while let Some((before, after)) = rest.split_once('<') {
            match open.last_mut() {
                Some(element) => element.text.push_str(&unescape(before)?),
                None if before.trim().is_empty() => {}
                None => return None,
            }
            if let Some(comment) = after.strip_prefix("!--") {
                rest = comment.split_once("-->")?.1;
                continue;
            }
            if let Some(instruction) = after.strip_prefix('?') {
                rest = instruction.split_once("?>")?.1;
                continue;
            }
            let (tag, after) = split_tag(after)?;
            rest = after;
            if tag.starts_with('!') || root.is_some() {
                return None;
            }
            let closed = if let Some(name) = tag.strip_prefix('/') {
                let element = open.pop()?;
                if element.name != local(name) {
                    return None;
                }
                element
            } else {
                let element = Self {
                    name: local(tag.trim_end_matches('/')).to_owned(),
                    ..Self::default()
                };
                if element.name.is_empty() || open.len() == MAX_DEPTH {
                    return None;
                }
                if !tag.ends_with('/') {
                    open.push(element);
                    continue;
                }
                element
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => root = Some(closed),
            }
        }
        root.filter(|_| rest.trim().is_empty() && open.is_empty())
    }

    /// The text of the first child of that name.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        let child = self.children.iter().find(|child| child.name == name)?;
        Some(child.text.trim())
    }

    /// All children of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// A tag up to its `>`, which may stand in the value of an attribute as well, and what follows.
fn split_tag(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return Some((&text[..at], &text[at + 1..])),
            (None, '<') => return None,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

/// The name in a tag, without its name space and attributes.
fn local(tag: &str) -> &str {
    let name = tag.split_whitespace().next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default()
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (entity, after) = after.split_once(';')?;
        rest = after;
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let code = match number.strip_prefix("#x") {
                    Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                    None => number.strip_prefix('#')?.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
    }
    plain.push_str(rest);
    Some(plain)
}

/// Appends an element that holds text. `None` where XML cannot hold the text.
pub(super) fn put_text(out: &mut String, name: &str, text: &str) -> Option<()> {
    let _ = write!(out, "<{name}>");
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() => return None,
            c => out.push(c),
        }
    }
    let _ = write!(out, "</{name}>");
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read() {
        let document = "\n  <?xml version='1.0' encoding='UTF-8'?>\n<n:A xmlns:n='a>b'><!-- <q> -->\n <n:B a=\"1\"> &#65;&lt;&#x42;&quot; \
                        </n:B><C/><D><E>1</E></D><B/></n:A>\n";
        let root = Element::parse(document).expect("well-formed");
        assert_eq!(root.name, "A");
        assert_eq!(root.text_of("B"), Some("A<B\""));
        assert_eq!(root.text_of("C"), Some(""));
        assert_eq!(root.text_of("E"), None);
        assert_eq!(root.all("B").count(), 2);
        assert_eq!(root.children[2].text_of("E"), Some("1"));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for bad in [
            "",
            " ",
            "text",
            "<A>",
            "</A>",
            "<A></B>",
            "<A></A><B></B>",
            "<A></A>x",
            "x<A></A>",
            "<A>&x;</A>",
            "<A>&amp</A>",
            "<A>&#1114112;</A>",
            "<A",
            "<A b='></A>",
            "<A <B></A>",
            "<></>",
            "<!DOCTYPE A [<!ENTITY x 'y'>]><A>&x;</A>",
            "<!-- ",
            "<?xml ",
            &"<A>".repeat(9),
        ] {
            assert_eq!(Element::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn any_text_that_is_cut_or_changed_is_read_or_refused() {
        let document = "<?xml version='1.0'?><A x=\"1\"><B>a&amp;b</B><!-- c --><C/></A>";
        for at in 0..document.len() {
            let _ = Element::parse(&document[..at]);
            for c in ['<', '>', '&', ';', '/', '"', 'ü'] {
                let mut changed = document.to_owned();
                changed.replace_range(at..=at, &c.to_string());
                let _ = Element::parse(&changed);
            }
        }
    }

    #[test]
    fn text_is_escaped_and_comes_back() {
        let mut out = String::new();
        put_text(&mut out, "ETag", "\"<a&b>'ü\"").expect("text");
        assert_eq!(out, "<ETag>&quot;&lt;a&amp;b&gt;&apos;ü&quot;</ETag>");
        assert_eq!(Element::parse(&out).expect("well-formed").text, "\"<a&b>'ü\"");
        assert_eq!(put_text(&mut String::new(), "A", "\u{1}"), None);
    }
}
