//! Documents in answers.

use std::fmt::Write as _;

use http::{Response, StatusCode};

use crate::answer;
use crate::response_body::ResponseBody;

/// An element of a document that is being written.
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

    /// An empty element with an attribute.
    pub(super) fn with(name: &'static str, attribute: &str, value: &str) -> Self {
        Self {
            text: format!("<{name} {attribute}=\"{}\">", escape(value)),
            name,
        }
    }

    /// Adds an attribute to an element that is still empty.
    pub(super) fn attribute(mut self, attribute: &str, value: &str) -> Self {
        self.text.pop();
        let _ = write!(self.text, " {attribute}=\"{}\">", escape(value));
        self
    }

    /// An empty element in the namespace of lists and results.
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

    /// The document, with this as its root.
    pub(super) fn document(self) -> String {
        format!("<?xml version='1.0' encoding='UTF-8'?>{}", self.close())
    }

    /// An answer that is the document.
    pub(super) fn answer(self, status: StatusCode) -> Response<ResponseBody> {
        answer::full(status, "application/xml; charset=UTF-8", self.document())
    }
}

fn escape(text: &str) -> String {
    // XML cannot hold the other control characters at all.
    let is_illegal = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    quick_xml::escape::escape(text.replace(is_illegal, "\u{fffd}")).into_owned()
}
