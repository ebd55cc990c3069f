//! `fields`: which part of an answer the client wants
//! (<https://cloud.google.com/storage/docs/json_api#partial-response>).

use serde_json::{Map, Value};

use super::error::Error;

/// Bounds on a selection.
const MAX_LENGTH: usize = 4096;
const MAX_DEPTH: usize = 16;

/// A selection such as `items(name,size),nextPageToken` or `items/name`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, Fields)>);

impl Fields {
    /// Reads a selection.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = || {
            Error::new(
                http::StatusCode::BAD_REQUEST,
                "invalidParameter",
                format!("Invalid field selection {text}"),
            )
        };
        if text.len() > MAX_LENGTH {
            return Err(invalid());
        }
        let mut rest = text.trim();
        let fields = Self::list(&mut rest, 0).ok_or_else(invalid)?;
        if rest.is_empty() {
            Ok(fields)
        } else {
            Err(invalid())
        }
    }

    fn list(rest: &mut &str, depth: usize) -> Option<Self> {
        let mut fields = Self::default();
        loop {
            let (name, inner) = Self::one(rest, depth)?;
            fields.add(name, inner);
            match rest.strip_prefix(',') {
                Some(more) => *rest = more,
                None => return Some(fields),
            }
        }
    }

    /// Adds a field. Selections of the same field add up (gsutil: `items/size,items/name`).
    fn add(&mut self, name: String, inner: Self) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            None => self.0.push((name, inner)),
            Some((_, whole)) if whole.0.is_empty() || inner.0.is_empty() => whole.0.clear(),
            Some((_, part)) => inner
                .0
                .into_iter()
                .for_each(|(name, inner)| part.add(name, inner)),
        }
    }

    fn one(rest: &mut &str, depth: usize) -> Option<(String, Self)> {
        if depth > MAX_DEPTH {
            return None;
        }
        let end = rest.find([',', '/', '(', ')']).unwrap_or(rest.len());
        let name = rest[..end].trim().to_owned();
        *rest = &rest[end..];
        if name.is_empty() {
            return None;
        }
        let inner = if let Some(more) = rest.strip_prefix('/') {
            *rest = more;
            Self(vec![Self::one(rest, depth + 1)?])
        } else if let Some(more) = rest.strip_prefix('(') {
            *rest = more;
            let inner = Self::list(rest, depth + 1)?;
            *rest = rest.strip_prefix(')')?;
            inner
        } else {
            Self::default()
        };
        Some((name, inner))
    }

    /// The selected part of `value`; a missing field is left out.
    pub(crate) fn select(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.select(item)).collect(),
            Value::Object(map) => Value::Object(self.select_from(map)),
            other => other,
        }
    }

    fn select_from(&self, map: Map<String, Value>) -> Map<String, Value> {
        let mut selected = Map::new();
        for (key, value) in map {
            let mut wanted = self.0.iter().filter(|(name, _)| *name == key || name == "*");
            if let Some((_, inner)) = wanted.next() {
                selected.insert(key, inner.select(value));
            }
        }
        selected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selections_select() {
        let page =
            json!({"kind": "k", "items": [{"name": "a", "size": "1", "acl": {"x": 1, "y": 2}}], "next": "n"});
        for (fields, wanted) in [
            ("*", page.clone()),
            ("next", json!({"next": "n"})),
            ("items/name", json!({"items": [{"name": "a"}]})),
            (
                "items(name,acl/x),next",
                json!({"items": [{"name": "a", "acl": {"x": 1}}], "next": "n"}),
            ),
            (
                "items/size,items/acl/x,next,items/acl/y",
                json!({"items": [{"size": "1", "acl": {"x": 1, "y": 2}}], "next": "n"}),
            ),
            ("items/name,items", json!({"items": page["items"]})),
            ("missing", json!({})),
        ] {
            assert_eq!(
                Fields::parse(fields).expect("valid").select(page.clone()),
                wanted,
                "{fields}"
            );
        }
        for bad in ["", "a,", "a(b", "a)", "a/", "(a)", &"a/".repeat(40)] {
            assert!(Fields::parse(bad).is_err(), "{bad}");
        }
    }
}
