//! One object, and what can be done with it.

use std::fmt;

use super::{Client, Read, Upload};
use crate::{GivenUp, NewObject, ReadRequest, StoredObject};
use gcsd_types::{Destination, EncryptionKey, ObjectName, ObjectRef, Preconditions, Rewrite};

/// An object in Cloud Storage, whether it exists or not.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/daemon.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = daemon().await?;
/// # let address = daemon.address.as_str();
/// # let client = gcsd_client::Client::connect(address).await?;
/// let notes = client.object("gs://my-bucket/notes.txt")?;
/// let found = notes.stat().await?;
/// assert_eq!(found.info.size, 23);
///
/// // The version that was found, and no other.
/// let version = notes.clone().with_generation(found.info.generation);
/// let copy = client.object("gs://my-bucket/copy.txt")?;
/// version.copy_to(&copy).await?;
/// copy.delete().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Object {
    client: Client,
    object: ObjectRef,
}

impl Object {
    pub(super) fn new(client: Client, object: ObjectRef) -> Self {
        Self { client, object }
    }

    /// This version of the object rather than the live one. An upload does not look at it.
    #[must_use]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.object.generation = Some(generation);
        self
    }

    /// What must hold of the object for a request to be carried out; for an upload, of the object that is there before.
    #[must_use]
    pub fn with_preconditions(mut self, preconditions: Preconditions) -> Self {
        self.object.preconditions = preconditions;
        self
    }

    /// The key that the object is encrypted with, which GCS does not keep.
    #[must_use]
    pub fn with_key(mut self, key: EncryptionKey) -> Self {
        self.object.key = Some(key);
        self
    }

    /// The project that pays, for buckets where the requester does.
    #[must_use]
    pub fn with_user_project(mut self, project: impl Into<String>) -> Self {
        self.object.user_project = Some(project.into());
        self
    }

    /// An upload that makes the object, or replaces it. Nothing is sent yet.
    pub fn upload(&self) -> Upload {
        Upload::new(self.client.clone(), NewObject::from(self.destination()))
    }

    /// A read of the object, or of a part of it. Nothing is sent yet.
    pub fn read(&self) -> Read {
        Read::new(self.client.clone(), ReadRequest::new(self.object.clone()))
    }

    /// What GCS says of it.
    pub async fn stat(&self) -> Result<StoredObject, GivenUp> {
        self.client.requests.stat(&self.object).await
    }

    /// Deletes it: see [`ReliableRequests::delete`](crate::ReliableRequests::delete).
    pub async fn delete(&self) -> Result<(), GivenUp> {
        self.client.requests.delete(&self.object).await
    }

    /// Copies it to `target`, within Cloud Storage, with its metadata. See
    /// [`ReliableRequests::copy`](crate::ReliableRequests::copy).
    pub async fn copy_to(&self, target: &Object) -> Result<StoredObject, GivenUp> {
        let destination = target.destination();
        let rewrite = Rewrite {
            source: self.object.clone(),
            destination,
            max_bytes: None,
            token: None,
        };
        self.client.requests.copy(rewrite).await
    }

    /// Gives it another name in its bucket, and replaces what has that name. See
    /// [`ReliableRequests::rename`](crate::ReliableRequests::rename).
    pub async fn rename(&self, name: &ObjectName) -> Result<StoredObject, GivenUp> {
        let anything = Preconditions::default();
        self.client.requests.rename(&self.object, name, anything).await
    }

    /// Changes its metadata in the fields that `resource` names, GCS's object resource as JSON; null removes one. See
    /// [`ReliableRequests::patch`](crate::ReliableRequests::patch).
    pub async fn patch(&self, resource: &serde_json::Value) -> Result<StoredObject, GivenUp> {
        let mut object = self.destination();
        object.key = None;
        object.metadata = resource.to_string().into();
        self.client.requests.patch(&object, self.object.generation).await
    }

    fn destination(&self) -> Destination {
        let object = self.object.clone();
        Destination {
            preconditions: object.preconditions,
            user_project: object.user_project,
            key: object.key,
            ..Destination::new(object.bucket, object.object)
        }
    }
}

/// Its URL.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}/{}", self.object.bucket, self.object.object)
    }
}
