//! Objects: how requests name them, what they make, and what GCS says of them.

use bytes::Bytes;

use crate::checksum::Crc32c;
use crate::key::EncryptionKey;
use crate::name::{BucketName, ObjectName};
use crate::preconditions::Preconditions;

/// An existing object in a request, with its preconditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its name.
    pub object: ObjectName,
    /// This generation instead of the live one.
    pub generation: Option<u64>,
    /// What must hold for GCS to carry out the request.
    pub preconditions: Preconditions,
    /// The project to bill, for requester-pays buckets.
    pub user_project: Option<String>,
    /// Which parts of GCS's JSON to return, in GCS's notation
    /// (<https://cloud.google.com/storage/docs/json_api#partial-response>); all of it by default.
    pub fields: Option<String>,
    /// The customer-supplied key that the object is encrypted with.
    pub key: Option<EncryptionKey>,
}

impl ObjectRef {
    /// The live generation of an object, without preconditions.
    pub fn new(bucket: BucketName, object: ObjectName) -> Self {
        Self {
            bucket,
            object,
            generation: None,
            preconditions: Preconditions::default(),
            user_project: None,
            fields: None,
            key: None,
        }
    }

    /// Whether deleting it twice does no more than deleting it once: GCS deletes this generation or none.
    pub fn is_deleted_once(&self) -> bool {
        self.generation.is_some() || self.preconditions.pins_generation()
    }
}

/// The fields of an object resource that programs need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ObjectInfo {
    /// The version of the object's bytes.
    pub generation: u64,
    /// The version of the object's metadata within the generation.
    pub metageneration: u64,
    /// Bytes stored.
    pub size: u64,
    /// The checksum of the stored bytes, where GCS gave one.
    pub crc32c: Option<Crc32c>,
    /// The MD5 of the stored bytes; composed objects and XML multipart uploads have none.
    pub md5: Option<[u8; 16]>,
}

/// An object that a request makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its name.
    pub object: ObjectName,
    /// What must hold of the object that has the name now, if any.
    pub preconditions: Preconditions,
    /// The project to bill, for requester-pays buckets.
    pub user_project: Option<String>,
    /// The Cloud KMS key that GCS encrypts the object with.
    pub kms_key_name: Option<String>,
    /// One of GCS's predefined ACLs, such as `bucketOwnerFullControl`.
    pub predefined_acl: Option<String>,
    /// Which parts of GCS's JSON to return; all of it by default. Requests whose answer is no JSON (starts
    /// of uploads) refuse it.
    pub fields: Option<String>,
    /// GCS's object resource as JSON (`contentType`, `metadata`, `storageClass`, ...); empty for none.
    pub metadata: Bytes,
    /// The customer-supplied key to encrypt the object with.
    pub key: Option<EncryptionKey>,
}

impl Destination {
    /// An object without metadata and preconditions.
    pub fn new(bucket: BucketName, object: ObjectName) -> Self {
        Self {
            bucket,
            object,
            preconditions: Preconditions::default(),
            user_project: None,
            kms_key_name: None,
            predefined_acl: None,
            fields: None,
            metadata: Bytes::new(),
            key: None,
        }
    }
}

/// A source of a composed object, in the same bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeSource {
    /// Its name.
    pub object: ObjectName,
    /// This generation instead of the live one.
    pub generation: Option<u64>,
    /// The generation that must be live for GCS to carry out the request.
    pub if_generation_match: Option<u64>,
}

impl ComposeSource {
    /// The most sources of one object
    /// (<https://cloud.google.com/storage/docs/composite-objects>).
    pub const MAX: usize = 32;

    /// The live generation of an object.
    pub fn new(object: ObjectName) -> Self {
        Self {
            object,
            generation: None,
            if_generation_match: None,
        }
    }
}
