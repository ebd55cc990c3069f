//! The facts in an HTTP answer, read strictly and without the code that is tested.

use gcsd_types::{Crc32c, ObjectInfo, Page};
use serde_json::Value;

/// An answer whose bytes leave no choice in how it is read.
pub(crate) struct Plain<'a> {
    pub(crate) status: u16,
    headers: Vec<(String, &'a str)>,
    pub(crate) body: &'a [u8],
}

impl<'a> Plain<'a> {
    /// Reads an answer with a `Content-Length` that is that of its body; `None` where it is anything else.
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        // A line that ends otherwise is one to some and none to others.
        let bare = head.replace("\r\n", "").contains(['\r', '\n']);
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?;
        let status = status.get(..3)?.parse().ok()?;
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':')?;
            let fine = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            fine.then(|| (name.to_ascii_lowercase(), value.trim()))
        });
        let plain = Self {
            status,
            headers: headers.collect::<Option<_>>()?,
            body: &bytes[end + 4..],
        };
        let length = plain.one("content-length")?;
        let whole = length == plain.body.len().to_string() && plain.all("transfer-encoding").is_empty();
        (whole && !bare && status >= 200).then_some(plain)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&'a str> {
        let named = self.headers.iter().filter(|(of, _)| of == name);
        named.map(|(_, value)| *value).collect()
    }

    /// The value of a header that stands there once.
    pub(crate) fn one(&self, name: &str) -> Option<&'a str> {
        let [value] = self.all(name)[..] else { return None };
        Some(value)
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_str(&String::from_utf8_lossy(self.body)).ok()
    }

    pub(crate) fn text(&self) -> &'a str {
        std::str::from_utf8(self.body).unwrap_or_default()
    }

    /// How many bytes a 308 says are persisted.
    pub(crate) fn persisted(&self) -> Option<u64> {
        let range = self.one("range")?;
        let last = range
            .strip_prefix("bytes=0-")
            .or_else(|| range.strip_prefix("bytes 0-"))?;
        digits(last)?.checked_add(1)
    }
}

/// A number of nothing but digits.
pub(crate) fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

/// A 64-bit number as GCS writes it, or as emulators do.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| digits(value.as_str()?))
}

/// Checks that `info` is what an object resource says.
pub(crate) fn is_object(json: &Value, info: &ObjectInfo) {
    assert_eq!(number(&json["generation"]), Some(info.generation), "{json}");
    assert_eq!(number(&json["size"]), Some(info.size), "{json}");
    assert_eq!(
        number(&json["metageneration"]).unwrap_or(0),
        info.metageneration,
        "{json}"
    );
    let told = json["crc32c"].as_str();
    assert_eq!(told.and_then(Crc32c::from_base64), info.crc32c, "{json}");
    assert!(info.crc32c.is_some() || told.is_none(), "{json}");
}

/// Checks that `page` is what a list says.
pub(crate) fn is_page(json: &Value, page: &Page) {
    let count = |name: &str| json[name].as_array().map_or(0, Vec::len);
    let objects = json["items"].as_array().into_iter().flatten();
    let items = objects.filter(|item| item.is_object()).count();
    assert_eq!(items, usize::try_from(page.items).expect("few"), "{json}");
    assert!(
        count("prefixes") >= usize::try_from(page.prefixes).expect("few"),
        "{json}"
    );
    let token = json["nextPageToken"].as_str().filter(|token| !token.is_empty());
    assert_eq!(token, page.next_page_token.as_deref(), "{json}");
}
