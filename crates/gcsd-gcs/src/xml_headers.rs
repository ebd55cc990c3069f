//! An object resource as the headers that the XML API takes
//! (<https://cloud.google.com/storage/docs/xml-api/reference-headers>).

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::error::{Error, ErrorKind};
use gcsd_types::Destination;

/// The fields of a resource that are headers of their own.
const FIELDS: [(&str, &str); 7] = [
    ("contentType", "content-type"),
    ("contentEncoding", "content-encoding"),
    ("contentDisposition", "content-disposition"),
    ("contentLanguage", "content-language"),
    ("cacheControl", "cache-control"),
    ("storageClass", "x-goog-storage-class"),
    ("customTime", "x-goog-custom-time"),
];

/// The metadata of an object as headers. A field that has no header is an error.
pub(super) fn object_headers(destination: &Destination) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    let resource: Map<String, Value> = match destination.metadata.is_empty() {
        true => Map::new(),
        false => serde_json::from_slice(&destination.metadata)
            .map_err(|error| invalid(format!("the metadata must be a JSON object: {error}")))?,
    };
    for (field, value) in &resource {
        match (field.as_str(), value) {
            ("name" | "bucket", _) => {}
            ("metadata", Value::Object(custom)) => {
                for (key, value) in custom {
                    let lower = !key.is_empty() && !key.bytes().any(|byte| byte.is_ascii_uppercase());
                    let name = HeaderName::try_from(format!("x-goog-meta-{key}"));
                    match (name, value) {
                        (Ok(name), Value::String(value)) if lower => {
                            headers.insert(name, header_value(key, value)?);
                        }
                        _ => {
                            return Err(invalid(format!(
                                "the metadata '{key}' cannot travel as a header: keys are lower-case tokens, values text"
                            )));
                        }
                    }
                }
            }
            (field, Value::String(value)) => {
                let named = FIELDS.iter().find(|(name, _)| *name == field);
                let (_, header) = named.ok_or_else(|| unknown(field))?;
                headers.insert(HeaderName::from_static(header), header_value(field, value)?);
            }
            (field, _) => return Err(unknown(field)),
        }
    }
    if let Some(key) = &destination.kms_key_name {
        let name = HeaderName::from_static("x-goog-encryption-kms-key-name");
        headers.insert(name, header_value("kms_key_name", key)?);
    }
    if let Some(acl) = &destination.predefined_acl {
        let name = HeaderName::from_static("x-goog-acl");
        headers.insert(name, header_value("predefined_acl", &dashed(acl))?);
    }
    Ok(headers)
}

/// The JSON API's `publicRead` in the XML API's notation: `public-read`.
fn dashed(acl: &str) -> String {
    let mut out = String::with_capacity(acl.len() + 4);
    for c in acl.chars() {
        if c.is_ascii_uppercase() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A header value that arrives unchanged: visible ASCII, with spaces only inside.
fn header_value(field: &str, text: &str) -> Result<HeaderValue, Error> {
    let cannot = || {
        invalid(format!(
            "'{field}' cannot travel as a header: patch the object afterwards"
        ))
    };
    if text.is_empty() || text.trim() != text || !text.is_ascii() {
        return Err(cannot());
    }
    HeaderValue::try_from(text).map_err(|_| cannot())
}

fn unknown(field: &str) -> Error {
    invalid(format!(
        "a multipart upload cannot set '{field}': patch the object afterwards"
    ))
}

fn invalid(problem: String) -> Error {
    Error::new(ErrorKind::Invalid, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(metadata: &'static str) -> Result<HeaderMap, Error> {
        let name = |text: &str| text.parse().expect("a name");
        let mut destination = Destination::new("bucket".parse().expect("a name"), name("object"));
        destination.metadata = metadata.into();
        destination.kms_key_name = Some("k".into());
        destination.predefined_acl = Some("bucketOwnerFullControl".into());
        object_headers(&destination)
    }

    #[test]
    fn a_resource_becomes_headers() {
        let json = r#"{"name":"object","contentType":"text/plain","storageClass":"NEARLINE","metadata":{"a-b":"x y"}}"#;
        let found = headers(json).expect("headers");
        assert_eq!(found["content-type"], "text/plain");
        assert_eq!(found["x-goog-storage-class"], "NEARLINE");
        assert_eq!(found["x-goog-meta-a-b"], "x y");
        assert_eq!(found["x-goog-encryption-kms-key-name"], "k");
        assert_eq!(found["x-goog-acl"], "bucket-owner-full-control");
        assert_eq!(found.len(), 5);
        for bad in [
            r#"{"eventBasedHold":true}"#,
            r#"{"crc32c":"AAAAAA=="}"#,
            r#"{"metadata":{"Upper":"x"}}"#,
            r#"{"metadata":{"a b":"x"}}"#,
            r#"{"metadata":{"a":1}}"#,
            r#"{"metadata":{"a":"line\nbreak"}}"#,
            r#"{"metadata":{"":"x"}}"#,
            r#"{"metadata":{"a":"ü"}}"#,
            r#"{"metadata":{"a":" x"}}"#,
            r#"{"contentType":""}"#,
            r#"{"metadata":[]}"#,
            r#"{"contentType":5}"#,
            "[]",
        ] {
            assert_eq!(headers(bad).expect_err(bad).kind(), ErrorKind::Invalid);
        }
    }
}
