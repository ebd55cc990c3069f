//! Changing the metadata of objects.

use http::Method;

use super::answer::{Answer, Answered};
use super::client::Gcs;
use super::error::{Call, Error, ErrorKind};
use super::json::{JsonCall, OBJECT_FIELDS};
use super::metadata;
use super::request::Target;
use super::resource::Object;
use gcsd_types::Destination;

impl Gcs {
    /// Sets the fields in `object.metadata`; a null removes a field
    /// (<https://cloud.google.com/storage/docs/json_api/v1/objects/patch>).
    pub async fn patch_object(
        &self,
        object: &Destination,
        generation: Option<u64>,
    ) -> Result<Answered<Object>, Error> {
        let metadata = metadata::checked(object).and_then(|metadata| {
            metadata.ok_or_else(|| Error::new(ErrorKind::Invalid, "there is no metadata to change"))
        });
        let metadata = metadata.map_err(|error| error.during(Call::Patch))?;
        let mut target = Target::object(&object.bucket, &object.object);
        target.number("generation", generation);
        target.preconditions(&object.preconditions);
        target.query("predefinedAcl", object.predefined_acl.as_deref());
        target.query("userProject", self.paying(object.user_project.as_deref()));
        target.fields(object.fields.as_deref(), OBJECT_FIELDS);
        let call = JsonCall::new(Call::Patch, Method::PATCH, target)
            .body(metadata.clone())
            .repeatable(object.preconditions.pins_metageneration());
        self.json(call, Answer::object).await
    }
}
