//! Keeps out what a browser was talked into.

use std::net::IpAddr;

use http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use http::uri::Authority;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who may ask.
pub(super) struct Guard {
    names: Vec<String>,
    /// No browser gets at it.
    unix: bool,
}

impl Guard {
    pub(super) fn new(names: Vec<String>, unix: bool) -> Self {
        Self { names, unix }
    }

    /// Whether the request was sent to a name that cannot be somebody else's: a page whose name was made to lead here has that
    /// name in `Host`.
    pub(super) fn knows_host(&self, headers: &HeaderMap) -> bool {
        if self.unix {
            return true;
        }
        let Some(authority) = host(headers).and_then(|host| host.parse::<Authority>().ok()) else {
            return false;
        };
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether no page of another origin asks for a change.
    pub(super) fn is_own_page(&self, headers: &HeaderMap) -> bool {
        let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        let same_site = text(&SEC_FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
        let same_origin = text(&ORIGIN).is_none_or(|origin| {
            let host = host(headers).unwrap_or("");
            origin.strip_prefix("http://") == Some(host) && !host.is_empty()
        });
        same_site && same_origin
    }
}

/// The one `Host` of a request.
fn host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(of: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_name_can_be_made_to_lead_anywhere() {
        let guard = Guard::new(vec!["gcsd.monitoring".to_owned()], false);
        for good in [
            "127.0.0.1:9743",
            "[::1]:9743",
            "10.0.0.7",
            "localhost:9743",
            "LocalHost",
            "GCSD.monitoring:1",
        ] {
            assert!(guard.knows_host(&headers(&[(HOST, good)])), "{good}");
        }
        for bad in [
            "evil.example:9743",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "a b",
            "gcsd.monitoring.evil.example",
        ] {
            assert!(!guard.knows_host(&headers(&[(HOST, bad)])), "{bad}");
        }
        assert!(!guard.knows_host(&headers(&[])));
        assert!(!guard.knows_host(&headers(&[(HOST, "localhost"), (HOST, "evil.example")])));
        assert!(Guard::new(Vec::new(), true).knows_host(&headers(&[])));
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing() {
        let guard = Guard::new(Vec::new(), false);
        let host = (HOST, "127.0.0.1:9743");
        let own = |more: &[(HeaderName, &'static str)]| {
            guard.is_own_page(&headers(&[std::slice::from_ref(&host), more].concat()))
        };
        assert!(own(&[]));
        assert!(own(&[
            (ORIGIN, "http://127.0.0.1:9743"),
            (SEC_FETCH_SITE, "same-origin")
        ]));
        assert!(own(&[(SEC_FETCH_SITE, "none")]));
        for bad in [
            "http://evil.example",
            "null",
            "https://127.0.0.1:9743",
            "http://127.0.0.1:80",
        ] {
            assert!(!own(&[(ORIGIN, bad)]), "{bad}");
        }
        assert!(!own(&[(SEC_FETCH_SITE, "cross-site")]));
        assert!(!own(&[(SEC_FETCH_SITE, "same-site")]));
    }
}
