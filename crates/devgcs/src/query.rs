//! The query string of a request.

use http::StatusCode;
use percent_encoding::percent_decode_str;

use super::error::Error;
use crate::digits::digits;

/// The most parameters a request may have.
const MAX_PARAMETERS: usize = 100;

/// A request's parameters, decoded, in the order given.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string (what follows the `?`).
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(Error::invalid("Too many parameters."));
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(key)?, decode(value)?));
        }
        Ok(Self(pairs))
    }

    /// The value of `key`; the last one if there are several.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let mut matches = self.0.iter().rev().filter(|(k, _)| k == key);
        matches.next().map(|(_, value)| value.as_str())
    }

    /// The values of `key`, in order.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        let matches = self.0.iter().filter(move |(known, _)| known == key);
        matches.map(|(_, value)| value.as_str())
    }

    /// Every key, repeats included.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// Whether `key` is there, with or without a value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether `key` is `true`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The value of `key` as a number that is not negative.
    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>, Error> {
        self.get(key)
            .map(|value| {
                digits(value)
                    .filter(|number| i64::try_from(*number).is_ok())
                    .ok_or_else(|| bad_value(key, value))
            })
            .transpose()
    }
}

fn bad_value(key: &str, value: &str) -> Error {
    Error::invalid(format!("Invalid value '{value}' for the parameter {key}."))
}

fn decode(text: &str) -> Result<String, Error> {
    // In a form `+` is a space; a plus sign is %2B.
    let text = text.replace('+', " ");
    percent_decode_str(&text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| Error::new(StatusCode::BAD_REQUEST, "invalid", "A parameter is not UTF-8."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query =
            Query::parse("name=a%2Fb+c%23&uploadType=resumable&empty&ifGenerationMatch=0").expect("valid");
        assert_eq!(query.get("name"), Some("a/b c#"));
        assert_eq!(query.get("empty"), Some(""));
        assert_eq!(query.get("missing"), None);
        assert_eq!(query.number("ifGenerationMatch").expect("a number"), Some(0));
        assert!(query.number("uploadType").is_err());
        assert!(Query::parse("name=%ff").is_err());
        assert!(Query::parse(&"a=b&".repeat(101)).is_err());
    }
}
