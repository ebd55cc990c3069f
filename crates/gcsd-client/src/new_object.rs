//! What an upload will become.

use serde_json::{Map, Value};

use gcsd_types::{BucketName, Destination, GsUrl, ObjectName, Preconditions};
use gcsd_wire::start_upload;

/// An object to upload: where it goes and what it will be, and its size where that is known.
///
/// ```
/// use gcsd_client::NewObject;
///
/// let object = NewObject::from("gs://backups/november.tar".parse::<gcsd_client::GsUrl>()?)
///     .with_content_type("application/x-tar")
///     .with_metadata("host", "db-1")
///     .if_absent();
/// assert_eq!(
///     object.destination.metadata,
///     r#"{"contentType":"application/x-tar","metadata":{"host":"db-1"}}"#
/// );
/// # Ok::<(), gcsd_client::UrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewObject {
    /// Where it goes, and what it will be. An upload has no `fields`.
    pub destination: Destination,
    /// Its size, where known: GCS finishes the upload as soon as it has that many bytes.
    pub size: Option<u64>,
}

impl NewObject {
    /// An object of unknown size, without metadata, unconditionally.
    pub fn new(bucket: BucketName, object: ObjectName) -> Self {
        Destination::new(bucket, object).into()
    }

    /// Tells GCS the size in advance. An upload that has another one fails.
    #[must_use]
    pub fn with_size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// Its `Content-Type`, such as `text/plain`. GCS's default is `application/octet-stream`.
    #[must_use]
    pub fn with_content_type(self, content_type: impl Into<String>) -> Self {
        self.with_field("contentType", content_type.into())
    }

    /// A pair of the object's custom metadata.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.change(|resource| {
            let custom = resource.entry("metadata").or_insert_with(|| Map::new().into());
            if let Value::Object(custom) = custom {
                custom.insert(key.into(), Value::String(value.into()));
            }
        });
        self
    }

    /// A field of GCS's object resource, such as `storageClass`
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects#resource>).
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.change(|resource| {
            resource.insert(name.into(), value.into());
        });
        self
    }

    /// What must hold of the object that is there before.
    #[must_use]
    pub fn with_preconditions(mut self, preconditions: Preconditions) -> Self {
        self.destination.preconditions = preconditions;
        self
    }

    /// Only if there is no live object of that name: the upload fails otherwise (`precondition_failed`).
    #[must_use]
    pub fn if_absent(mut self) -> Self {
        self.destination.preconditions.if_generation_match = Some(0);
        self
    }

    /// Changes the JSON resource. One that is no JSON object stays as it is: GCS refuses the upload.
    fn change(&mut self, change: impl FnOnce(&mut Map<String, Value>)) {
        let metadata = &mut self.destination.metadata;
        let resource = match metadata.is_empty() {
            true => Ok(Map::new()),
            false => serde_json::from_slice(metadata),
        };
        if let Ok(mut resource) = resource {
            change(&mut resource);
            *metadata = Value::Object(resource).to_string().into();
        }
    }
}

/// Of unknown size.
impl From<Destination> for NewObject {
    fn from(destination: Destination) -> Self {
        let size = None;
        Self { destination, size }
    }
}

/// Of unknown size, without metadata, unconditionally.
impl From<GsUrl> for NewObject {
    fn from(url: GsUrl) -> Self {
        Destination::from(url).into()
    }
}

impl From<NewObject> for start_upload::StartUploadArgs {
    fn from(object: NewObject) -> Self {
        let NewObject { destination, size } = object;
        Self { destination, size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_join_what_is_there() {
        let url: GsUrl = "gs://bucket/object".parse().expect("a URL");
        let mut object = NewObject::from(url);
        object.destination.metadata = r#"{"storageClass":"NEARLINE"}"#.into();
        let object = object.with_metadata("a", "1").with_metadata("b", "2");
        let object = object.with_field("eventBasedHold", true);
        assert_eq!(
            object.destination.metadata,
            r#"{"eventBasedHold":true,"metadata":{"a":"1","b":"2"},"storageClass":"NEARLINE"}"#
        );
        // What is not JSON is left for GCS to refuse, not thrown away.
        let mut object = object;
        object.destination.metadata = "no JSON".into();
        let object = object.with_content_type("a/b");
        assert_eq!(object.destination.metadata, "no JSON");
    }
}
