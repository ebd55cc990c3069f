//! The conditions of HTTP itself: `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`
//! (RFC 9110, section 13).

use http::HeaderMap;

use super::error::Error;
use super::time::Time;

/// What a request's headers ask for.
#[derive(Debug, Default)]
pub(crate) struct HttpConditions {
    matches: Option<String>,
    none_match: Option<String>,
    modified_since: Option<Time>,
    unmodified_since: Option<Time>,
}

impl HttpConditions {
    /// Those on what is read: all four.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self::read(headers, "")
    }

    /// The two on entity tags, which are all that the JSON API knows.
    pub(crate) fn on_tags(headers: &HeaderMap) -> Self {
        Self {
            modified_since: None,
            unmodified_since: None,
            ..Self::of(headers)
        }
    }

    /// Those on the source of a copy in the XML API.
    pub(crate) fn of_copy_source(headers: &HeaderMap) -> Self {
        Self::read(headers, "x-goog-copy-source-")
    }

    fn read(headers: &HeaderMap, prefix: &str) -> Self {
        let text = |name: &str| {
            let value = headers.get(format!("{prefix}{name}"))?;
            value.to_str().ok().map(str::to_owned)
        };
        // A date that cannot be read is ignored, as RFC 9110 has it.
        let date = |name: &str| text(name).and_then(|text| Time::parse_http(&text));
        Self {
            matches: text("if-match"),
            none_match: text("if-none-match"),
            modified_since: date("if-modified-since"),
            unmodified_since: date("if-unmodified-since"),
        }
    }
}

/// What is there: the entity tag, and when it changed last.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) etag: String,
    pub(crate) updated: Time,
}

impl Current {
    /// Checks `conditions`, in the order that RFC 9110 gives: 412, or 304 for a failed "not".
    pub(crate) fn check(&self, conditions: &HttpConditions) -> Result<(), Error> {
        // Dates have seconds.
        let updated = self.updated.micros() / 1_000_000;
        let later_than = |date: Time| updated > date.micros() / 1_000_000;
        match (&conditions.matches, conditions.unmodified_since) {
            (Some(list), _) if !self.is_in(list) => return Err(Error::condition_not_met()),
            (None, Some(date)) if later_than(date) => return Err(Error::condition_not_met()),
            _ => {}
        }
        match (&conditions.none_match, conditions.modified_since) {
            (Some(list), _) if self.is_in(list) => Err(Error::not_modified()),
            (None, Some(date)) if !later_than(date) => Err(Error::not_modified()),
            _ => Ok(()),
        }
    }

    /// Whether a list of entity tags has this one. The JSON API's tags come without quotes, too.
    fn is_in(&self, list: &str) -> bool {
        let plain = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
        let own = plain(&self.etag);
        list.split(',').any(|tag| tag.trim() == "*" || plain(tag) == own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)]) -> u16 {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                let value = value.parse().expect("a value");
                (http::HeaderName::from_static(name), value)
            })
            .collect();
        let current = Current {
            etag: "\"abc\"".to_owned(),
            updated: Time::parse("1994-11-06T08:49:37.012Z").expect("a time"),
        };
        let checked = current.check(&HttpConditions::of(&headers));
        checked.map_or_else(|error| error.status().as_u16(), |()| 200)
    }

    #[test]
    fn conditions_hold_in_their_order() {
        let (then, before) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT");
        for (headers, status) in [
            (&[("if-match", "\"abc\"")][..], 200),
            (&[("if-match", "abc")], 200),
            (&[("if-match", "*")], 200),
            (&[("if-match", "\"x\", \"abc\"")], 200),
            (&[("if-match", "\"x\"")], 412),
            (&[("if-none-match", "\"abc\"")], 304),
            (&[("if-none-match", "*")], 304),
            (&[("if-none-match", "\"x\"")], 200),
            (&[("if-modified-since", then)], 304),
            (&[("if-modified-since", before)], 200),
            (&[("if-unmodified-since", then)], 200),
            (&[("if-unmodified-since", before)], 412),
            (&[("if-unmodified-since", "no date")], 200),
            // A tag outweighs a date.
            (&[("if-match", "abc"), ("if-unmodified-since", before)], 200),
            (&[("if-none-match", "x"), ("if-modified-since", then)], 200),
        ] {
            assert_eq!(check(headers), status, "{headers:?}");
        }
    }
}
