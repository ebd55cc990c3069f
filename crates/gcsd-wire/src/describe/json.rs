//! The description for programs in any language.

use std::fmt::Write as _;

use super::structs;
use crate::flags::{Flag, REPLY_FLAGS, REQUEST_FLAGS};
use crate::layout::{FieldKind, FieldLayout, Presence, StructLayout};
use crate::limits::LIMITS;
use crate::{Kind, Layer, Opcode, Retry, VERSION, piece};

/// What the description as JSON says of the words that it uses.
const ABOUT: &str = "The gcsd protocol as data, made from the code. All integers are little-endian. A struct is its fixed part of \
`size` bytes, then the structs of its array, then the contents of its variable fields in the order of the fields. A field with \
the type text, token, secret, json or numbers holds the length of such a content; the fields of a struct within a struct stand \
at their offsets in it. A key has 32 bytes, a rest all that is left. A presence is a bit of a word (by its path from the struct), \
or that the number is not 0 or not the highest; \
an empty word is the one that the struct around it names.";

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
fn type_name(field: &FieldLayout) -> String {
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
