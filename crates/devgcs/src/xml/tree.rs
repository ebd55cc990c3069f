//! Documents in requests, as trees.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use crate::error::Error;

/// How deep elements can be nested.
const MAX_DEPTH: usize = 16;

/// An element. Namespaces and comments are ignored; no entity but the predefined ones is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    /// The value of its attribute `type`, whatever the namespace.
    pub(super) kind: Option<String>,
    text: String,
    pub(super) children: Vec<Node>,
}

impl Node {
    /// Reads a document; `None` if it is not well-formed.
    pub(super) fn read(document: &str) -> Option<Self> {
        let mut reader = Reader::from_str(document);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) => {
                    if open.len() > MAX_DEPTH {
                        return None;
                    }
                    open.push(Self::begin(&tag));
                }
                Event::Empty(tag) => open.last_mut()?.children.push(Self::begin(&tag)),
                Event::End(_) => {
                    let node = open.pop()?;
                    open.last_mut()?.children.push(node);
                }
                Event::Text(more) => open.last_mut()?.text += &more.xml10_content(),
                Event::CData(more) => open.last_mut()?.text += &more.xml10_content(),
                Event::GeneralRef(entity) => {
                    let text = &mut open.last_mut()?.text;
                    match entity.resolve_char_ref().ok()? {
                        Some(character) => text.push(character),
                        None => *text += resolve_predefined_entity(&entity)?,
                    }
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
                Event::Eof => break,
            }
        }
        let root = open.pop().filter(|_| open.is_empty())?;
        let alone = root.children.len() == 1 && root.text.trim().is_empty();
        root.children.into_iter().next().filter(|_| alone)
    }

    fn begin(tag: &BytesStart<'_>) -> Self {
        let mut attributes = tag.attributes().flatten();
        let kind = attributes.find(|attribute| attribute.key.local_name().as_ref() == "type");
        Self {
            name: tag.local_name().as_ref().to_owned(),
            kind: kind.map(|attribute| attribute.value.into_owned()),
            ..Self::default()
        }
    }

    /// Reads a document whose root is called `name`.
    pub(super) fn root(body: &[u8], name: &str) -> Result<Self, Error> {
        let node = std::str::from_utf8(body).ok().and_then(Self::read);
        node.filter(|node| node.name == name).ok_or_else(|| {
            Error::invalid(format!(
                "The XML you provided was not well-formed, or is not a {name}."
            ))
        })
    }

    /// The first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Its text, without the white space around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    /// Its text as it is.
    pub(super) fn exact_text(&self) -> &str {
        &self.text
    }

    /// The text of the first child of that name.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_trees() {
        let text =
            r#"<?xml version="1.0"?><A xmlns="x"><B t:type="k">1 &amp; <![CDATA[<]]></B><C/><B> 2 </B></A>"#;
        let root = Node::read(text).expect("well-formed");
        assert_eq!(root.name, "A");
        let texts: Vec<&str> = root.all("B").map(Node::text).collect();
        assert_eq!(texts, ["1 & <", "2"]);
        assert_eq!(root.child("B").expect("there").kind.as_deref(), Some("k"));
        assert_eq!(root.text_of("C"), Some(""));
    }

    #[test]
    fn what_is_not_a_document_is_none() {
        let deep = "<a>".repeat(20) + &"</a>".repeat(20);
        for text in [
            "",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a>&unknown;</a>",
            &deep,
        ] {
            assert_eq!(Node::read(text), None, "{text}");
        }
    }
}
