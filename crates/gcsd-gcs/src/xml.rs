//! XML as GCS's XML API writes it: elements that hold elements or text
//! (<https://cloud.google.com/storage/docs/xml-api/reference-methods>).
//!
//! Attributes, comments, processing instructions and namespaces say nothing here and are skipped. A document with a DTD is
//! refused: GCS sends none, so that no entity but the predefined ones exists.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_xml_entity};
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The deepest nesting of elements.
const MAX_DEPTH: usize = 8;
/// The most elements of a document: a list of parts has five for each of at most 10,000.
const MAX_ELEMENTS: usize = 64 * 1024;

/// An element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name, without its namespace.
    pub(super) name: String,
    /// The text that stands directly in it.
    pub(super) text: String,
    /// The elements in it.
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Reads a document. `None` where it is not well-formed, too deep or too long.
    pub(super) fn parse(document: &str) -> Option<Self> {
        let mut reader = Reader::from_str(document);
        let mut tree = Tree::default();
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) => tree.open(&tag)?,
                Event::Empty(tag) => {
                    tree.open(&tag)?;
                    tree.close()?;
                }
                // The reader has compared its name.
                Event::End(_) => tree.close()?,
                Event::Text(text) => tree.text(&text)?,
                Event::CData(text) => tree.inside()?.push_str(&text),
                Event::GeneralRef(reference) => {
                    let text = tree.inside()?;
                    resolve(&reference, text)?;
                }
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::DocType(_) => return None,
                Event::Eof => return tree.root.filter(|_| tree.open.is_empty()),
            }
        }
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

/// A document, as far as it is read.
#[derive(Default)]
struct Tree {
    /// The elements whose end has not come, the outermost first.
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Tree {
    fn open(&mut self, tag: &BytesStart<'_>) -> Option<()> {
        self.elements += 1;
        if self.root.is_some() || self.open.len() == MAX_DEPTH || self.elements > MAX_ELEMENTS {
            return None;
        }
        // They are read only when asked for, and must be well-formed.
        tag.attributes()
            .try_for_each(|attribute| attribute.map(drop))
            .ok()?;
        let name = tag.local_name().as_ref().to_owned();
        if name.is_empty() {
            return None;
        }
        self.open.push(Element {
            name,
            ..Element::default()
        });
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let closed = self.open.pop()?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => self.root = Some(closed),
        }
        Some(())
    }

    /// Text, which may be only space outside of the root.
    fn text(&mut self, text: &str) -> Option<()> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return None,
        }
        Some(())
    }

    /// The text of the innermost open element.
    fn inside(&mut self) -> Option<&mut String> {
        self.open.last_mut().map(|element| &mut element.text)
    }
}

/// Appends what a reference stands for.
fn resolve(reference: &BytesRef<'_>, text: &mut String) -> Option<()> {
    match reference.resolve_char_ref().ok()? {
        Some(c) => text.push(c),
        None => text.push_str(resolve_xml_entity(reference)?),
    }
    Some(())
}

/// Appends an element that holds text. `None` where XML cannot hold the text.
pub(super) fn put_text(out: &mut String, name: &str, text: &str) -> Option<()> {
    if text.contains(char::is_control) {
        return None;
    }
    for part in ["<", name, ">", &escape(text), "</", name, ">"] {
        out.push_str(part);
    }
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
    fn cdata_is_text_as_it_is_and_entities_are_resolved_once() {
        let document = "<A>&amp;lt;<![CDATA[<b>&amp;]]>&apos;&#x1F980;<B/>&gt;</A>";
        let root = Element::parse(document).expect("well-formed");
        assert_eq!(root.text, "&lt;<b>&amp;'\u{1f980}>");
        assert_eq!(root.children.len(), 1);
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
            &format!("{}{}", "<A>".repeat(9), "</A>".repeat(9)),
            &format!("<A>{}</A>", "<B/>".repeat(MAX_ELEMENTS)),
            "<A>&#0;</A>",
            "<A>&lt</A>",
            "<A></A>&lt;",
            "<![CDATA[x]]><A></A>",
            "<!DOCTYPE A><A></A>",
            "<A b></A>",
            "<A b='1' b='2'></A>",
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
