//! What the object will be, and what its parts have of that.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::super::NewObject;
pub(super) use super::super::sight::place;
use gcsd_types::{Destination, MultipartRef, ObjectName, Preconditions};

/// The composed object.
pub(super) fn destination(object: &NewObject) -> Destination {
    object.destination.clone()
}

/// The multipart upload of `object` that GCS named `id`.
pub(super) fn multipart_ref(object: &NewObject, id: &str) -> MultipartRef {
    let destination = &object.destination;
    MultipartRef {
        bucket: destination.bucket.clone(),
        object: destination.object.clone(),
        multipart_id: id.to_owned(),
        user_project: destination.user_project.clone(),
        key: None,
    }
}

/// A temporary object. From the object it takes what decides where and how GCS stores its bytes, and nothing that could
/// keep it from being deleted.
pub(super) fn part_object(object: &NewObject, name: ObjectName, size: u64) -> NewObject {
    let destination = Destination {
        object: name,
        preconditions: Preconditions::default(),
        predefined_acl: None,
        fields: None,
        metadata: storage_class(&object.destination.metadata),
        ..object.destination.clone()
    };
    NewObject::from(destination).with_size(size)
}

/// GCS composes only objects of one storage class.
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
