//! The metadata of an object to be made: an object resource in JSON, passed on unchanged.

use bytes::Bytes;
use serde::Deserialize;

use super::error::{Error, ErrorKind};
use gcsd_types::{Crc32c, Destination};

/// The fields of an object resource that must agree with the request.
#[derive(Deserialize)]
struct Named {
    name: Option<String>,
    bucket: Option<String>,
    crc32c: Option<String>,
}

/// The metadata, if there is any. Fails unless it is a JSON object, and where it names another object or bucket.
pub(super) fn checked(of: &Destination) -> Result<Option<&Bytes>, Error> {
    if of.metadata.is_empty() {
        return Ok(None);
    }
    read(&of.metadata, of)?;
    Ok(Some(&of.metadata))
}

/// The metadata with the checksum that the object must have: GCS makes no object that differs. All other bytes stay as they
/// are.
pub(super) fn with_crc32c(of: &Destination, crc32c: Option<Crc32c>) -> Result<Bytes, Error> {
    let metadata = match of.metadata.is_empty() {
        true => Bytes::from_static(b"{}"),
        false => of.metadata.clone(),
    };
    let named = read(&metadata, of)?;
    let Some(crc32c) = crc32c.map(Crc32c::to_base64) else {
        return Ok(metadata);
    };
    match named.crc32c {
        Some(named) if named == crc32c => Ok(metadata),
        Some(_) => Err(Error::new(
            ErrorKind::Invalid,
            "the metadata names another checksum",
        )),
        None => {
            let inner = metadata.trim_ascii().strip_prefix(b"{").unwrap_or_default();
            let comma = if inner.trim_ascii() == b"}" { "" } else { "," };
            let front = format!("{{\"crc32c\":\"{crc32c}\"{comma}");
            Ok([front.as_bytes(), inner].concat().into())
        }
    }
}

fn read(metadata: &[u8], of: &Destination) -> Result<Named, Error> {
    let invalid = |problem: &str| Err(Error::new(ErrorKind::Invalid, problem));
    // A list of strings would do for serde, and not for GCS.
    if metadata.trim_ascii_start().first() != Some(&b'{') {
        return invalid("the metadata must be a JSON object");
    }
    let named: Named = match serde_json::from_slice(metadata) {
        Ok(named) => named,
        Err(error) => return invalid(&format!("the metadata must be a JSON object: {error}")),
    };
    if named
        .name
        .as_deref()
        .is_some_and(|name| name != of.object.as_str())
    {
        return invalid("the metadata names another object");
    }
    if named
        .bucket
        .as_deref()
        .is_some_and(|name| name != of.bucket.as_str())
    {
        return invalid("the metadata names another bucket");
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(metadata: &'static str) -> Destination {
        let name = |text: &str| text.parse().expect("a name");
        let mut destination = Destination::new("bucket".parse().expect("a name"), name("object"));
        destination.metadata = Bytes::from_static(metadata.as_bytes());
        destination
    }

    #[test]
    fn a_checksum_goes_in_front_of_what_is_there() {
        let added = |text, crc32c| {
            let metadata = with_crc32c(&destination(text), crc32c)?;
            Ok::<_, Error>(String::from_utf8(metadata.to_vec()).expect("text"))
        };
        let crc32c = Some(Crc32c::of(b"hello world"));
        for (metadata, expected) in [
            ("", r#"{"crc32c":"yZRlqg=="}"#),
            (" { } ", r#"{"crc32c":"yZRlqg==" }"#),
            (
                r#"{"contentType":"a/b","x":1.50}"#,
                r#"{"crc32c":"yZRlqg==","contentType":"a/b","x":1.50}"#,
            ),
            (r#"{"crc32c":"yZRlqg=="}"#, r#"{"crc32c":"yZRlqg=="}"#),
        ] {
            assert_eq!(added(metadata, crc32c).expect("good"), expected);
        }
        assert_eq!(added("", None).expect("good"), "{}");
        assert_eq!(
            added(r#"{"name":"object"}"#, None).expect("good"),
            r#"{"name":"object"}"#
        );
        for bad in [
            r#"{"crc32c":"AAAAAA=="}"#,
            r#"{"name":"other"}"#,
            r#"{"bucket":"other"}"#,
            "[]",
            "{",
            r#"{"a":1} x"#,
        ] {
            let error = added(bad, crc32c).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn no_metadata_is_none_and_wrong_metadata_an_error() {
        assert_eq!(checked(&destination("")).expect("good"), None);
        let good = r#"{"name":"object","contentType":"a/b"}"#;
        assert_eq!(
            checked(&destination(good)).expect("good"),
            Some(&Bytes::from_static(good.as_bytes()))
        );
        for bad in [" ", "[]", "null", r#"{"name":"other"}"#, r#"{"bucket":"other"}"#] {
            let error = checked(&destination(bad)).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }
}
