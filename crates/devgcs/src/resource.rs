//! Objects and buckets, and the resources that the JSON API shows of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::encoding::{base64, percent};
use super::metadata::Metadata;
use super::storage::{Content, Digests};
use super::time::Time;
use gcsd_types::Crc32c;

/// One generation of an object. It never changes: an update makes a new one with the same content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) bucket: String,
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) metageneration: u64,
    pub(crate) size: u64,
    pub(crate) crc32c: u32,
    pub(crate) md5: Option<[u8; 16]>,
    /// How many pieces a composed object was made of.
    pub(crate) component_count: Option<u32>,
    pub(crate) created: Time,
    pub(crate) updated: Time,
    /// When this generation stopped being the live one.
    pub(crate) deleted: Option<Time>,
    pub(crate) metadata: Metadata,
    /// The SHA-256 of the client's encryption key, if it has one.
    #[serde(default)]
    pub(crate) key_sha256: Option<String>,
    pub(crate) content: Content,
}

impl Object {
    /// The same without its chunks in memory, so that they can be freed once the
    /// object is deleted.
    pub(crate) fn without_chunks(&self) -> Self {
        Self {
            content: match &self.content {
                Content::Memory(_) | Content::Discarded => Content::Discarded,
                Content::File(blob) => Content::File(blob.clone()),
            },
            ..self.clone()
        }
    }

    /// The checksum of the bytes.
    pub(crate) fn crc32c(&self) -> Crc32c {
        Crc32c(self.crc32c)
    }

    /// The storage class, `STANDARD` by default.
    pub(crate) fn storage_class(&self) -> &str {
        self.metadata.storage_class.as_deref().unwrap_or("STANDARD")
    }

    /// The entity tag: generation and metageneration, packed as GCS packs them.
    pub(crate) fn etag(&self) -> String {
        let mut bytes = vec![0x08];
        varint(&mut bytes, self.generation);
        bytes.push(0x10);
        varint(&mut bytes, self.metageneration);
        base64(&bytes)
    }

    /// The object resource for a client without the key; `base` is the URL under which it knows this server.
    pub(crate) fn resource(&self, base: &str) -> Value {
        let mut resource = self.whole_resource(base);
        if let (Some(_), Value::Object(fields)) = (&self.key_sha256, &mut resource) {
            fields.remove("crc32c");
            fields.remove("md5Hash");
        }
        resource
    }

    /// The object resource for a client with the key, if there is one.
    pub(crate) fn whole_resource(&self, base: &str) -> Value {
        let (bucket, name) = (percent(&self.bucket), percent(&self.name));
        let generation = self.generation;
        let mut resource = json!({
            "kind": "storage#object",
            "id": format!("{}/{}/{generation}", self.bucket, self.name),
            "selfLink": format!("{base}/storage/v1/b/{bucket}/o/{name}"),
            "mediaLink": format!("{base}/download/storage/v1/b/{bucket}/o/{name}?generation={generation}&alt=media"),
            "name": self.name,
            "bucket": self.bucket,
            "generation": generation.to_string(),
            "metageneration": self.metageneration.to_string(),
            "storageClass": self.storage_class(),
            "size": self.size.to_string(),
            "crc32c": self.crc32c().to_base64(),
            "etag": self.etag(),
            "timeCreated": self.created.rfc3339(),
            "updated": self.updated.rfc3339(),
            "timeStorageClassUpdated": self.created.rfc3339(),
            "timeFinalized": self.created.rfc3339(),
        });
        if let Ok(Value::Object(fields)) = serde_json::to_value(&self.metadata) {
            for (key, value) in fields {
                resource[key] = value;
            }
        }
        if let Some(md5) = &self.md5 {
            resource["md5Hash"] = base64(md5).into();
        }
        if let Some(hash) = &self.key_sha256 {
            resource["customerEncryption"] = json!({ "encryptionAlgorithm": "AES256", "keySha256": hash });
        }
        if let Some(count) = self.component_count {
            resource["componentCount"] = count.into();
        }
        if let Some(deleted) = self.deleted {
            resource["timeDeleted"] = deleted.rfc3339().into();
        }
        resource
    }
}

/// An object that is about to appear.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) bucket: String,
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
    pub(crate) digests: Digests,
    pub(crate) component_count: Option<u32>,
    /// The SHA-256 of the client's encryption key, if it has one.
    pub(crate) key_sha256: Option<String>,
    pub(crate) content: Content,
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
}

/// All generations of one object.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "VersionsRecord", into = "VersionsRecord")]
pub(crate) struct Versions {
    /// The one that is read when no generation is named.
    pub(crate) live: Option<Arc<Object>>,
    /// Older ones, oldest first; only a bucket with versioning keeps them.
    pub(crate) noncurrent: Vec<Arc<Object>>,
}

/// [`Versions`] as a directory keeps them.
#[derive(Serialize, Deserialize)]
struct VersionsRecord {
    live: Option<Object>,
    noncurrent: Vec<Object>,
}

impl From<VersionsRecord> for Versions {
    fn from(record: VersionsRecord) -> Self {
        Self {
            live: record.live.map(Arc::new),
            noncurrent: record.noncurrent.into_iter().map(Arc::new).collect(),
        }
    }
}

impl From<Versions> for VersionsRecord {
    fn from(versions: Versions) -> Self {
        let plain = |object: &Arc<Object>| Object::clone(object);
        Self {
            live: versions.live.as_ref().map(plain),
            noncurrent: versions.noncurrent.iter().map(plain).collect(),
        }
    }
}

impl Versions {
    /// The generation asked for, or the live one.
    pub(crate) fn get(&self, generation: Option<u64>) -> Option<&Arc<Object>> {
        match generation {
            None => self.live.as_ref(),
            Some(generation) => self.all().find(|object| object.generation == generation),
        }
    }

    /// Whether nothing is left of the object.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_none() && self.noncurrent.is_empty()
    }

    /// Every generation, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.noncurrent.iter().chain(&self.live)
    }
}

/// A bucket's record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BucketRecord {
    pub(crate) name: String,
    pub(crate) metageneration: u64,
    pub(crate) created: Time,
    pub(crate) updated: Time,
    pub(crate) location: String,
    pub(crate) storage_class: String,
    /// Keep the generations that are overwritten or deleted.
    pub(crate) versioning: bool,
    pub(crate) labels: BTreeMap<String, String>,
    /// Fields that this server only shows.
    pub(crate) shown: BTreeMap<String, Value>,
}

impl BucketRecord {
    /// A new bucket with GCS's defaults.
    pub(crate) fn new(name: String) -> Self {
        let now = Time::now();
        Self {
            name,
            metageneration: 1,
            created: now,
            updated: now,
            location: "US".to_owned(),
            storage_class: "STANDARD".to_owned(),
            versioning: false,
            labels: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    /// The bucket resource.
    pub(crate) fn resource(&self, base: &str) -> Value {
        let mut etag = vec![0x08];
        varint(&mut etag, self.metageneration);
        let mut resource = json!({
            "kind": "storage#bucket",
            "id": self.name,
            "selfLink": format!("{base}/storage/v1/b/{}", percent(&self.name)),
            "name": self.name,
            "projectNumber": "0",
            "metageneration": self.metageneration.to_string(),
            "location": self.location,
            "locationType": "multi-region",
            "storageClass": self.storage_class,
            "etag": base64(&etag),
            "timeCreated": self.created.rfc3339(),
            "updated": self.updated.rfc3339(),
            "iamConfiguration": { "uniformBucketLevelAccess": { "enabled": true } },
        });
        for (key, value) in &self.shown {
            resource[key] = value.clone();
        }
        if self.versioning {
            resource["versioning"] = json!({ "enabled": true });
        }
        if !self.labels.is_empty() {
            resource["labels"] = json!(self.labels);
        }
        resource
    }
}
