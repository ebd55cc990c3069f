//! The table as text: for people, the tables of the specification; for programs, a description as JSON.

use std::fmt::Write as _;

use super::field::Struct as _;
use super::head::{Flag, REPLY_FLAGS, REQUEST_FLAGS, ReplyFields, RequestFields};
use super::layout::{FieldKind, FieldLayout, Presence, StructLayout};
use super::limits::LIMITS;
use super::multipart::PartList;
use super::opcode::GROUPS;
use super::piece;
use super::{ErrorReply, Kind, Layer, Opcode, Retry, VERSION};

/// What the description as JSON says of the words that it uses.
const ABOUT: &str = "The gcsd protocol as data, made from the code. All integers are little-endian. A struct is its fixed part of \
`size` bytes, then the structs of its array, then the contents of its variable fields in the order of the fields. A field with \
the type text, token, secret, json or numbers holds the length of such a content; the fields of a struct within a struct stand \
at their offsets in it. A key has 32 bytes, a rest all that is left. A presence is a bit of a word (by its path from the struct), \
or that the number is not 0 or not the highest; \
an empty word is the one that the struct around it names.";

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
                let (first, rest) = doc.split_at(doc.chars().next().map_or(0, char::len_utf8));
                format!("bit {bit}: `{}`, {}{rest}", field.name, first.to_lowercase())
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

/// The description of the protocol as JSON, a line for each thing in it.
pub fn json() -> String {
    let list = |lines: Vec<String>| format!("[\n    {}\n  ]", lines.join(",\n    "));
    let named = |code: u64, name: &str, about: &str| {
        format!(
            r#"{{"code": {code}, "name": {}, "about": {}}}"#,
            quoted(name),
            quoted(about)
        )
    };
    let flags = |flags: &[Flag]| {
        list(
            flags
                .iter()
                .map(|flag| {
                    format!(
                        r#"{{"bit": {}, "name": {}, "reserved": {}, "about": {}}}"#,
                        flag.bit,
                        quoted(flag.name),
                        flag.reserved,
                        quoted(flag.about)
                    )
                })
                .collect(),
        )
    };
    let opcodes = Opcode::ALL.iter().map(|opcode| {
        let replies: Vec<_> = opcode.replies().iter().map(|reply| quoted(reply.name)).collect();
        format!(
            r#"{{"code": {}, "name": {}, "upload": {}, "body": {}, "pieces": {}, "args": {}, "replies": [{}], "about": {}}}"#,
            *opcode as u8,
            quoted(opcode.name()),
            quoted(opcode.upload().name()),
            opcode.has_body(),
            opcode.may_stream(),
            quoted(opcode.args().name),
            replies.join(", "),
            quoted(opcode.about())
        )
    });
    let mut layouts: Vec<&StructLayout> = Vec::new();
    for (_, layout) in structs() {
        if !layouts.iter().any(|known| known.name == layout.name) {
            layouts.push(layout);
        }
    }
    let kinds = Kind::ALL.iter().map(|kind| {
        let classes: Vec<_> = kind.classes().iter().map(|class| quoted(class.name())).collect();
        format!(
            r#"{{"code": {}, "name": {}, "layer": {}, "classes": [{}], "about": {}}}"#,
            *kind as u8,
            quoted(kind.name()),
            quoted(kind.layer().name()),
            classes.join(", "),
            quoted(kind.means())
        )
    });
    let layers = Layer::ALL.iter();
    let layers = layers.map(|layer| named(*layer as u64, layer.name(), layer.means()));
    let classes = Retry::ALL.iter();
    let classes = classes.map(|class| named(*class as u64, class.name(), class.means()));
    let pieces = piece::KINDS.iter();
    let pieces = pieces.map(|(code, name, about)| named(u64::from(*code), name, about));
    let limits = LIMITS.iter().map(|limit| {
        let (name, unit) = (quoted(limit.name), quoted(limit.unit));
        format!(r#"{{"name": {name}, "value": {}, "unit": {unit}}}"#, limit.value)
    });
    let sections = [
        ("about", quoted(ABOUT)),
        ("version", VERSION.to_string()),
        ("opcodes", list(opcodes.collect())),
        ("request_flags", flags(REQUEST_FLAGS)),
        ("reply_flags", flags(REPLY_FLAGS)),
        ("piece_kinds", list(pieces.collect())),
        ("layers", list(layers.collect())),
        ("classes", list(classes.collect())),
        ("kinds", list(kinds.collect())),
        ("limits", list(limits.collect())),
        ("structs", list(layouts.into_iter().map(json_struct).collect())),
    ];
    let sections = sections.map(|(name, text)| format!("  \"{name}\": {text}"));
    format!("{{\n{}\n}}\n", sections.join(",\n"))
}

fn json_struct(layout: &StructLayout) -> String {
    let fields: Vec<_> = layout.fields.iter().map(json_field).collect();
    format!(
        "{{\"name\": {}, \"size\": {}, \"about\": {}, \"fields\": [\n      {}\n    ]}}",
        quoted(layout.name),
        layout.size,
        quoted(layout.doc.trim()),
        fields.join(",\n      ")
    )
}

fn json_field(field: &FieldLayout) -> String {
    let mut text = format!(
        r#"{{"name": {}, "offset": {}, "size": {}, "type": {}"#,
        quoted(field.name),
        field.offset,
        field.size,
        quoted(&type_name(field))
    );
    let presence = match field.presence {
        Presence::Always => None,
        Presence::Bit(path, bit) => Some(format!(
            r#"{{"word": {}, "bit": {bit}}}"#,
            quoted(&path.join("."))
        )),
        Presence::NotZero => Some(quoted("not 0")),
        Presence::NotMax => Some(quoted("not the highest")),
    };
    if let Some(presence) = presence {
        let _ = write!(text, r#", "presence": {presence}"#);
    }
    if !field.without.is_empty() {
        let names: Vec<_> = field.without.iter().map(|(name, _)| quoted(name)).collect();
        let _ = write!(text, r#", "without": [{}]"#, names.join(", "));
    }
    if let FieldKind::Choice(values) = field.kind {
        let named = values
            .iter()
            .map(|(number, name)| format!(r#""{number}": {}"#, quoted(name)));
        let _ = write!(
            text,
            r#", "values": {{{}}}"#,
            named.collect::<Vec<_>>().join(", ")
        );
    }
    if !field.doc.is_empty() {
        let _ = write!(text, r#", "about": {}"#, quoted(field.doc.trim()));
    }
    text + "}"
}

/// What a field's bytes are.
pub fn type_name(field: &FieldLayout) -> String {
    let fixed = match field.kind {
        FieldKind::Number => return format!("u{}", 8 * field.size),
        FieldKind::Struct(of) => return of.name.to_owned(),
        FieldKind::Array(of) => return format!("{}[]", of.name),
        FieldKind::Choice(_) => "choice",
        FieldKind::Time => "time",
        FieldKind::Crc32c => "crc32c",
        FieldKind::Octets => "bytes",
        FieldKind::Word => "bits",
        FieldKind::Flag => "flag",
        FieldKind::Reserved => "reserved",
        FieldKind::Text => "text",
        FieldKind::Token => "token",
        FieldKind::Secret => "secret",
        FieldKind::Json => "json",
        FieldKind::Bytes => "numbers",
        FieldKind::Rest => "rest",
        FieldKind::Key => "key",
    };
    fixed.to_owned()
}

/// Text as JSON has it.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            _ if character.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out + "\""
}
