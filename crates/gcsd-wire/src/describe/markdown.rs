//! The tables of the specification.

use std::fmt::Write as _;

use super::{is_shared, structs};
use crate::flags::{Flag, REPLY_FLAGS, REQUEST_FLAGS};
use crate::layout::{FieldKind, FieldLayout, Presence, StructLayout};
use crate::limits::LIMITS;
use crate::opcode::GROUPS;
use crate::{Kind, Layer, Opcode, Retry, piece};

/// What stands behind a marker of the specification, `struct: NAME` or `table: NAME`; `None` if there is no such thing.
pub fn markdown(marker: &str) -> Option<String> {
    let (what, name) = marker.split_once(": ")?;
    match (what, name) {
        ("struct", name) => structs()
            .iter()
            .find(|(known, _)| known == name)
            .map(|(name, layout)| struct_table(name, layout)),
        ("table", "opcodes") => Some(opcodes()),
        ("table", "opcode groups") => Some(table(
            "| opcodes | for |\n| --- | --- |",
            GROUPS.iter().map(|group| match group.first == group.last {
                true => format!("| {:#04x} | {} |", group.first, group.about),
                false => format!(
                    "| {:#04x} to {:#04x} | {} |",
                    group.first, group.last, group.about
                ),
            }),
        )),
        ("table", "kinds") => Some(kinds()),
        ("table", "layers") => Some(table(
            "| layer | name | at fault |\n| ---: | --- | --- |",
            Layer::ALL.iter().map(|layer| {
                let (number, name, means) = (*layer as u8, layer.name(), layer.means());
                format!("| {number} | {name} | {means} |")
            }),
        )),
        ("table", "classes") => Some(table(
            "| retry | name | means | what a client does |\n| ---: | --- | --- | --- |",
            Retry::ALL.iter().map(|class| {
                let (number, name, means) = (*class as u8, class.name(), class.means());
                format!("| {number} | {name} | {means} | {} |", class.client_does())
            }),
        )),
        ("table", "request flags") => Some(flags(REQUEST_FLAGS)),
        ("table", "reply flags") => Some(flags(REPLY_FLAGS)),
        ("table", "piece kinds") => Some(table(
            "| kind | name | |\n| ---: | --- | --- |",
            piece::KINDS
                .iter()
                .map(|(number, name, about)| format!("| {number} | {name} | {about} |")),
        )),
        ("table", "limits") => Some(table(
            "| limit | counts on | beyond it |\n| --- | --- | --- |",
            LIMITS.iter().map(|limit| {
                let counts = format!("{} {}", grouped(limit.value), limit.unit);
                format!("| {} | {} | {} |", limit.name, counts.trim_end(), limit.beyond)
            }),
        )),
        _ => None,
    }
}

fn table(head: &str, rows: impl Iterator<Item = String>) -> String {
    rows.fold(head.to_owned(), |table, row| table + "\n" + &row)
}

/// A number with its thousands apart, or as a power.
fn grouped(number: u64) -> String {
    for bits in [32, 40, 63] {
        let power = 1_u64 << bits;
        match number {
            _ if number == power - 1 => return format!("2^{bits}-1"),
            _ if number >= power && bits == 40 && number.is_multiple_of(power) => {
                return format!("{} * 2^{bits}", number / power);
            }
            _ => {}
        }
    }
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn opcodes() -> String {
    let rows = Opcode::ALL.iter().map(|opcode| {
        let body = match (opcode.has_body(), opcode.may_stream()) {
            (true, true) => "yes, also in pieces",
            (true, false) => "yes",
            _ => "",
        };
        let cells = [opcode.name(), opcode.upload().name(), body, opcode.gcs()];
        cells
            .iter()
            .fold(format!("| {:#04x} |", *opcode as u8), |row, cell| {
                match cell.is_empty() {
                    true => row + " |",
                    false => row + " " + cell + " |",
                }
            })
    });
    table(
        "| opcode | name | upload | body | GCS |\n| ---: | --- | --- | --- | --- |",
        rows,
    )
}

fn kinds() -> String {
    let rows = Kind::ALL.iter().map(|kind| {
        let classes: Vec<_> = kind.classes().iter().map(|class| class.name()).collect();
        format!(
            "| {:#04x} | {} | {} | {} | {} | {} |",
            *kind as u8,
            kind.name(),
            kind.layer().name(),
            classes.join(", "),
            kind.means(),
            kind.client_does()
        )
    });
    table(
        "| kind | name | layer | classes | means | what a client does |\n| ---: | --- | --- | --- | --- | --- |",
        rows,
    )
}

fn flags(flags: &[Flag]) -> String {
    let rows = flags.iter().map(|flag| {
        let reserved = if flag.reserved { "reserved: " } else { "" };
        format!("| {} | {} | {reserved}{} |", flag.bit, flag.name, flag.about)
    });
    table("| bit | name | |\n| ---: | --- | --- |", rows)
}

fn struct_table(name: &str, layout: &'static StructLayout) -> String {
    let mut text = format!("**{name}**: {} bytes", layout.size);
    if name != layout.name && is_shared(layout) {
        let article = if layout.name.starts_with(['E', 'O']) {
            "an"
        } else {
            "a"
        };
        let _ = write!(text, ", {article} {}", layout.name);
        return text;
    }
    let (arrays, tail) = behind(layout, &[]);
    for (at, part) in arrays.iter().chain(&tail).enumerate() {
        text += if at == 0 || at == arrays.len() {
            ", then "
        } else {
            ", "
        };
        text += part;
    }
    if is_shared(layout) && !tail.is_empty() && is_nested(layout) {
        text += ", behind the struct that it is part of";
    }
    if layout.fields.iter().all(|field| field.size == 0) {
        return text;
    }
    text += "\n\n| offset | size | field | |\n| ---: | ---: | --- | --- |";
    for field in layout.fields.iter().filter(|field| field.size > 0) {
        let about = about(layout, field);
        let (offset, size, name) = (field.offset, field.size, field.row());
        let _ = write!(text, "\n| {offset} | {size} | {name} |");
        let _ = if about.is_empty() {
            write!(text, " |")
        } else {
            write!(text, " {about} |")
        };
    }
    text
}

/// Whether the struct stands in another one.
fn is_nested(layout: &StructLayout) -> bool {
    structs().iter().any(|(_, of)| {
        let within =
            |field: &FieldLayout| matches!(field.kind, FieldKind::Struct(inner) if inner.name == layout.name);
        of.fields.iter().any(within)
    })
}

/// What stands behind the fixed part: the structs of arrays, and the variable fields.
fn behind(layout: &'static StructLayout, without: &[&str]) -> (Vec<String>, Vec<String>) {
    let (mut arrays, mut tail) = (Vec::new(), Vec::new());
    for field in layout
        .fields
        .iter()
        .filter(|field| !without.contains(&field.name))
    {
        match field.kind {
            FieldKind::Struct(of) => {
                let refused: Vec<_> = field.without.iter().map(|(name, _)| *name).collect();
                tail.extend(behind(of, &refused).1);
            }
            FieldKind::Array(of) => {
                arrays.push(format!("`{}` times a {}", field.row(), of.name));
                tail.extend(
                    behind(of, &[])
                        .1
                        .iter()
                        .map(|name| format!("the {name} of each {}", of.name)),
                );
            }
            FieldKind::Key | FieldKind::Rest => tail.push(format!("`{}`", field.name)),
            kind if kind.is_counted() => tail.push(format!("`{}`", field.name)),
            _ => {}
        }
    }
    (arrays, tail)
}

/// What a row says of its field.
fn about(layout: &StructLayout, field: &FieldLayout) -> String {
    let doc = field.doc.trim().trim_end_matches('.');
    let mut parts = Vec::new();
    if let Presence::Bit([.., word], bit) = field.presence
        && !matches!(field.kind, FieldKind::Struct(of) if of.has_open_bits())
    {
        let word = match field.presence {
            Presence::Bit([outer, inner], _) => format!("{outer}.{inner}"),
            _ => (*word).to_owned(),
        };
        parts.push(format!("`{word}` bit {bit}"));
    } else if let Presence::Bit([], bit) = field.presence {
        parts.push(format!("bit {bit}"));
    }
    match field.kind {
        FieldKind::Struct(of) => {
            let without: Vec<_> = field
                .without
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            let without = match without.is_empty() {
                true => String::new(),
                false => format!(" without {}", without.join(", ")),
            };
            parts.push(format!("{}{without}", of.name));
        }
        FieldKind::Word => parts.push(bits(layout, field.name)),
        _ => {}
    }
    if !doc.is_empty() {
        parts.push(doc.to_owned());
    }
    let extra = outer_bits(layout, field.name);
    if !extra.is_empty() {
        parts.push(format!("Its `present` has more bits: {extra}"));
    }
    parts.join(". ")
}

/// What the bits of a word of the struct say.
fn bits(layout: &StructLayout, word: &str) -> String {
    named_bits(layout, &[word])
}

/// What the bits say that this struct adds to the word of the struct in its field `name`.
fn outer_bits(layout: &StructLayout, name: &str) -> String {
    named_bits(layout, &[name, "present"])
}

/// A sentence as it stands inside another: its first letter is small, unless an abbreviation begins with it.
fn within(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next();
    match letters.clone().next() {
        Some(second) if second.is_uppercase() => sentence.to_owned(),
        _ => first
            .into_iter()
            .flat_map(char::to_lowercase)
            .chain(letters)
            .collect(),
    }
}

fn named_bits(layout: &StructLayout, path: &[&str]) -> String {
    let mut named: Vec<(u8, String)> = Vec::new();
    for field in layout.fields {
        let Presence::Bit(of, bit) = field.presence else {
            continue;
        };
        if of != path {
            continue;
        }
        let text = match field.kind {
            FieldKind::Struct(inner) if inner.has_open_bits() => format!("bits 0 to 3: {}", inner.name),
            FieldKind::Flag => {
                let doc = field.doc.trim().trim_end_matches('.');
                format!("bit {bit}: `{}`, {}", field.name, within(doc))
            }
            _ => format!("bit {bit}: `{}`", field.name),
        };
        named.push((bit, text));
    }
    named.sort();
    // A flag speaks for the field that is present by the same bit.
    named.dedup_by(|next, before| next.0 == before.0 && !before.1.contains("bits"));
    let texts: Vec<_> = named.into_iter().map(|(_, text)| text).collect();
    texts.join("; ")
}
