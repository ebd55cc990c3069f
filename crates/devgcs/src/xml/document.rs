//! XML, as little of it as the API needs.

use std::fmt::Write as _;

/// A document that is being written.
#[derive(Debug)]
pub(super) struct Element {
    text: String,
    name: &'static str,
}

impl Element {
    /// An empty element.
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            text: format!("<{name}>"),
            name,
        }
    }

    /// An empty element in the name space that lists and results are in.
    pub(super) fn in_s3(name: &'static str) -> Self {
        Self {
            text: format!("<{name} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"),
            name,
        }
    }

    /// Adds text.
    pub(super) fn content(mut self, text: &str) -> Self {
        self.text += &escape(text);
        self
    }

    /// Adds an element that holds text.
    pub(super) fn text(mut self, name: &str, text: impl AsRef<str>) -> Self {
        let _ = write!(self.text, "<{name}>{}</{name}>", escape(text.as_ref()));
        self
    }

    /// Adds an element that holds text, if there is any.
    pub(super) fn optional(self, name: &str, text: Option<impl AsRef<str>>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Adds an element.
    pub(super) fn child(mut self, child: Self) -> Self {
        self.text += &child.close();
        self
    }

    /// Adds elements.
    pub(super) fn children(self, children: impl Iterator<Item = Self>) -> Self {
        children.fold(self, Self::child)
    }

    fn close(mut self) -> String {
        let _ = write!(self.text, "</{}>", self.name);
        self.text
    }

    /// The document.
    pub(super) fn finish(self) -> String {
        format!("<?xml version='1.0' encoding='UTF-8'?>{}", self.close())
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&apos;",
            // XML cannot hold the other control characters at all.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The innermost texts of a document, each with the name of its element, in order; `None` where it is
/// not well-formed. Attributes, name spaces, comments are skipped.
pub(super) fn leaves(document: &str) -> Option<Vec<(String, String)>> {
    let mut leaves = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut rest = document;
    while let Some((before, after)) = rest.split_once('<') {
        text += before;
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->")?.1;
            continue;
        }
        let (tag, after) = after.split_once('>')?;
        rest = after;
        if tag.starts_with(['?', '!']) {
            text.clear();
        } else if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop()?;
            if opened != local(name) {
                return None;
            }
            if !text.trim().is_empty() {
                leaves.push((opened, unescape(text.trim())?));
            }
            text.clear();
        } else {
            text.clear();
            if !tag.ends_with('/') {
                open.push(local(tag));
            }
        }
        if open.len() > 16 {
            return None;
        }
    }
    (open.is_empty() && rest.trim().is_empty()).then_some(leaves)
}

/// The name in a tag, without its name space and attributes.
fn local(tag: &str) -> String {
    let name = tag.split_whitespace().next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default().to_owned()
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain += before;
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
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.strip_prefix('#')?.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
    }
    Some(plain + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_written_and_read() {
        let document = Element::in_s3("A")
            .text("B", "<&\"'>\u{1}")
            .child(Element::new("C").text("D", "é"))
            .optional("E", None::<&str>)
            .finish();
        let found = leaves(&document).expect("well-formed");
        assert_eq!(found[0], ("B".to_owned(), "<&\"'>\u{fffd}".to_owned()));
        assert_eq!(found[1], ("D".to_owned(), "é".to_owned()));
        let foreign = "<?xml version=\"1.0\"?>\n<n:A xmlns:n='x'><!-- <q> -->\n <n:B a=\"1\"> &#65;&#x42; </n:B><C/></n:A>\n";
        assert_eq!(
            leaves(foreign).expect("well-formed"),
            [("B".to_owned(), "AB".to_owned())]
        );
        for bad in [
            "<A>",
            "<A></B>",
            "</A>",
            "<A>&x;</A>",
            "<A>&amp</A>",
            "<A",
            "text",
            &"<A>".repeat(20),
        ] {
            assert_eq!(leaves(bad), None, "{bad}");
        }
    }
}
