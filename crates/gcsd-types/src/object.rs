//! Objects as requests name them: the words that the wire and the calls to GCS share.

use bytes::Bytes;

use super::{BucketName, EncryptionKey, ObjectName, Preconditions};

/// An object that is there, and what must hold of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its name.
    pub object: ObjectName,
    /// This version rather than the live one.
    pub generation: Option<u64>,
    /// What must hold for the request to be carried out.
    pub preconditions: Preconditions,
    /// The project that pays, for buckets where the requester does.
    pub user_project: Option<String>,
    /// Which parts of GCS's JSON are wanted, in GCS's notation
    /// (<https://cloud.google.com/storage/docs/json_api#partial-response>); all where absent.
    pub fields: Option<String>,
    /// The key that the object is encrypted with, where its owner keeps that key.
    pub key: Option<EncryptionKey>,
}

impl ObjectRef {
    /// The live version of an object, unconditionally.
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

    /// Whether deleting it twice does no more than deleting it once: GCS deletes this version or none.
    pub fn is_deleted_once(&self) -> bool {
        self.generation.is_some() || self.preconditions.pins_generation()
    }
}

/// An object that a request makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its name.
    pub object: ObjectName,
    /// What must hold of the object that is there, if there is one.
    pub preconditions: Preconditions,
    /// The project that pays, for buckets where the requester does.
    pub user_project: Option<String>,
    /// The Cloud KMS key to encrypt it with.
    pub kms_key_name: Option<String>,
    /// One of GCS's predefined ACLs, such as `bucketOwnerFullControl`.
    pub predefined_acl: Option<String>,
    /// Which parts of GCS's JSON are wanted; all where absent.
    pub fields: Option<String>,
    /// GCS's object resource as JSON (`contentType`, `metadata`, `storageClass`, ...); empty for none.
    pub metadata: Bytes,
    /// The key to encrypt it with, which its owner keeps.
    pub key: Option<EncryptionKey>,
}

impl Destination {
    /// An object without metadata, unconditionally.
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

/// An object that another one is composed of; it lies in the same bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeSource {
    /// Its name.
    pub object: ObjectName,
    /// This version rather than the live one.
    pub generation: Option<u64>,
    /// The version that must be the live one for the request to be carried out.
    pub if_generation_match: Option<u64>,
}

impl ComposeSource {
    /// The most of them that make one object
    /// (<https://cloud.google.com/storage/docs/composite-objects>).
    pub const MAX: usize = 32;

    /// The live version of an object.
    pub fn new(object: ObjectName) -> Self {
        Self {
            object,
            generation: None,
            if_generation_match: None,
        }
    }
}
