//! The object that a request makes (proto-spec.md, "Shared structs").

use super::field_types::Json;
use super::table::wire_struct;
use gcsd_types::{BucketName, Destination, EncryptionKey, ObjectName, Preconditions};

wire_struct! {
    /// An object that the request makes. Its variable fields stand behind the struct that it is part of.
    impl Destination: "Destination"[64], part {
        /// As in ObjectRef.
        bucket: BucketName;
        /// As in ObjectRef.
        object: ObjectName;
        /// The project that pays, for buckets where the requester does.
        user_project: Option<String>;
        /// The Cloud KMS key to encrypt the object with.
        kms_key_name: Option<String>;
        /// One of GCS's predefined ACLs, such as `publicRead`.
        predefined_acl: Option<String>;
        /// As in ObjectRef.
        fields: Option<String>;
        /// The object resource, as JSON (`contentType`, `metadata`, `storageClass` ...): an object that names no other
        /// `name` or `bucket`, else `bad_args`.
        metadata: Bytes as Json;
        bits present;
        pad reserved 4;
        /// The conditions on the object.
        preconditions: Preconditions, present[0];
        pad reserved2 8;
        /// The customer-supplied key to encrypt the object with: 32 bytes.
        key: Option<EncryptionKey>, present[7];
    }
}
