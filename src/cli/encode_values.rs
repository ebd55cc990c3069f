//! `gcsd encode`: the values of fields, from their text.

use std::path::Path;

use bytes::Bytes;

use super::words::number;
use crate::cli::encryption_key::read_key;
use crate::cli::exit::Failure;
use crate::cli::secret::read_secret;
use gcsd_types::Crc32c;
use gcsd_wire::dynamic::{Leaf, Value};
use gcsd_wire::layout::FieldKind;

/// The value of a field; `None` where the word says that it has none.
pub(super) fn parse(leaf: &Leaf, text: Option<&str>) -> Result<Option<Value>, Failure> {
    let kind = leaf.field.kind;
    let name = leaf.field.name;
    let Some(text) = text else {
        return match kind {
            FieldKind::Flag => Ok(Some(Value::Flag)),
            _ => Err(Failure::usage(format!("'{name}' needs a value: {name}=..."))),
        };
    };
    let file = |what: &str| {
        let path = text.strip_prefix('@').map(Path::new);
        path.ok_or_else(|| Failure::usage(format!("a {what} is read from a file: {name}=@FILE")))
    };
    let plain = || Value::Bytes(text.to_owned().into());
    Ok(Some(match kind {
        FieldKind::Flag => match text {
            "true" | "1" => Value::Flag,
            "false" | "0" => return Ok(None),
            _ => return Err(Failure::usage(format!("'{text}' is neither true nor false"))),
        },
        FieldKind::Crc32c => Value::Number(crc32c(text).map_err(Failure::usage)?.0.into()),
        FieldKind::Secret => Value::Bytes(read_secret(file("secret")?)?),
        FieldKind::Key => {
            let key = read_key(file("key")?, name)?;
            Value::Bytes(Bytes::copy_from_slice(key.expose()))
        }
        FieldKind::Json => match text.strip_prefix('@') {
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|error| Failure::io(path, &error))?;
                Value::Bytes(bytes.into())
            }
            None => plain(),
        },
        FieldKind::Text | FieldKind::Token | FieldKind::Rest => plain(),
        _ => Value::Number(number(text).map_err(Failure::usage)?),
    }))
}

/// Reads a CRC32C in GCS's base64 or in hexadecimal.
pub(super) fn crc32c(text: &str) -> Result<Crc32c, String> {
    Crc32c::from_base64(text)
        .or_else(|| {
            let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u32::from_str_radix(text, 16).ok().map(Crc32c))?
        })
        .ok_or_else(|| format!("'{text}' is neither base64 of four bytes nor eight hexadecimal digits"))
}

/// How many letters two names differ in.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (to, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[to + 1];
            row[to + 1] = changed.min(diagonal + 1).min(row[to] + 1);
        }
    }
    row[b.len()]
}
