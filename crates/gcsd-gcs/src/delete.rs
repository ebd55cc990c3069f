//! Deleting objects.

use http::Method;

use super::answer::Answered;
use super::client::Gcs;
use super::error::{Call, Error};
use super::json::JsonCall;
use gcsd_types::ObjectRef;

impl Gcs {
    /// Deletes an object, or one generation of it
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects/delete>).
    pub async fn delete_object(&self, object: &ObjectRef) -> Result<Answered<()>, Error> {
        let target = self.object_target(object, None);
        let call = JsonCall::new(Call::Delete, Method::DELETE, target).repeatable(object.is_deleted_once());
        self.json(call, |_| Ok(())).await
    }
}
