//! The fields of the object resource that clients can write.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::encoding::base64;
use super::error::Error;
use super::retention::Retention;
use super::storage::Digest;
use gcsd_types::Crc32c;

/// The most bytes of custom metadata that GCS keeps for an object
/// (<https://cloud.google.com/storage/quotas#objects>).
const MAX_CUSTOM: usize = 8 * 1024;

/// The writable fields of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) custom_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) temporary_hold: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_based_hold: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Retention>,
    /// The client's own keys and values.
    #[serde(rename = "metadata", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) custom: BTreeMap<String, String>,
}

impl Metadata {
    /// Applies a resource to these fields: what it names is set, what it names as null is removed.
    pub(crate) fn merge(&mut self, resource: &Map<String, Value>) -> Result<(), Error> {
        for (key, value) in resource {
            match key.as_str() {
                "contentType" => self.content_type = header_text(key, value)?,
                "contentEncoding" => self.content_encoding = header_text(key, value)?,
                "contentDisposition" => self.content_disposition = header_text(key, value)?,
                "contentLanguage" => self.content_language = header_text(key, value)?,
                "cacheControl" => self.cache_control = header_text(key, value)?,
                "customTime" => self.custom_time = time(key, value)?,
                "storageClass" => self.storage_class = header_text(key, value)?,
                "temporaryHold" => self.temporary_hold = flag(key, value)?,
                "eventBasedHold" => self.event_based_hold = flag(key, value)?,
                "retention" => self.retention = Retention::parse(value)?,
                "metadata" => self.merge_custom(value)?,
                // Fields that GCS sets itself are ignored.
                _ => {}
            }
        }
        let bytes: usize = self
            .custom
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if bytes > MAX_CUSTOM {
            return Err(Error::invalid(format!(
                "Custom metadata has at most {MAX_CUSTOM} bytes."
            )));
        }
        Ok(())
    }

    fn merge_custom(&mut self, value: &Value) -> Result<(), Error> {
        match value {
            Value::Null => self.custom.clear(),
            Value::Object(entries) => {
                for (key, value) in entries {
                    match value {
                        Value::Null => drop(self.custom.remove(key)),
                        Value::String(text) => drop(self.custom.insert(key.clone(), text.clone())),
                        _ => return Err(wrong_type("metadata", "text values")),
                    }
                }
            }
            _ => return Err(wrong_type("metadata", "an object")),
        }
        Ok(())
    }

    /// Sets the content type that came with the bytes. If the resource has one, both must be the same.
    pub(crate) fn media_type(&mut self, kind: Option<&str>) -> Result<(), Error> {
        match (&self.content_type, kind) {
            (Some(named), Some(kind)) if named != kind => Err(Error::invalid(format!(
                "Content-Type specified in the upload ({kind}) does not match Content-Type specified in metadata ({named})."
            ))),
            (Some(_), _) => Ok(()),
            (None, kind) => {
                self.content_type = kind.map(str::to_owned);
                Ok(())
            }
        }
    }

    /// The content type, or the one that GCS serves an object with that has none.
    pub(crate) fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or("application/octet-stream")
    }

    /// Whether the stored bytes are gzip and the object says so.
    pub(crate) fn is_gzip(&self) -> bool {
        self.content_encoding.as_deref() == Some("gzip")
    }
}

/// The checksums that a client expects of its object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    crc32c: Option<u32>,
    md5: Option<[u8; 16]>,
    /// One that is not the first: no object has both.
    #[serde(default)]
    other_crc32c: Option<u32>,
    #[serde(default)]
    other_md5: Option<[u8; 16]>,
}

impl Expected {
    /// Adds the checksums in a resource.
    pub(crate) fn merge_resource(&mut self, resource: &Map<String, Value>) -> Result<(), Error> {
        for (key, value) in resource {
            match (key.as_str(), value) {
                ("crc32c", Value::String(text)) => self.set_crc32c(text)?,
                ("md5Hash", Value::String(text)) => self.set_md5(text)?,
                ("crc32c" | "md5Hash", Value::Null) => {}
                ("crc32c" | "md5Hash", _) => return Err(wrong_type(key, "text")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds the checksums in a request's `X-Goog-Hash` headers, each of which can be a list.
    pub(crate) fn merge_headers(&mut self, headers: &http::HeaderMap) -> Result<(), Error> {
        for value in headers.get_all("x-goog-hash") {
            let list = value
                .to_str()
                .map_err(|_| Error::invalid("Invalid X-Goog-Hash header."))?;
            for hash in list.split(',') {
                match hash.trim().split_once('=') {
                    Some(("crc32c", text)) => self.set_crc32c(text)?,
                    Some(("md5", text)) => self.set_md5(text)?,
                    _ => return Err(Error::invalid("Invalid X-Goog-Hash header.")),
                }
            }
        }
        Ok(())
    }

    /// Adds the checksum in a request's `Content-MD5`, which the XML API verifies.
    pub(crate) fn merge_content_md5(&mut self, headers: &http::HeaderMap) -> Result<(), Error> {
        match headers.get("content-md5").map(|value| value.to_str()) {
            None => Ok(()),
            Some(Ok(text)) => self.set_md5(text),
            Some(Err(_)) => Err(Error::invalid("Invalid Content-MD5 header.")),
        }
    }

    /// Compares with bytes that are at hand.
    pub(crate) fn check_bytes(&self, bytes: &[u8], md5: bool) -> Result<(), Error> {
        let digests = Digest::new(md5).finish(&[Bytes::copy_from_slice(bytes)]);
        self.check(digests.crc32c, digests.md5)
    }

    /// Without the MD5, which in some requests is that of the body and not of the object.
    pub(crate) fn of_the_object(self) -> Self {
        Self {
            md5: None,
            other_md5: None,
            ..self
        }
    }

    fn set_crc32c(&mut self, text: &str) -> Result<(), Error> {
        let crc = Crc32c::from_base64(text).ok_or_else(|| Error::invalid("Invalid value for crc32c."))?;
        match self.crc32c {
            Some(known) if known != crc.0 => self.other_crc32c = Some(crc.0),
            _ => self.crc32c = Some(crc.0),
        }
        Ok(())
    }

    fn set_md5(&mut self, text: &str) -> Result<(), Error> {
        let bytes = STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Error::invalid("Invalid value for md5Hash."))?;
        match self.md5 {
            Some(known) if known != bytes => self.other_md5 = Some(bytes),
            _ => self.md5 = Some(bytes),
        }
        Ok(())
    }

    /// Compares with the stored object. An MD5 that was not computed is not compared.
    pub(crate) fn check(&self, crc32c: Crc32c, md5: Option<[u8; 16]>) -> Result<(), Error> {
        let expected = [self.crc32c, self.other_crc32c].into_iter().flatten().map(Crc32c);
        let mut wrong = expected.filter(|expected| *expected != crc32c);
        if let Some(expected) = wrong.next() {
            return Err(Error::wrong_hash(
                "CRC32C",
                &expected.to_base64(),
                &crc32c.to_base64(),
            ));
        }
        let Some(md5) = md5 else { return Ok(()) };
        let expected = [self.md5, self.other_md5].into_iter().flatten();
        let mut wrong = expected.filter(|expected| *expected != md5);
        if let Some(expected) = wrong.next() {
            return Err(Error::wrong_hash("MD5 hash", &base64(&expected), &base64(&md5)));
        }
        Ok(())
    }
}

fn wrong_type(key: &str, wanted: &str) -> Error {
    Error::invalid(format!("Invalid value for {key}: it must be {wanted}."))
}

/// Text that an answer's header can contain.
fn header_text(key: &str, value: &Value) -> Result<Option<String>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if http::HeaderValue::from_str(text).is_ok() => {
            Ok(Some(text.clone()).filter(|text| !text.is_empty()))
        }
        _ => Err(wrong_type(key, "text without control characters")),
    }
}

fn time(key: &str, value: &Value) -> Result<Option<String>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => Ok(Some(text.clone())),
        _ => Err(wrong_type(key, "a time in RFC 3339")),
    }
}

fn flag(key: &str, value: &Value) -> Result<Option<bool>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        _ => Err(wrong_type(key, "true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    #[test]
    fn a_resource_sets_and_nulls_remove() {
        let mut metadata = Metadata::default();
        let given = json!({"contentType": "text/plain", "size": "7", "metadata": {"a": "1", "b": "2"}});
        metadata.merge(&map(given)).expect("valid");
        metadata
            .merge(&map(json!({"contentType": null, "metadata": {"a": null}})))
            .expect("valid");
        assert_eq!(metadata.content_type(), "application/octet-stream");
        assert_eq!(metadata.custom.len(), 1);
        for bad in [
            json!({"contentType": 7}),
            json!({"cacheControl": "a\r\nSet-Cookie: x"}),
            json!({"metadata": {"a": 1}}),
            json!({"customTime": "soon"}),
            json!({"metadata": {"a": "x".repeat(MAX_CUSTOM)}}),
        ] {
            assert!(metadata.clone().merge(&map(bad.clone())).is_err(), "{bad}");
        }
    }

    #[test]
    fn hashes_come_in_lists_with_and_without_a_space() {
        let crc = Crc32c::of(b"hello world");
        for list in [
            "crc32c=yZRlqg==,md5=XrY7u+Ae7tCTyyK7j1rNww==",
            "crc32c=yZRlqg==, md5=XrY7u+Ae7tCTyyK7j1rNww==",
        ] {
            let mut headers = http::HeaderMap::new();
            headers.insert("x-goog-hash", list.parse().expect("a header"));
            let mut expected = Expected::default();
            expected.merge_headers(&headers).expect("valid");
            assert!(expected.check(crc, expected.md5).is_ok());
            assert!(expected.check(Crc32c(crc.0 ^ 1), expected.md5).is_err());
            assert!(expected.check(crc, Some([0; 16])).is_err());
            assert!(expected.check(crc, None).is_ok());
        }
        let mut headers = http::HeaderMap::new();
        headers.insert("x-goog-hash", "sha1=00".parse().expect("a header"));
        assert!(Expected::default().merge_headers(&headers).is_err());
    }
}
