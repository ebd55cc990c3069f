//! Objects and buckets, and the resources that the JSON API shows of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::acl::{Grants, new_bucket, new_object};
use super::bucket::{Folders, Policy};
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
    /// Who may do what; `None` is what objects have by default.
    #[serde(default)]
    pub(crate) acl: Option<Grants>,
    /// When it was soft-deleted, and until when it can be restored.
    #[serde(default)]
    pub(crate) soft_deleted: Option<(Time, Time)>,
    pub(crate) content: Content,
}

impl Object {
    /// Its access control list.
    pub(crate) fn grants(&self) -> Grants {
        self.acl.clone().unwrap_or_else(new_object)
    }

    /// Whether it was soft-deleted so long ago that it cannot be restored any more.
    pub(crate) fn is_gone(&self, now: Time) -> bool {
        self.soft_deleted.is_some_and(|(_, until)| until <= now)
    }

    /// Its access control list and its owner, which `projection=full` shows.
    pub(crate) fn access(&self, base: &str) -> [(&'static str, Value); 2] {
        let grants = self.grants();
        let shown = grants.iter().map(|grant| grant.of_object(self, base)).collect();
        [("acl", shown), ("owner", json!({ "entity": "project-owners-0" }))]
    }

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
        if let Some((deleted, until)) = self.soft_deleted {
            resource["softDeleteTime"] = deleted.rfc3339().into();
            resource["hardDeleteTime"] = until.rfc3339().into();
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
    /// Its access control list, if it is not the bucket's default.
    pub(crate) acl: Option<Grants>,
    pub(crate) content: Content,
}

impl Draft {
    /// A copy of `object` with these bytes, which are its own: same name, metadata and key, and the bucket's default list.
    pub(crate) fn copy_of(object: &Object, content: Content) -> Self {
        Self {
            bucket: object.bucket.clone(),
            name: object.name.clone(),
            // How long the copy is kept is for its own request to say.
            metadata: Metadata {
                retention: None,
                ..object.metadata.clone()
            },
            digests: Digests {
                size: object.size,
                crc32c: object.crc32c(),
                md5: object.md5,
            },
            component_count: object.component_count,
            key_sha256: object.key_sha256.clone(),
            acl: None,
            content,
        }
    }
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
    /// Those that can be restored, oldest first.
    pub(crate) soft_deleted: Vec<Arc<Object>>,
}

/// [`Versions`] as a directory keeps them.
#[derive(Serialize, Deserialize)]
struct VersionsRecord {
    live: Option<Object>,
    noncurrent: Vec<Object>,
    #[serde(default)]
    soft_deleted: Vec<Object>,
}

impl From<VersionsRecord> for Versions {
    fn from(record: VersionsRecord) -> Self {
        Self {
            live: record.live.map(Arc::new),
            noncurrent: record.noncurrent.into_iter().map(Arc::new).collect(),
            soft_deleted: record.soft_deleted.into_iter().map(Arc::new).collect(),
        }
    }
}

impl From<Versions> for VersionsRecord {
    fn from(versions: Versions) -> Self {
        let plain = |object: &Arc<Object>| Object::clone(object);
        Self {
            live: versions.live.as_ref().map(plain),
            noncurrent: versions.noncurrent.iter().map(plain).collect(),
            soft_deleted: versions.soft_deleted.iter().map(plain).collect(),
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
        self.live.is_none() && self.noncurrent.is_empty() && self.soft_deleted.is_empty()
    }

    /// Every generation that is kept in whatever way.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.all().chain(&self.soft_deleted)
    }

    /// Every generation that is not deleted, oldest first.
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
    /// Settings, as the bucket resource has them.
    pub(crate) shown: BTreeMap<String, Value>,
    /// Who may do what; `None` is what buckets have by default.
    #[serde(default)]
    pub(crate) acl: Option<Grants>,
    /// The list of new objects; `None` is the usual one.
    #[serde(default)]
    pub(crate) default_acl: Option<Grants>,
    #[serde(default)]
    pub(crate) iam: Option<Policy>,
    /// Notification configurations, as they are shown but for links.
    #[serde(default)]
    pub(crate) notifications: Vec<Value>,
    #[serde(default)]
    pub(crate) folders: Folders,
    #[serde(default)]
    pub(crate) managed_folders: Folders,
}

impl BucketRecord {
    /// A new bucket with GCS's defaults.
    pub(crate) fn new(name: String, now: Time) -> Self {
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
            acl: None,
            default_acl: None,
            iam: None,
            notifications: Vec::new(),
            folders: Folders::new(),
            managed_folders: Folders::new(),
        }
    }

    /// Its access control list.
    pub(crate) fn grants(&self) -> Grants {
        self.acl.clone().unwrap_or_else(new_bucket)
    }

    /// The access control list of new objects.
    pub(crate) fn default_grants(&self) -> Grants {
        self.default_acl.clone().unwrap_or_else(new_object)
    }

    /// Its access control lists and its owner, which `projection=full` shows.
    pub(crate) fn access(&self, base: &str) -> [(&'static str, Value); 3] {
        let acl = self.grants();
        let acl = acl
            .iter()
            .map(|grant| grant.of_bucket(&self.name, base))
            .collect();
        let default = self.default_grants();
        let default = default.iter().map(|grant| grant.of_default()).collect();
        let owner = json!({ "entity": "project-owners-0" });
        [("acl", acl), ("defaultObjectAcl", default), ("owner", owner)]
    }

    /// The entity tag: the metageneration, packed as GCS packs it.
    pub(crate) fn etag(&self) -> String {
        let mut bytes = vec![0x08];
        varint(&mut bytes, self.metageneration);
        base64(&bytes)
    }

    /// The bucket resource.
    pub(crate) fn resource(&self, base: &str) -> Value {
        let mut resource = json!({
            "kind": "storage#bucket",
            "id": self.name,
            "selfLink": format!("{base}/storage/v1/b/{}", percent(&self.name)),
            "name": self.name,
            "projectNumber": "0",
            "metageneration": self.metageneration.to_string(),
            "location": self.location,
            "locationType": self.location_type(),
            "storageClass": self.storage_class,
            "etag": self.etag(),
            "timeCreated": self.created.rfc3339(),
            "updated": self.updated.rfc3339(),
            "iamConfiguration": {
                "bucketPolicyOnly": { "enabled": false },
                "uniformBucketLevelAccess": { "enabled": false },
                "publicAccessPrevention": "inherited",
            },
        });
        if resource["locationType"] != "region" {
            resource["rpo"] = "DEFAULT".into();
        }
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
