//! Documents in requests.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// How deep elements can be nested.
const MAX_DEPTH: usize = 16;

/// The texts of a document's innermost elements, each with its element's name, in order; `None` if the document is not
/// well-formed. Namespaces, attributes and comments are ignored. No entity but the predefined ones is known.
pub(super) fn leaves(document: &str) -> Option<Vec<(String, String)>> {
    let mut reader = Reader::from_str(document);
    let mut leaves = Vec::new();
    let mut text = String::new();
    let mut depth = 0_usize;
    loop {
        match reader.read_event().ok()? {
            Event::Start(_) => {
                depth += 1;
                text.clear();
            }
            Event::Empty(_) => text.clear(),
            Event::End(tag) => {
                depth = depth.checked_sub(1)?;
                if !text.trim().is_empty() {
                    leaves.push((tag.local_name().as_ref().to_owned(), text.trim().to_owned()));
                }
                text.clear();
            }
            Event::Text(more) => text += &more.xml10_content(),
            Event::CData(more) => text += &more.xml10_content(),
            Event::GeneralRef(entity) => match entity.resolve_char_ref().ok()? {
                Some(character) => text.push(character),
                None => text += resolve_predefined_entity(&entity)?,
            },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => return (depth == 0).then_some(leaves),
        }
        let outside = depth == 0 && !text.trim().is_empty();
        if outside || depth > MAX_DEPTH {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::element::Element;
    use super::*;

    #[test]
    fn documents_are_written_and_read() {
        let document = Element::in_s3("A")
            .text("B", "<&\"'>\u{1}")
            .child(Element::new("C").text("D", "é"))
            .optional("E", None::<&str>)
            .document();
        let found = leaves(&document).expect("well-formed");
        assert_eq!(found[0], ("B".to_owned(), "<&\"'>\u{fffd}".to_owned()));
        assert_eq!(found[1], ("D".to_owned(), "é".to_owned()));
        let foreign = "<?xml version=\"1.0\"?>\n<n:A xmlns:n='x'><!-- <q> -->\n <n:B a=\"1\"> &#65;&#x42; </n:B><C/>\
                       <D><![CDATA[<&]]></D></n:A>\n";
        assert_eq!(
            leaves(foreign).expect("well-formed"),
            [
                ("B".to_owned(), "AB".to_owned()),
                ("D".to_owned(), "<&".to_owned())
            ]
        );
        assert_eq!(leaves(""), Some(Vec::new()), "a request without a document");
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        let bomb = "<!DOCTYPE A [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><A>&b;</A>";
        for bad in [
            "<A>",
            "<A></B>",
            "</A>",
            "<A>&x;</A>",
            "<A>&amp</A>",
            "<A>&#x110000;</A>",
            "<A>&#xd800;</A>",
            "<A>&;</A>",
            "<A",
            "<A b='>",
            "<!-- <A></A>",
            "<![CDATA[",
            "<!",
            "text",
            "&amp;",
            "<A></A>text",
            bomb,
            &"<A>".repeat(20),
            &"<A>".repeat(1 << 20),
        ] {
            assert_eq!(leaves(bad), None, "{}", &bad[..bad.len().min(80)]);
        }
        let nested = |depth| "<A>".repeat(depth) + &"</A>".repeat(depth);
        assert!(leaves(&nested(MAX_DEPTH)).is_some() && leaves(&nested(MAX_DEPTH + 1)).is_none());
    }
}
