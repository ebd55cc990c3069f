//! `gcsd encode OPCODE --help`: the fields, as the table has them.

use std::fmt::Write as _;

use crate::cli::fields::short_names;
use gcsd_wire::Opcode;
use gcsd_wire::dynamic::leaves;
use gcsd_wire::layout::{FieldKind, FieldLayout};

/// Words of the head and the body: how they are written, what they mean.
fn others(opcode: Opcode) -> Vec<(&'static str, &'static str)> {
    let mut words = vec![
        (
            "sequence=NUMBER",
            "The request's number, which its reply carries [default: the opcode's number].",
        ),
        (
            "checked",
            "Head and args have a checksum, and so do the heads of pieces.",
        ),
    ];
    if opcode.has_upload() {
        words.push((
            "upload=ID",
            "The connection's id for the upload, chosen by you; not 0 [default: 1].",
        ));
    }
    if opcode == Opcode::CompleteMultipart {
        words.push((
            "part=N=ETAG",
            "A part: its number, and the etag of upload-part's reply; repeated, in rising order.",
        ));
    }
    if opcode.may_stream() {
        words.extend([
            ("body=@FILE", "A file with the bytes of the body; @- for standard input."),
            ("text=TEXT", "The bytes of the body, as text."),
            ("body_len=SIZE", "How many bytes of body= are sent [default: all]."),
            ("streamed", "Send the bytes in pieces, as they come: how many there are need not be known before their end."),
            (
                "abort",
                "Send the bytes in pieces, and take them back: an abort stands behind them.",
            ),
        ]);
    }
    if opcode == Opcode::WriteAt {
        words.push((
            "last",
            "This range is the object's last: total is offset plus length.",
        ));
    }
    words
}

/// The names of those words.
pub(super) fn words(opcode: Opcode) -> impl Iterator<Item = &'static str> {
    let others = others(opcode).into_iter();
    others.map(|(word, _)| word.split('=').next().unwrap_or(word))
}

/// What the table says of a field, where it stands and not where that refers to.
fn about(field: &'static FieldLayout) -> &'static str {
    let Some(name) = field.doc.trim().strip_prefix("As in ") else {
        return field.doc;
    };
    let structs = gcsd_wire::describe::structs();
    let referred = structs
        .iter()
        .find(|(known, _)| known == name.trim_end_matches('.'));
    let fields = referred.map_or(&[][..], |(_, layout)| layout.fields);
    let same = fields.iter().find(|other| other.name == field.name);
    same.map_or(field.doc, |same| same.doc)
}

/// What a request is made of.
pub(super) fn fields(opcode: Opcode) -> String {
    let leaves = leaves(opcode.args());
    let mut text = String::new();
    let mut add = |word: &str, about: &str| {
        let _ = write!(text, "  {word}\n          {}\n", about.trim().replace('`', "'"));
    };
    for (leaf, name) in leaves.iter().zip(short_names(&leaves)) {
        if leaf.refused.is_some() {
            continue;
        }
        let value = match leaf.field.kind {
            FieldKind::Flag => "",
            FieldKind::Crc32c => "=CRC32C",
            FieldKind::Secret | FieldKind::Key => "=@FILE",
            FieldKind::Json => "=JSON|@FILE",
            FieldKind::Text | FieldKind::Token | FieldKind::Rest => "=TEXT",
            FieldKind::Array(of) => {
                let name = name.trim_end_matches('s');
                add(&format!("{name}=NAME[#GENERATION]"), leaf.field.doc);
                for field in gcsd_wire::dynamic::leaves(of).iter().skip(1) {
                    let about = format!("Of the {name} before it: {}", field.field.doc.trim());
                    add(&format!("{name}.{}=NUMBER", field.field.name), &about);
                }
                continue;
            }
            _ => "=NUMBER",
        };
        add(&format!("{name}{value}"), about(leaf.field));
    }
    for (word, about) in others(opcode) {
        add(word, about);
    }
    let urls = leaves.iter().any(|leaf| leaf.field.name == "bucket");
    let urls = match (opcode, urls) {
        (Opcode::RewriteObject | Opcode::MoveObject, _) => {
            "\nBoth objects can be given by their URLs, the source first: gs://BUCKET/SOURCE gs://BUCKET/OBJECT\n"
        }
        (Opcode::StatBucket, _) => "\nThe bucket can be given by its URL: gs://BUCKET\n",
        (Opcode::ListObjects, _) => "\nBucket and prefix can be given by a URL: gs://BUCKET[/PREFIX]\n",
        (_, true) => "\nBucket and object can be given by a URL: gs://BUCKET/OBJECT\n",
        _ => "",
    };
    format!(
        "Fields:\n{text}{urls}\nNumbers can have units (64KiB) or be hexadecimal (0x10); a CRC32C is base64 or eight hexadecimal digits."
    )
}
