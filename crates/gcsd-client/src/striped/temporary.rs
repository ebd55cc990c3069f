//! What the object shall be, and what of that its parts are.

use bytes::Bytes;
use serde_json::{Map, Value};

use gcsd_types::{Destination, MultipartRef, ObjectName, Preconditions};

/// The multipart upload of `object` that GCS calls `id`.
pub(super) fn multipart_ref(object: &Destination, id: &str) -> MultipartRef {
    MultipartRef {
        bucket: object.bucket.clone(),
        object: object.object.clone(),
        multipart_id: id.to_owned(),
        user_project: object.user_project.clone(),
        key: None,
    }
}

/// A temporary object: of what the object shall be, it has what decides where and how its bytes lie at GCS, and nothing
/// that could keep it from being deleted.
pub(super) fn part_object(object: &Destination, name: ObjectName) -> Destination {
    Destination {
        object: name,
        preconditions: Preconditions::default(),
        predefined_acl: None,
        fields: None,
        metadata: storage_class(&object.metadata),
        ..object.clone()
    }
}

/// GCS composes what is of one storage class.
fn storage_class(metadata: &[u8]) -> Bytes {
    let metadata: Map<String, Value> = serde_json::from_slice(metadata).unwrap_or_default();
    match metadata.get("storageClass") {
        Some(class) => Value::Object(Map::from_iter([("storageClass".to_owned(), class.clone())]))
            .to_string()
            .into(),
        None => Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_takes_over_the_storage_class_only() {
        let metadata = br#"{"contentType":"a/b","storageClass":"NEARLINE","temporaryHold":true}"#;
        assert_eq!(storage_class(metadata), r#"{"storageClass":"NEARLINE"}"#);
        assert!(storage_class(b"").is_empty() && storage_class(b"{}").is_empty());
    }
}
