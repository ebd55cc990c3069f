//! The table as text: for people, the tables of the specification; for programs, a description as JSON.

mod json;
mod markdown;

use super::field::Struct as _;
use super::head::{ReplyFields, RequestFields};
use super::layout::{FieldKind, StructLayout};
use super::multipart::PartList;
use super::piece;
use super::{ErrorReply, Opcode};

pub use json::json;
pub use markdown::markdown;

/// The structs of the specification by their names there: those that stand for themselves and those in them.
pub fn structs() -> Vec<(String, &'static StructLayout)> {
    let mut found: Vec<(String, &'static StructLayout)> = Vec::new();
    for layout in [
        &RequestFields::LAYOUT,
        &ReplyFields::LAYOUT,
        &piece::Fields::LAYOUT,
        &ErrorReply::LAYOUT,
        &PartList::LAYOUT,
    ] {
        with_parts(layout.name.to_owned(), layout, &mut found);
    }
    for opcode in Opcode::ALL {
        with_parts(format!("{}.args", opcode.name()), opcode.args(), &mut found);
        for reply in opcode.replies() {
            let name = match (reply.name.split_once('.'), opcode.replies().len()) {
                (Some((_, role)), 2..) => format!("{}.{role}", opcode.name()),
                _ if reply.name == "Page" => format!("{}.end", opcode.name()),
                _ => format!("{}.reply", opcode.name()),
            };
            with_parts(name, reply, &mut found);
        }
    }
    found
}

fn with_parts(name: String, layout: &'static StructLayout, found: &mut Vec<(String, &'static StructLayout)>) {
    if found.iter().any(|(known, _)| *known == name) {
        return;
    }
    // Where an opcode's struct is a shared one, that stands on its own as well.
    if name != layout.name && is_shared(layout) {
        with_parts(layout.name.to_owned(), layout, found);
    }
    for field in layout.fields {
        if let FieldKind::Struct(of) | FieldKind::Array(of) = field.kind {
            with_parts(of.name.to_owned(), of, found);
        }
    }
    found.push((name, layout));
}

fn is_shared(layout: &StructLayout) -> bool {
    !layout.name.contains('.') && layout.name != "Empty"
}
