//! Resources in GCS's JSON.

use bytes::Bytes;
use serde::Deserialize;

use super::headers::md5_from_base64;
use gcsd_types::digits;
use gcsd_types::{Crc32c, ObjectInfo};

/// An object as GCS describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// The fields that programs need.
    pub info: ObjectInfo,
    /// GCS's own JSON, unchanged (<https://cloud.google.com/storage/docs/json_api/v1/objects#resource>).
    pub json: Bytes,
}

/// The fields of an object resource that are read. GCS writes 64-bit numbers as strings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    generation: Number,
    metageneration: Option<Number>,
    size: Number,
    crc32c: Option<String>,
    md5_hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Text(String),
    Plain(u64),
}

impl Number {
    pub(super) fn value(&self) -> Option<u64> {
        match self {
            Self::Text(text) => digits(text),
            Self::Plain(number) => Some(*number),
        }
    }
}

impl Resource {
    /// The fields that programs need.
    pub(super) fn info(&self) -> Option<ObjectInfo> {
        Some(ObjectInfo {
            generation: self.generation.value()?,
            metageneration: match &self.metageneration {
                Some(number) => number.value()?,
                None => 0,
            },
            size: self.size.value()?,
            crc32c: match &self.crc32c {
                Some(text) => Some(Crc32c::from_base64(text)?),
                None => None,
            },
            md5: match &self.md5_hash {
                Some(text) => Some(md5_from_base64(text)?),
                None => None,
            },
        })
    }
}

impl Object {
    /// Reads an object resource.
    pub(super) fn parse(json: &Bytes) -> Option<Self> {
        let resource: Resource = serde_json::from_slice(json).ok()?;
        let (info, json) = (resource.info()?, json.clone());
        Some(Self { info, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_read_in_gcs_notation() {
        let json = Bytes::from_static(
            br#"{"kind":"storage#object","generation":"1700000000000001","metageneration":"3","size":"11",
                "crc32c":"yZRlqg==","md5Hash":"XrY7u+Ae7tCTyyK7j1rNww==","metadata":{"size":"x"}}"#,
        );
        let object = Object::parse(&json).expect("a resource");
        assert_eq!(object.info.generation, 1_700_000_000_000_001);
        assert_eq!((object.info.metageneration, object.info.size), (3, 11));
        assert_eq!(object.info.crc32c, Some(Crc32c::of(b"hello world")));
        assert_eq!(object.info.md5.map(|md5| md5[0]), Some(0x5e));
        assert_eq!(object.json, json);

        // Emulators write numbers as numbers, and leave fields out.
        let plain = Object::parse(&Bytes::from_static(br#"{"generation":7,"size":0}"#)).expect("a resource");
        assert_eq!(
            (plain.info.generation, plain.info.size, plain.info.crc32c),
            (7, 0, None)
        );

        for bad in [
            "",
            "[]",
            "{}",
            r#"{"generation":"1"}"#,
            r#"{"generation":"x","size":"1"}"#,
            r#"{"generation":"1","size":"-1"}"#,
            r#"{"generation":"1","size":"1","crc32c":"?"}"#,
            r#"{"generation":"1","size":"1","md5Hash":"AAAA"}"#,
        ] {
            assert_eq!(Object::parse(&Bytes::from(bad)), None, "{bad}");
        }
    }
}
