//! A frame as named fields, for `gcsd decode`.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

use gcsd_client::one_line;
use gcsd_types::Crc32c;
use gcsd_wire::dynamic::{self, Leaf, Value, Values, leaves};
use gcsd_wire::layout::{FieldKind, StructLayout};
use gcsd_wire::{ArgsError, Status};

/// Named values in the order in which they are shown.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(Cow<'static, str>, Json)>);

impl Fields {
    /// Adds a field.
    pub(super) fn add(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Json>) {
        self.0.push((name.into(), value.into()));
    }

    /// Adds a field that may be absent.
    fn maybe(&mut self, name: &'static str, value: Option<impl Into<Json>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// One JSON object on one line.
    pub(super) fn json(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        one_line(&format!("{{{}}}", pairs.join(",")))
    }

    /// One line for people: the first fields as words, the others as `name=value`.
    pub(super) fn text(&self, words: usize) -> String {
        let shown = self.0.iter().enumerate().map(|(at, (name, value))| {
            let text = match value {
                Json::String(text) if plain(text) => text.clone(),
                other => other.to_string(),
            };
            match value {
                _ if at < words => text,
                Json::Bool(true) => name.clone().into_owned(),
                _ => format!("{name}={text}"),
            }
        });
        one_line(&shown.collect::<Vec<_>>().join(" "))
    }

    /// The fields of args, by the names that `gcsd encode` knows.
    pub(super) fn args(
        &mut self,
        layout: &'static StructLayout,
        args: Bytes,
        show_token: bool,
    ) -> Result<(), ArgsError> {
        let values = dynamic::decode(layout, args)?;
        self.0.extend(shown(layout, &values, show_token));
        Ok(())
    }

    /// What the status of a reply says beside its name.
    pub(super) fn status(&mut self, status: Status) {
        self.add("code", format!("{:#06x}", status.0));
        self.maybe("layer", status.layer().map(|layer| layer.name()));
        self.maybe("retry", status.retry().map(|retry| retry.name()));
    }
}

fn shown(layout: &'static StructLayout, values: &Values, show_token: bool) -> Vec<(Cow<'static, str>, Json)> {
    let leaves = leaves(layout);
    let mut names = short_names(&leaves);
    let shown = values.iter().map(|(at, value)| {
        let name = std::mem::take(&mut names[*at]);
        (name.into(), show(leaves[*at].field.kind, value, show_token))
    });
    shown.collect()
}

/// The names of fields: the last parts of their paths, and all of it where several end alike.
pub(super) fn short_names(leaves: &[Leaf]) -> Vec<String> {
    let alike = |name: &str| {
        let same = |leaf: &&Leaf| leaf.field.name == name && leaf.refused.is_none();
        leaves.iter().filter(same).count()
    };
    let name = |leaf: &Leaf| match alike(leaf.field.name) {
        0 | 1 => leaf.field.name.to_owned(),
        // Preconditions are named by what they are of.
        _ => leaf.name().replace(".preconditions.", "."),
    };
    leaves.iter().map(name).collect()
}

fn show(kind: FieldKind, value: &Value, show_token: bool) -> Json {
    match (kind, value) {
        (_, Value::Flag) => json!(true),
        (FieldKind::Array(of), Value::List(each)) => {
            let object = |values| {
                let pairs = shown(of, values, show_token).into_iter();
                Json::Object(
                    pairs
                        .map(|(name, value)| (name.into_owned(), value))
                        .collect::<Map<_, _>>(),
                )
            };
            Json::Array(each.iter().map(object).collect())
        }
        (FieldKind::Crc32c, Value::Number(number)) => {
            json!(Crc32c(u32::try_from(*number).unwrap_or_default()).to_base64())
        }
        (FieldKind::Time, Value::Number(seconds)) => {
            let time = i64::try_from(*seconds).ok();
            let time = time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
            time.map_or_else(|| json!(seconds), |time| json!(time.to_string()))
        }
        (FieldKind::Choice(values), Value::Number(number)) => {
            let known = values.iter().find(|(value, _)| u64::from(*value) == *number);
            known.map_or_else(|| json!(number), |(_, name)| json!(name))
        }
        (_, Value::Number(number)) => json!(number),
        (FieldKind::Token, Value::Bytes(_)) if !show_token => json!("[hidden]"),
        (FieldKind::Secret | FieldKind::Key, _) => json!("[hidden]"),
        (FieldKind::Json, Value::Bytes(bytes)) => json_or_text(bytes),
        (FieldKind::Octets, Value::Bytes(bytes)) => json!(hex(bytes)),
        (FieldKind::Bytes, Value::Bytes(bytes)) => json!(bytes.to_vec()),
        (_, Value::Bytes(bytes)) => json!(text(bytes)),
        (_, Value::List(_)) => Json::Null,
    }
}

/// Whether text can stand in a line as it is.
fn plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"')
}

/// Bytes as text where they are, else in hexadecimal.
fn text(bytes: &Bytes) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("0x{}", hex(bytes)),
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A body that should be JSON.
pub(super) fn json_or_text(bytes: &[u8]) -> Json {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(bytes).into_owned()))
}
